"""`raftstore serve`: a cluster for etcd's clients."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

import click

from raftstore.cli.serve_options import Security, policy_options, security_options
from raftstore.errors import ConfigurationError
from raftstore.server.config import Policy
from raftstore.server.data_directory import DEFAULT_MEMBERS, open_directory
from raftstore.server.initial_cluster import DEFAULT_TOKEN, parse_initial_cluster
from raftstore.storage import StorageError

MAX_PORT = 65_535
NEW = "new"
EXISTING = "existing"


@click.command(
    epilog="""\b
Examples:
  raftstore serve                      members on 127.0.0.1:2379, 2380 and 2381
  raftstore serve --port 0             on unused ports, which are printed
  raftstore serve --data-dir ./data    the data survives the process
  raftstore serve --auto-compaction-retention 1h        keep the history of an hour
  raftstore serve --cert-file server.crt --key-file server.key \\
      --trusted-ca-file ca.crt --client-cert-auth
  etcdctl --endpoints 127.0.0.1:2379 put greeting hello
  curl -d '{"key": "Zm9v"}' http://127.0.0.1:2379/v3/kv/range

\b
One member per process (the same --initial-cluster for all of them):
  raftstore serve --member a --data-dir ./a --port 2379 \\
      --initial-cluster a=127.0.0.1:2390,b=127.0.0.1:2391,c=127.0.0.1:2392

\b
One more, while they run:
  etcdctl --endpoints 127.0.0.1:2379 member add d --peer-urls http://127.0.0.1:2393
  raftstore serve --member d --data-dir ./d --port 2382 --initial-cluster-state existing \\
      --initial-cluster a=127.0.0.1:2390,b=127.0.0.1:2391,c=127.0.0.1:2392,d=127.0.0.1:2393
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
@click.option(
    "--peer-port",
    type=click.IntRange(0, MAX_PORT),
    help="Of the first member, for members in other processes; the others follow. 0: unused ports. "
    "[default: unused ports on 127.0.0.1]",
)
@click.option("--member", help="Be only this member; the others are other processes.")
@click.option("--initial-cluster", help="All members' peer addresses: NAME=HOST:PORT,...")
@click.option(
    "--initial-cluster-token",
    default=DEFAULT_TOKEN,
    show_default=True,
    help="Keeps clusters with equal addresses apart.",
)
@click.option(
    "--initial-cluster-state",
    default=NEW,
    show_default=True,
    type=click.Choice([NEW, EXISTING]),
    help="existing: join a cluster that runs; the member must have been added to it.",
)
@click.option(
    "--advertise-client-urls",
    help="Where clients reach --member, as the member list says: http://HOST:PORT,...  "
    "[default: from --host and --port]",
)
@policy_options
@security_options
def serve(
    host: str,
    port: int,
    members: int | None,
    data_dir: Path | None,
    peer_port: int | None,
    member: str | None,
    initial_cluster: str | None,
    initial_cluster_token: str,
    initial_cluster_state: str,
    advertise_client_urls: str | None,
    policy: Policy,
    security: Security,
) -> None:
    """Serve a cluster to etcd's clients: gRPC and JSON, one port per member.

    With --data-dir nothing is acknowledged before it is on the disk, and the next start resumes
    with what is there.
    """
    try:
        from raftstore.gateway import command  # noqa: PLC0415 - an optional extra
        from raftstore.gateway.member_serving import MemberOptions  # noqa: PLC0415 - see above
        from raftstore.gateway.serving import ServeOptions  # noqa: PLC0415 - see above
    except ImportError as error:
        text = f"serving needs more packages ({error}): pip install 'k8sactors[serve]'"
        raise click.ClickException(text) from error
    try:
        if member is not None:
            place = _check_member(members, peer_port, data_dir)
            cluster = (
                None
                if initial_cluster is None
                else parse_initial_cluster(initial_cluster, initial_cluster_token)
            )
            existing = initial_cluster_state == EXISTING
            tls = security.clients, security.peers
            urls = _client_urls(advertise_client_urls or "")
            place_and_port = member, place, cluster, existing, host, port
            options = MemberOptions(*place_and_port, *tls, policy, urls)
            command.run_member(options)
            return
        if initial_cluster or initial_cluster_state != NEW or advertise_client_urls:
            raise click.UsageError(
                "the options --initial-cluster... and --advertise-client-urls are for one member "
                "per process: say which with --member"
            )
        data = None if data_dir is None else open_directory(data_dir, members, command.warn)
        count = members or DEFAULT_MEMBERS if data is None else data.members
        for first in (port, peer_port or 0):
            if first + count - 1 > MAX_PORT:
                text = f"{count} members from port {first} on: there is none so high"
                raise click.UsageError(text)
        everywhere = security.clients, data, peer_port, security.peers
        command.run(ServeOptions(host, port, count, *everywhere, policy))
    except ConfigurationError as error:
        raise click.UsageError(str(error)) from error
    except StorageError as error:
        raise click.ClickException(str(error)) from error
    except OSError as error:
        raise click.ClickException(str(error)) from error


def _client_urls(text: str) -> tuple[str, ...]:
    urls = tuple(url for url in text.split(",") if url)
    for url in urls:
        parts = urlsplit(url)
        if (
            parts.scheme not in {"http", "https"}
            or not parts.hostname
            or parts.path not in {"", "/"}
        ):
            raise click.UsageError(
                f"--advertise-client-urls: {url!r} is no address; write http://HOST:PORT"
            )
    return urls


def _check_member(members: int | None, peer_port: int | None, data_dir: Path | None) -> Path:
    if peer_port is not None:
        raise click.UsageError("the peer address of --member stands in --initial-cluster")
    if members is not None:
        raise click.UsageError("--member is one; how many there are says --initial-cluster")
    if data_dir is None:
        raise click.UsageError(
            "--member needs --data-dir: a member that forgets its vote when it restarts could "
            "elect two leaders"
        )
    return data_dir
