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


def run(options: ServeOptions) -> None:
    """Serve until interrupted or terminated.

    Raises:
        ConfigurationError: a certificate cannot be used.
        OSError: a port cannot be had.
    """
    tls = server_context(options.tls)
    if not _is_loopback(options.host) and not options.tls.client_cert_auth:
        click.echo("warning: whoever reaches these ports can read and write all keys", err=True)
    trio.run(_until_signal, options, tls)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


async def _until_signal(options: ServeOptions, tls: ssl.SSLContext | None) -> None:
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        listeners = await bind(options)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(serve, options, listeners, tls, _report)
            async for _ in signals:
                nursery.cancel_scope.cancel()
                return


def _report(urls: list[str]) -> None:
    """One line per member, then one that says that requests may come."""
    for number, url in enumerate(urls, start=1):
        click.echo(f"member-{number} {url}")
    click.echo("ready")
    sys.stdout.flush()
