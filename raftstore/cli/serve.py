"""`raftstore serve`: a cluster for etcd's clients."""

from __future__ import annotations

import click

MAX_PORT = 65_535


@click.command(
    epilog="""\b
Examples:
  raftstore serve                      members on 127.0.0.1:2379, 2380 and 2381
  raftstore serve --port 0             on unused ports, which are printed
  etcdctl --endpoints 127.0.0.1:2379 put greeting hello
  curl -d '{"key": "Zm9v"}' http://127.0.0.1:2379/v3/kv/range
"""
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Where to listen.")
@click.option(
    "--port",
    default=2379,
    show_default=True,
    type=click.IntRange(0, 65_535),
    help="Of the first member; the others follow. 0: unused ports.",
)
@click.option("--members", default=3, show_default=True, type=click.IntRange(1, 9))
def serve(host: str, port: int, members: int) -> None:
    """Serve a cluster to etcd's clients: gRPC and JSON, one port per member.

    There is no TLS and no authentication, and the data lives in memory.
    """
    try:
        from raftstore.gateway.command import run  # noqa: PLC0415 - an optional extra
    except ImportError as error:
        text = f"serving needs more packages ({error}): pip install 'k8sactors[serve]'"
        raise click.ClickException(text) from error
    if port + members - 1 > MAX_PORT:
        raise click.UsageError(f"{members} members from port {port} on: there is none so high")
    try:
        run(host, port, members)
    except OSError as error:
        raise click.ClickException(f"cannot listen on {host}:{port}: {error}") from error
