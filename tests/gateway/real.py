"""Real etcd processes, where the binary is installed."""

from __future__ import annotations

import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import trio

from benches.ports import unused_ports

ETCD = shutil.which("etcd")
WITHOUT_ETCD = "etcd is not installed (Debian: apt-get install etcd-server)"
MEMORY = Path("/dev/shm")  # noqa: S108 - a directory of its own is made in it
START_TIMEOUT_S = 15.0
POLL_S = 0.05


class Etcd:
    """A running cluster; `endpoints` are its members' ``host:port``."""

    def __init__(self, processes: list[subprocess.Popen[bytes]], endpoints: list[str]) -> None:
        self.processes = processes
        self.endpoints = endpoints

    @property
    def url(self) -> str:
        return f"http://{self.endpoints[0]}"

    @property
    def target(self) -> str:
        return f"etcd://{','.join(self.endpoints)}"

    def kill(self, number: int) -> None:
        self.processes[number].kill()
        self.processes[number].wait()


@contextmanager
def real_etcd(directory: Path, members: int = 1, *options: str) -> Iterator[Etcd]:
    """Start a cluster, and wait until each member is healthy."""
    assert ETCD is not None
    ports = unused_ports(2 * members)
    names = [f"m{number}" for number in range(members)]
    peers = {name: f"http://127.0.0.1:{ports[2 * n + 1]}" for n, name in enumerate(names)}
    endpoints = [f"127.0.0.1:{ports[2 * number]}" for number in range(members)]
    processes = []
    try:
        for name, endpoint in zip(names, endpoints, strict=True):
            with (directory / f"{name}.log").open("wb") as log:
                command = [
                    ETCD,
                    f"--name={name}",
                    f"--data-dir={directory / name}",
                    f"--listen-client-urls=http://{endpoint}",
                    f"--advertise-client-urls=http://{endpoint}",
                    f"--listen-peer-urls={peers[name]}",
                    f"--initial-advertise-peer-urls={peers[name]}",
                    f"--initial-cluster={','.join(f'{n}={url}' for n, url in peers.items())}",
                    "--unsafe-no-fsync",
                    *options,
                ]
                processes.append(subprocess.Popen(command, stdout=log, stderr=log))
        for endpoint in endpoints:
            _wait_ready(endpoint, processes)
        yield Etcd(processes, endpoints)
    finally:
        for process in processes:
            process.kill()
        for process in processes:
            process.wait()


def _wait_ready(endpoint: str, processes: list[subprocess.Popen[bytes]]) -> None:
    host, _, port = endpoint.partition(":")
    for _ in range(int(START_TIMEOUT_S / POLL_S)):
        assert all(process.poll() is None for process in processes), "etcd has ended"
        if _healthy(host, int(port)):
            return
        trio.run(trio.sleep, POLL_S)
    raise AssertionError("etcd did not become healthy")


def _healthy(host: str, port: int) -> bool:
    try:
        with socket.create_connection((host, port), timeout=1) as connection:
            connection.sendall(b"GET /health HTTP/1.0\r\n\r\n")
            return b'"true"' in connection.makefile("rb").read()
    except OSError:
        return False


@contextmanager
def memory_directory(factory: pytest.TempPathFactory) -> Iterator[Path]:
    """An empty directory, in memory where the system has such a place."""
    if not MEMORY.is_dir():
        yield factory.mktemp("clusters")
        return
    with tempfile.TemporaryDirectory(dir=MEMORY) as name:
        yield Path(name)
