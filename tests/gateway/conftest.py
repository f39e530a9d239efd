"""One served cluster for all tests that speak to it over a port."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

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


@pytest.fixture
def fresh() -> Iterator[Served]:
    with stopping(start("--port", "0")) as running:
        yield running
