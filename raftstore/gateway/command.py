"""`raftstore serve`: from the first line printed to the last signal."""

from __future__ import annotations

import ipaddress
import signal
import ssl
import sys

import click
import trio

from raftstore.gateway.serving import ServeOptions, bind, serve
from raftstore.server.tls import server_context
from raftstore.storage import StorageError


def run(options: ServeOptions) -> None:
    """Serve until interrupted or terminated.

    Raises:
        ConfigurationError: a certificate cannot be used.
        OSError: a port cannot be had.
        StorageError: the data directory cannot be used.
    """
    tls = server_context(options.tls)
    if not _is_loopback(options.host) and not options.tls.client_cert_auth:
        warn("whoever reaches these ports can read and write all keys")
    failures: list[StorageError] = trio.run(_until_signal, options, tls)
    if failures:
        raise failures[0]


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


async def _until_signal(options: ServeOptions, tls: ssl.SSLContext | None) -> list[StorageError]:
    """Serve; what the data directory had against it."""
    failures: list[StorageError] = []
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        listeners = await bind(options)
        async with trio.open_nursery() as nursery:

            async def serve_until_storage_fails() -> None:
                try:
                    await serve(options, listeners, tls, _report, warn)
                except* StorageError as group:
                    failures.extend(_leaves(group))
                    nursery.cancel_scope.cancel()

            nursery.start_soon(serve_until_storage_fails)
            async for _ in signals:
                nursery.cancel_scope.cancel()
                break
    return failures


def _leaves(group: ExceptionGroup[StorageError]) -> list[StorageError]:
    found: list[StorageError] = []
    for error in group.exceptions:
        found += _leaves(error) if isinstance(error, ExceptionGroup) else [error]
    return found


def warn(text: str) -> None:
    """Tell whoever looks after the process."""
    click.echo(f"warning: {text}", err=True)


def _report(urls: list[str]) -> None:
    """One line per member, then one that says that requests may come."""
    for number, url in enumerate(urls, start=1):
        click.echo(f"member-{number} {url}")
    click.echo("ready")
    sys.stdout.flush()
