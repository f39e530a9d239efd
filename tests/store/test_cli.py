"""The command line tells what happened, and its exit status says whether it was right."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from raftstore.cli import main
from raftstore.demo import Demo, StepFailedError


@pytest.mark.parametrize("members", ["1", "3", "5"])
def test_the_demo_takes_all_its_steps(members: str) -> None:
    result = CliRunner().invoke(main, ["demo", "--virtual", "--json", "--members", members])
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert report["ok"] is True
    assert all(step["ok"] for step in report["steps"])
    assert len(report["steps"]) == 7


def test_the_table_names_every_step() -> None:
    result = CliRunner().invoke(main, ["demo", "--virtual"])
    assert result.exit_code == 0
    assert "compare all members" in result.stdout


def test_a_failed_step_ends_the_demo_with_status_one(monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*_: object) -> str:
        raise StepFailedError("on purpose")

    monkeypatch.setattr(Demo, "_watch", fail)
    result = CliRunner().invoke(main, ["demo", "--virtual", "--json"])
    assert result.exit_code == 1
    steps = json.loads(result.stdout)["steps"]
    assert (len(steps), steps[-1]["detail"]) == (3, "StepFailedError: on purpose")


@pytest.mark.parametrize("arguments", [["demo", "--members", "0"], ["nonsense"], ["demo", "x"]])
def test_wrong_usage_ends_with_status_two(arguments: list[str]) -> None:
    assert CliRunner().invoke(main, arguments).exit_code == 2


def test_help_shows_examples_and_exit_status() -> None:
    assert "Exit status" in CliRunner().invoke(main, ["--help"]).stdout
    assert "raftstore demo --members 5" in CliRunner().invoke(main, ["demo", "-h"]).stdout
