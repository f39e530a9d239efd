"""One served cluster for all tests that speak to it over a port."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.gateway import real
from tests.gateway.etcdctl import ETCD, RealEtcd
from tests.gateway.served import Served, start, stopping


@pytest.fixture(scope="session")
def served() -> Iterator[Served]:
    with stopping(start("--port", "0")) as running:
        yield running


@pytest.fixture
def real_etcd(tmp_path: Path) -> Iterator[RealEtcd]:
    if ETCD is None:
        pytest.skip("etcd is not installed (Debian: apt-get install etcd-server)")
    etcd = RealEtcd(tmp_path)
    try:
        etcd.wait_ready()
        yield etcd
    finally:
        etcd.process.kill()
        etcd.process.wait()


@pytest.fixture(scope="module")
def addresses(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """Of a member of ours, and of a real etcd."""
    with (
        real.memory_directory(tmp_path_factory) as directory,
        real.real_etcd(directory) as theirs,
        stopping(start("--port", "0", "--members", "1")) as ours,
    ):
        yield ours.url.removeprefix("http://"), theirs.endpoints[0]


@pytest.fixture
def fresh() -> Iterator[Served]:
    with stopping(start("--port", "0")) as running:
        yield running
