"""The load that `etcdctl check` makes passes on a served cluster. Takes minutes: by hand."""

from __future__ import annotations

import os
import subprocess

import pytest

from tests.gateway.etcdctl import ETCDCTL
from tests.gateway.served import Served

ASKED = "ETCDCTL_CHECKS"
LIMIT_S = 180

pytestmark = [
    pytest.mark.skipif(
        ETCDCTL is None, reason="etcdctl is not installed (Debian: apt-get install etcd-client)"
    ),
    pytest.mark.skipif(
        ASKED not in os.environ, reason=f"takes two minutes and both cores: set {ASKED}=1"
    ),
]


@pytest.mark.parametrize("load", ["perf", "datascale"])
def test_the_small_load_passes(fresh: Served, load: str) -> None:
    assert ETCDCTL is not None
    options = ["--load=s", "--auto-compact", "--auto-defrag"]
    ended = subprocess.run(
        [ETCDCTL, "check", load, *options],
        capture_output=True,
        timeout=LIMIT_S,
        check=False,
        env={**os.environ, "ETCDCTL_API": "3", "ETCDCTL_ENDPOINTS": fresh.url},
    )
    text = ended.stdout.decode()
    assert ended.returncode == 0, text
    assert "PASS" in text
    assert "FAIL" not in text
    assert "Compacted with revision" in text
    assert "Defragmented" in text
