"""`raftstore serve`: a cluster for etcd's clients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from raftstore.errors import ConfigurationError
from raftstore.server.tls import TlsFiles

MAX_PORT = 65_535
TLS = "TLS for clients (etcd's options)"


def tls_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options of the clients' end, under etcd's names."""
    path = click.Path(dir_okay=False)
    for option in reversed(
        (
            click.option("--cert-file", default="", type=path, help="Certificate; turns TLS on."),
            click.option("--key-file", default="", type=path, help="The certificate's key."),
            click.option(
                "--trusted-ca-file", default="", type=path, help="CA of client certificates."
            ),
            click.option(
                "--client-cert-auth", is_flag=True, help="Clients must show a certificate."
            ),
        )
    ):
        command = option(command)
    return command


@click.command(
    epilog="""\b
Examples:
  raftstore serve                      members on 127.0.0.1:2379, 2380 and 2381
  raftstore serve --port 0             on unused ports, which are printed
  raftstore serve --cert-file server.crt --key-file server.key \\
      --trusted-ca-file ca.crt --client-cert-auth
  etcdctl --endpoints 127.0.0.1:2379 put greeting hello
  curl -d '{"key": "Zm9v"}' http://127.0.0.1:2379/v3/kv/range
"""
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Where to listen.")
@click.option(
    "--port",
    default=2379,
    show_default=True,
    type=click.IntRange(0, MAX_PORT),
    help="Of the first member; the others follow. 0: unused ports.",
)
@click.option("--members", default=3, show_default=True, type=click.IntRange(1, 9))
@tls_options
def serve(
    host: str,
    port: int,
    members: int,
    cert_file: str,
    key_file: str,
    trusted_ca_file: str,
    client_cert_auth: bool,
) -> None:
    """Serve a cluster to etcd's clients: gRPC and JSON, one port per member.

    The data lives in memory.
    """
    try:
        from raftstore.gateway.command import run  # noqa: PLC0415 - an optional extra
        from raftstore.gateway.serving import ServeOptions  # noqa: PLC0415 - see above
    except ImportError as error:
        text = f"serving needs more packages ({error}): pip install 'k8sactors[serve]'"
        raise click.ClickException(text) from error
    if port + members - 1 > MAX_PORT:
        raise click.UsageError(f"{members} members from port {port} on: there is none so high")
    try:
        tls = TlsFiles(cert_file, key_file, trusted_ca_file, client_cert_auth)
        run(ServeOptions(host, port, members, tls))
    except ConfigurationError as error:
        raise click.UsageError(str(error)) from error
    except OSError as error:
        raise click.ClickException(f"cannot listen on {host}:{port}: {error}") from error
