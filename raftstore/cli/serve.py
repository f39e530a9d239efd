"""`raftstore serve`: a cluster for etcd's clients."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from raftstore.errors import ConfigurationError
from raftstore.server.data_directory import DEFAULT_MEMBERS, open_directory
from raftstore.server.tls import TlsFiles
from raftstore.storage import StorageError

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
  raftstore serve --data-dir ./data    the data survives the process
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
@click.option(
    "--members", type=click.IntRange(1, 9), help="How many.  [default: 3, or as in --data-dir]"
)
@click.option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=Path),
    help="Keep the data here, a directory per member; without it, in memory.",
)
@tls_options
def serve(
    host: str,
    port: int,
    members: int | None,
    data_dir: Path | None,
    cert_file: str,
    key_file: str,
    trusted_ca_file: str,
    client_cert_auth: bool,
) -> None:
    """Serve a cluster to etcd's clients: gRPC and JSON, one port per member.

    With --data-dir nothing is acknowledged before it is on the disk, and the next start goes on
    with what is there.
    """
    try:
        from raftstore.gateway.command import run, warn  # noqa: PLC0415 - an optional extra
        from raftstore.gateway.serving import ServeOptions  # noqa: PLC0415 - see above
    except ImportError as error:
        text = f"serving needs more packages ({error}): pip install 'k8sactors[serve]'"
        raise click.ClickException(text) from error
    try:
        data = None if data_dir is None else open_directory(data_dir, members, warn)
        count = members or DEFAULT_MEMBERS if data is None else data.members
        if port + count - 1 > MAX_PORT:
            raise click.UsageError(f"{count} members from port {port} on: there is none so high")
        tls = TlsFiles(cert_file, key_file, trusted_ca_file, client_cert_auth)
        run(ServeOptions(host, port, count, tls, data))
    except ConfigurationError as error:
        raise click.UsageError(str(error)) from error
    except StorageError as error:
        raise click.ClickException(str(error)) from error
    except OSError as error:
        raise click.ClickException(f"cannot listen on {host}:{port}: {error}") from error
