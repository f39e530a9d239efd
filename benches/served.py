"""Stores in processes of their own: a served raftstore, and a real etcd where it is installed."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import attrs
import trio

from benches.ports import unused_ports
from raftstore.gateway.client import open_client
from raftstore.server.config import DEFAULT_MEMBERS

START_TIMEOUT_S: Final = 60.0
POLL_S: Final = 0.1
STOP_TIMEOUT_S: Final = 10.0
LOG_LINES: Final = 10
RAM_DISK: Final = Path("/dev/shm")  # noqa: S108 - a tmpfs, for a directory of a random name
ETCD: Final = shutil.which("etcd")
WITHOUT_ETCD: Final = "etcd is not installed (Debian: apt-get install etcd-server)"


class ServingError(Exception):
    """A store could not be started."""


@attrs.frozen
class Served:
    """A running cluster: ``host:port`` of its members, and of its leader."""

    endpoints: tuple[str, ...]
    leader: str

    @property
    def target(self) -> str:
        """What the client of etcd's wire takes, the leader first."""
        others = [endpoint for endpoint in self.endpoints if endpoint != self.leader]
        return f"etcd://{','.join([self.leader, *others])}"


@contextmanager
def served_raftstore(
    members: int = DEFAULT_MEMBERS, checkout: Path | None = None
) -> Iterator[Served]:
    """All members in one process, state in memory, as `raftstore serve` has it.

    `checkout`: another working tree of this project, with an environment in its ``.venv``.
    """
    ports = unused_ports(members, in_a_row=True)
    python = sys.executable if checkout is None else str(checkout / ".venv" / "bin" / "python")
    command = [python, "-m", "raftstore.cli", "serve"]
    command += ["--port", str(ports[0]), "--members", str(members)]
    with (
        tempfile.TemporaryDirectory() as name,
        _running([command], Path(name), checkout) as last_words,
    ):
        yield _found([f"127.0.0.1:{port}" for port in ports], last_words)


@attrs.define
class RaftstoreProcesses:
    """Members of one cluster in processes of their own, on directories, started one by one."""

    # ``host:port`` for clients.
    endpoints: tuple[str, ...]
    _commands: list[list[str]]
    _logs: Path
    _running: dict[int, subprocess.Popen[bytes]] = attrs.Factory(dict)

    def start(self, number: int) -> None:
        """Start a member, counted from 0."""
        with (self._logs / f"{number}.log").open("ab") as log:
            command = self._commands[number]
            self._running[number] = subprocess.Popen(command, stdout=log, stderr=log)  # noqa: S603 - ours

    def wait_leader(self, numbers: list[int]) -> str:
        """Wait until these have a leader; its endpoint."""
        return _found([self.endpoints[number] for number in numbers], self._last_words).leader

    def cpu_seconds(self) -> dict[int, float]:
        """What each has taken of the cores."""
        tick_s = 1 / os.sysconf("SC_CLK_TCK")
        found = {}
        for number, process in self._running.items():
            # Behind the name in parentheses: user and system time are the fields 14 and 15.
            stat = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
            found[number] = (int(stat[11]) + int(stat[12])) * tick_s
        return found

    def _last_words(self) -> str | None:
        return _last_words(self._running, self._logs)

    def stop(self) -> None:
        """End all of them."""
        _stop(list(self._running.values()))


@contextmanager
def raftstore_processes(members: int) -> Iterator[RaftstoreProcesses]:
    """A process for each member over loopback, data on tmpfs; none runs yet."""
    ports = unused_ports(2 * members)
    peers = ",".join(f"m{number}=127.0.0.1:{ports[number]}" for number in range(members))
    place = RAM_DISK if RAM_DISK.is_dir() else None
    with tempfile.TemporaryDirectory(prefix="raftstore-", dir=place) as name:
        commands = []
        for number in range(members):
            command = [sys.executable, "-m", "raftstore.cli", "serve", f"--member=m{number}"]
            command += [f"--data-dir={name}/m{number}", f"--port={ports[members + number]}"]
            command += [f"--initial-cluster={peers}", "--quota-backend-bytes=-1"]
            commands.append(command)
        endpoints = tuple(f"127.0.0.1:{port}" for port in ports[members:])
        processes = RaftstoreProcesses(endpoints, commands, Path(name))
        try:
            yield processes
        finally:
            processes.stop()


@contextmanager
def real_etcd(members: int = DEFAULT_MEMBERS) -> Iterator[Served]:
    """A process for each member, over loopback, data on tmpfs, etcd's own defaults."""
    if ETCD is None:
        raise ServingError(WITHOUT_ETCD)
    ports = unused_ports(2 * members)
    peers = {f"m{number}": f"http://127.0.0.1:{ports[number]}" for number in range(members)}
    endpoints = [f"127.0.0.1:{port}" for port in ports[members:]]
    place = RAM_DISK if RAM_DISK.is_dir() else None
    with tempfile.TemporaryDirectory(prefix="etcd-", dir=place) as name:
        commands = [
            [
                ETCD,
                f"--name={member}",
                f"--data-dir={name}/{member}",
                f"--listen-client-urls=http://{endpoint}",
                f"--advertise-client-urls=http://{endpoint}",
                f"--listen-peer-urls={peers[member]}",
                f"--initial-advertise-peer-urls={peers[member]}",
                f"--initial-cluster={','.join(f'{n}={url}' for n, url in peers.items())}",
                "--log-level=error",
            ]
            for member, endpoint in zip(peers, endpoints, strict=True)
        ]
        with _running(commands, Path(name)) as last_words:
            yield _found(endpoints, last_words)


@contextmanager
def _running(
    commands: list[list[str]], logs: Path, directory: Path | None = None
) -> Iterator[Callable[[], str | None]]:
    processes: list[subprocess.Popen[bytes]] = []
    try:
        for number, command in enumerate(commands):
            with (logs / f"{number}.log").open("wb") as log:
                process = subprocess.Popen(command, stdout=log, stderr=log, cwd=directory)  # noqa: S603 - ours
                processes.append(process)
        yield lambda: _last_words(dict(enumerate(processes)), logs)
    finally:
        _stop(processes)


def _last_words(processes: Mapping[int, subprocess.Popen[bytes]], logs: Path) -> str | None:
    """The end of the log of a process that has ended; None while all run."""
    for number, process in processes.items():
        if process.poll() is not None:
            lines = (logs / f"{number}.log").read_text(errors="replace").splitlines()
            return "\n".join(lines[-LOG_LINES:])
    return None


def _stop(processes: list[subprocess.Popen[bytes]]) -> None:
    for process in processes:
        process.terminate()
    for process in processes:
        try:
            process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _found(endpoints: list[str], last_words: Callable[[], str | None]) -> Served:
    """Wait until the members have a leader."""
    deadline_s = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline_s:
        if (words := last_words()) is not None:
            raise ServingError(f"a member at {', '.join(endpoints)} ended at once:\n{words}")
        if all(map(_listens, endpoints)):
            leaders = trio.run(_leaders, endpoints)
            if leaders:
                return Served(tuple(endpoints), leaders[0])
        time.sleep(POLL_S)
    raise ServingError(f"{', '.join(endpoints)} had no leader in {START_TIMEOUT_S:.0f} s")


async def _leaders(endpoints: list[str]) -> list[str]:
    leaders = []
    for endpoint in endpoints:
        async with open_client(f"etcd://{endpoint}") as client:
            status = await client.status()
            if status.leader == status.header.member_id:
                leaders.append(endpoint)
    return leaders


def _listens(endpoint: str) -> bool:
    host, _, port = endpoint.partition(":")
    try:
        with socket.create_connection((host, int(port)), timeout=1):
            return True
    except OSError:
        return False
