"""The scheduling benchmark does the work it says it measures."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
import structlog
from click.testing import CliRunner

from benches.scheduling import main


@pytest.fixture(autouse=True)
def keep_log_configuration() -> Iterator[None]:
    before = structlog.get_config()
    yield
    structlog.configure(**before)


def test_every_pod_is_created_bound_and_reported() -> None:
    arguments = ["--nodes", "10", "--init-pods", "5", "--pods", "45", "--json"]
    outcome = CliRunner().invoke(main, arguments)
    assert outcome.exit_code == 0, outcome.output
    result = json.loads(outcome.stdout)
    assert (result["most_pods_on_a_node"], result["fewest_pods_on_a_node"]) == (5, 5)
    assert set(result["latency_ms"]) == {"p50", "p99"}
    assert {"pods_per_second", "cpu_seconds", "cpu_seconds_per_pod", "peak_rss_mb"} <= set(result)


def test_the_decision_can_be_measured_alone() -> None:
    arguments = ["--nodes", "10", "--init-pods", "5", "--pods", "20", "--decisions-only", "--json"]
    outcome = CliRunner().invoke(main, arguments)
    assert outcome.exit_code == 0, outcome.output
    assert json.loads(outcome.stdout)["pods"] == 20


def test_pods_that_cannot_fit_are_refused_before_anything_starts() -> None:
    outcome = CliRunner().invoke(main, ["--nodes", "1", "--pods", "41", "--init-pods", "0"])
    assert outcome.exit_code == 2
    assert "41 pods of 100m do not fit on 1 nodes" in outcome.output
