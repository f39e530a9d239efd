"""`raftstore serve`: from the first line printed to the last signal."""

from __future__ import annotations

import ipaddress
import signal
import sys

import click
import trio

from raftstore.gateway.serving import ServeOptions, bind, serve


def run(host: str, port: int, members: int) -> None:
    """Serve until interrupted or terminated.

    Raises:
        OSError: a port cannot be had.
    """
    if not _is_loopback(host):
        click.echo("warning: whoever reaches these ports can read and write all keys", err=True)
    trio.run(_until_signal, ServeOptions(host, port, members))


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


async def _until_signal(options: ServeOptions) -> None:
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        listeners = await bind(options)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(serve, options, listeners, _report)
            async for _ in signals:
                nursery.cancel_scope.cancel()
                return


def _report(urls: list[str]) -> None:
    """One line per member, then one that says that requests may come."""
    for number, url in enumerate(urls, start=1):
        click.echo(f"member-{number} {url}")
    click.echo("ready")
    sys.stdout.flush()
