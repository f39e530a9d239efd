"""`raftstore snapshot`: save the state of a running cluster, look at it, begin a cluster with it.

The files are etcd's: its tools take these, and theirs are taken here.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from raftstore.cli.download import Endpoint, download
from raftstore.errors import ConfigurationError
from raftstore.server.data_directory import DEFAULT_MEMBERS
from raftstore.server.initial_cluster import DEFAULT_TOKEN, parse_initial_cluster
from raftstore.server.restore import read_state, restore_cluster, restore_member
from raftstore.storage import StorageError, etcd_database, exchange_file
from raftstore.storage.etcd_database import Summary

FILE = click.Path(dir_okay=False, path_type=Path)
UNITS = ("B", "kB", "MB", "GB", "TB")
THOUSAND = 1000
HEADINGS = ("HASH", "REVISION", "TOTAL KEYS", "TOTAL SIZE")


@click.group()
def snapshot() -> None:
    """Save the whole state as etcd's snapshot file, look at such a file, restore from it."""


@snapshot.command(
    epilog="""\b
Examples:
  raftstore snapshot save backup.db
  raftstore snapshot save backup.db --endpoint https://db:2379 --cacert ca.crt
"""
)
@click.argument("file", type=FILE)
@click.option(
    "--endpoint", default="127.0.0.1:2379", show_default=True, help="A member: HOST:PORT or URL."
)
@click.option("--cacert", type=FILE, help="CA of the server's certificate; turns TLS on.")
@click.option("--cert", type=FILE, help="The client's certificate.")
@click.option("--key", type=FILE, help="The key of --cert.")
@click.option("--user", help="NAME:PASSWORD, if authentication is on; it must have the role root.")
def save(
    file: Path, endpoint: str, cacert: Path | None, cert: Path | None, key: Path | None, user: str
) -> None:
    """Save the state of one member, raftstore's or etcd's, to FILE."""
    try:
        download(Endpoint.parse(endpoint, cacert, cert, key, user), file)
    except ConfigurationError as error:
        raise click.UsageError(str(error)) from error
    except StorageError as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"Snapshot saved at {file}")


@snapshot.command(
    epilog="""\b
Examples:
  raftstore snapshot status backup.db
  raftstore snapshot status backup.db --json
"""
)
@click.argument("file", type=FILE)
@click.option(
    "-w",
    "--write-out",
    default="simple",
    show_default=True,
    type=click.Choice(["simple", "table", "json", "fields"]),
)
@click.option("--json", "as_json", is_flag=True, help="The same as -w json.")
@click.option("--skip-hash-check", is_flag=True, help="Do not compare the SHA-256 behind it.")
def status(file: Path, write_out: str, as_json: bool, skip_hash_check: bool) -> None:
    """Check FILE, and print what it holds as etcdctl does."""
    try:
        summary = _summarize(file, check_hash=not skip_hash_check)
    except StorageError as error:
        raise click.ClickException(str(error)) from error
    _WRITERS["json" if as_json else write_out](summary)


def _summarize(file: Path, *, check_hash: bool) -> Summary:
    data = exchange_file.read(file, need_hash=False)
    if check_hash and len(data) < file.stat().st_size:
        data = exchange_file.read(file, need_hash=True)
    return etcd_database.summarize(file, data)


@snapshot.command(
    epilog="""\b
Examples:
  raftstore snapshot restore backup.db --data-dir ./data
  raftstore serve --data-dir ./data

\b
One member per process (for each of them, with the same --initial-cluster):
  raftstore snapshot restore backup.db --data-dir ./a --name a \\
      --initial-cluster a=127.0.0.1:2390,b=127.0.0.1:2391 --initial-cluster-token second
  raftstore serve --member a --data-dir ./a \\
      --initial-cluster a=127.0.0.1:2390,b=127.0.0.1:2391 --initial-cluster-token second
"""
)
@click.argument("file", type=FILE)
@click.option(
    "--data-dir",
    required=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Where; must be empty or not yet there.",
)
@click.option("--members", type=click.IntRange(1, 9), help="How many.  [default: 3]")
@click.option("--name", help="Make only this member of --initial-cluster.")
@click.option("--initial-cluster", help="All members' peer addresses: NAME=HOST:PORT,...")
@click.option(
    "--initial-cluster-token",
    default=DEFAULT_TOKEN,
    show_default=True,
    help="Must differ from the old cluster's, if the addresses do not.",
)
@click.option(
    "--skip-hash-check", is_flag=True, help="For a database copied from a data directory."
)
def restore(
    file: Path,
    data_dir: Path,
    members: int | None,
    name: str | None,
    initial_cluster: str | None,
    initial_cluster_token: str,
    skip_hash_check: bool,
) -> None:
    """Begin a new cluster with the state in FILE, for `raftstore serve --data-dir`."""
    if (name is None) != (initial_cluster is None):
        raise click.UsageError("--name and --initial-cluster go together: one member, all members")
    if name is not None and members is not None:
        raise click.UsageError("--members is for all in one process, --name for one of them")
    try:
        if name is None or initial_cluster is None:
            chunks = read_state(file, check_hash=not skip_hash_check)
            made = restore_cluster(data_dir, chunks, members or DEFAULT_MEMBERS)
            click.echo(f"Restored a cluster of {made.members} members to {data_dir}")
            return
        cluster = parse_initial_cluster(initial_cluster, initial_cluster_token)
        cluster.member_id(name)
        restore_member(data_dir, read_state(file, check_hash=not skip_hash_check), name, cluster)
        click.echo(f"Restored member {name} to {data_dir}")
    except ConfigurationError as error:
        raise click.UsageError(str(error)) from error
    except StorageError as error:
        raise click.ClickException(str(error)) from error


# -- how a status is printed: as etcdctl does --------------------------------------------------


def _size(size: float) -> str:
    """A size as etcdctl prints it: two digits, or whole numbers from ten on, in powers of 1000."""
    if size < 10:  # noqa: PLR2004 - below it there is no unit to round in
        return f"{size:.0f} B"
    unit = 0
    while size >= THOUSAND and unit < len(UNITS) - 1:
        size /= THOUSAND
        unit += 1
    rounded = int(size * 10 + 0.5) / 10
    return f"{rounded:.1f} {UNITS[unit]}" if rounded < 10 else f"{rounded:.0f} {UNITS[unit]}"  # noqa: PLR2004 - as above


def _columns(summary: Summary) -> tuple[str, str, str, str]:
    return (
        f"{summary.hash:x}",
        str(summary.revision),
        str(summary.total_keys),
        _size(summary.total_size),
    )


def _fields(summary: Summary) -> dict[str, Any]:
    return {
        "hash": summary.hash,
        "revision": summary.revision,
        "totalKey": summary.total_keys,
        "totalSize": summary.total_size,
    }


def _simple(summary: Summary) -> None:
    click.echo(", ".join(_columns(summary)))


def _table(summary: Summary) -> None:
    columns = list(zip(HEADINGS, _columns(summary), strict=True))
    widths = [max(map(len, column)) for column in columns]
    rule = "+" + "".join("-" * (width + 2) + "+" for width in widths)
    cells = list(zip(columns, widths, strict=True))
    heads = [(" " * ((width - len(head)) // 2) + head).ljust(width) for (head, _), width in cells]
    values = [value.rjust(width) for (_, value), width in cells]
    for line in (rule, _row(heads), rule, _row(values), rule):
        click.echo(line)


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _json(summary: Summary) -> None:
    click.echo(json.dumps(_fields(summary), separators=(",", ":")))


def _lines(summary: Summary) -> None:
    for name, value in zip(
        ("Hash", "Revision", "Keys", "Size"), _fields(summary).values(), strict=True
    ):
        click.echo(f'"{name}" : {value}')


_WRITERS = {"simple": _simple, "table": _table, "json": _json, "fields": _lines}
