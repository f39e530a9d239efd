"""Same seed, same hash: whole clusters, in different processes, under different hash seeds."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def _start(scenario: str, hash_seed: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "k8sactors", "run", f"scenarios/{scenario}.yaml", "--json"]
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
    return subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.covers("DC-14")
@pytest.mark.parametrize(
    ("scenario", "hash_seeds"),
    [
        ("store-failover", ("1", "22")),
        ("rolling-update", ("22", "333")),
        ("partition", ("333", "1")),
    ],
)
def test_a_scenario_gives_the_same_trace_in_every_process(
    scenario: str, hash_seeds: tuple[str, str]
) -> None:
    processes = [_start(scenario, hash_seed) for hash_seed in hash_seeds]
    outputs = [process.communicate(timeout=120) for process in processes]
    results = [json.loads(stdout) for stdout, _stderr in outputs]
    assert [result["ok"] for result in results] == [True, True]
    assert len({result["trace_hash"] for result in results}) == 1
