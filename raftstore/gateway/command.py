"""`raftstore serve`: from the first line printed to the last signal."""

from __future__ import annotations

import signal
import sys
from collections.abc import Awaitable, Callable
from functools import partial

import click
import trio

from raftstore.collector import relaxed_collector
from raftstore.errors import ConfigurationError
from raftstore.gateway.descriptors import raise_limit
from raftstore.gateway.member_serving import (
    MemberOptions,
    bind_member,
    open_member,
    serve_member,
)
from raftstore.gateway.ports import contexts
from raftstore.gateway.serving import ServeOptions, bind, serve
from raftstore.http.ports import is_loopback
from raftstore.server.process import MemberRemovedError
from raftstore.server.tls import TlsFiles
from raftstore.storage import StorageError


def run(options: ServeOptions) -> None:
    """Serve a cluster until interrupted or terminated.

    Raises:
        ConfigurationError: a certificate cannot be used.
        OSError: a port cannot be had.
        StorageError: the data directory cannot be used.
    """
    tls = contexts(options.tls, options.peer_tls)
    _warn_if_open(options.host, options.tls)
    _warn_if_open(options.peer_host, options.peer_tls)

    async def serve_cluster(on_ready: Callable[[dict[str, str]], None]) -> None:
        await serve(options, await bind(options), on_ready, warn, tls)

    _run(serve_cluster)


def run_member(options: MemberOptions) -> None:
    """Serve one member until interrupted or terminated.

    Raises:
        ConfigurationError: a certificate cannot be used, or the member is none of the cluster's.
        MemberRemovedError: the cluster has continued without the member already.
        OSError: a port cannot be had.
        StorageError: the data directory cannot be used.
    """
    tls = contexts(options.tls, options.peer_tls)

    async def serve_one(on_ready: Callable[[dict[str, str]], None]) -> None:
        directory = await open_member(options, tls.dialling)
        _warn_if_open(options.host, options.tls)
        _warn_if_open(directory.address[0], options.peer_tls)
        listeners = await bind_member(options, directory.address)
        await serve_member(options, directory, listeners, tls, on_ready, warn)

    _run(serve_one)


def _run(serve_forever: Callable[[Callable[[dict[str, str]], None]], Awaitable[None]]) -> None:
    ready = False

    def on_ready(urls: dict[str, str]) -> None:
        """One line per member, then one that says that requests may come."""
        nonlocal ready
        ready = True
        for name, url in urls.items():
            click.echo(f"{name} {url}")
        click.echo("ready")
        sys.stdout.flush()

    raise_limit()
    with relaxed_collector():
        failures: list[Exception] = trio.run(_until_signal, partial(serve_forever, on_ready))
    if failures and ready and isinstance(failures[0], MemberRemovedError):
        # What running members were told to do has been done: etcd, too, ends with status 0.
        click.echo(str(failures[0]), err=True)
    elif failures:
        raise failures[0]


def _warn_if_open(host: str, tls: TlsFiles) -> None:
    if not is_loopback(host) and not tls.client_cert_auth:
        warn(f"every client that reaches {host} can read and write all keys")


async def _until_signal(serve_forever: Callable[[], Awaitable[None]]) -> list[Exception]:
    """Serve; what the ports or the data directory had against it."""
    failures: list[Exception] = []
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async with trio.open_nursery() as nursery:

            async def serve_until_it_fails() -> None:
                try:
                    await serve_forever()
                except* (OSError, ConfigurationError, StorageError) as group:
                    failures.extend(_leaves(group))
                    nursery.cancel_scope.cancel()

            nursery.start_soon(serve_until_it_fails)
            async for _ in signals:
                nursery.cancel_scope.cancel()
                break
    return failures


def _leaves(group: ExceptionGroup[Exception]) -> list[Exception]:
    found: list[Exception] = []
    for error in group.exceptions:
        found += _leaves(error) if isinstance(error, ExceptionGroup) else [error]
    return found


def warn(text: str) -> None:
    """Tell the operator of the process."""
    click.echo(f"warning: {text}", err=True)
