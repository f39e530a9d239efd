"""The bench of many pods does what it claims, at any size."""

from __future__ import annotations

import json

from click.testing import CliRunner

from benches.scale import main


def test_all_pods_of_all_deployments_come_up() -> None:
    arguments = ["--nodes", "3", "--pods", "12", "--deployments", "2", "--json"]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert report["pods_per_second"] > 0
    assert report["messages_per_pod"] > 1
    assert report["virtual_seconds"] < 60
    assert report["crashes"] == 0


def test_a_run_that_takes_too_long_fails() -> None:
    arguments = ["--nodes", "1", "--pods", "300", "--deployments", "1", "--limit-s", "20"]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 1
    assert "of 300 pods are ready after 20" in result.output


def test_pods_that_cannot_be_shared_out_are_refused() -> None:
    result = CliRunner().invoke(main, ["--pods", "10", "--deployments", "3"])
    assert result.exit_code == 2
