"""`etcdctl make-mirror` between clusters: ours to ours, ours to a real etcd, and back."""

from __future__ import annotations

import pytest
import trio

from tests.gateway.etcdctl import ETCDCTL, RealEtcd, begin, etcdctl
from tests.gateway.served import Served

pytestmark = pytest.mark.skipif(
    ETCDCTL is None, reason="etcdctl is not installed (Debian: apt-get install etcd-client)"
)
ATTEMPTS = 40


def eventually(url: str, prefix: str, expected: str) -> None:
    """The mirror follows in its own time: look until it has."""
    found = ""
    for _ in range(ATTEMPTS):
        found = etcdctl(url, f"get {prefix} --prefix").rpartition("exit status 0")[0]
        if found.split() == expected.split():
            return
        trio.run(trio.sleep, 0.1)
    assert found.split() == expected.split()


def mirror(source: str, destination: str, name: str) -> None:
    """What is there, what comes, and what goes arrives under another prefix."""
    etcdctl(source, f"put {name}/a 1")
    etcdctl(source, f"put {name}/b 2")
    address = destination.removeprefix("http://")
    options = f"--prefix {name}/ --dest-prefix copy-{name}/"
    running = begin(source, f"make-mirror {address} {options}")
    try:
        eventually(destination, f"copy-{name}/", f"copy-{name}/a 1 copy-{name}/b 2")
        etcdctl(source, f"put {name}/c 3")
        eventually(destination, f"copy-{name}/", f"copy-{name}/a 1 copy-{name}/b 2 copy-{name}/c 3")
        etcdctl(source, f"del {name}/a {name}/c")
        etcdctl(source, f"put {name}/c 4")
        eventually(destination, f"copy-{name}/", f"copy-{name}/c 4")
    finally:
        running.kill()
        running.communicate()


def test_from_ours_to_ours(served: Served, fresh: Served) -> None:
    mirror(served.url, fresh.url, "ours")


def test_from_ours_to_a_real_etcd_and_back(served: Served, real_etcd: RealEtcd) -> None:
    mirror(served.url, real_etcd.url, "forth")
    mirror(real_etcd.url, served.url, "back")


def test_without_a_prefix_at_the_destination(served: Served, fresh: Served) -> None:
    etcdctl(served.url, "put bare/a 1")
    address = fresh.url.removeprefix("http://")
    running = begin(served.url, f"make-mirror {address} --prefix bare/ --no-dest-prefix")
    try:
        eventually(fresh.url, "a", "a 1")
        etcdctl(served.url, "put bare/a 2")
        eventually(fresh.url, "a", "a 2")
    finally:
        running.kill()
        running.communicate()
