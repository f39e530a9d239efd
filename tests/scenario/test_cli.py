"""Exit status and output of the commands."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from k8sactors.cli.main import cli

SCENARIOS = Path(__file__).parents[2] / "scenarios"
GOOD = str(SCENARIOS / "optimistic-concurrency.yaml")
HEAD = "apiVersion: k8sactors/v1\nname: test\ndescription: A test.\ncluster: {workers: 1}\n"
FAILS = HEAD + "steps: [{expect: {within: 1s, that: [{exists: {resource: pods, name: no}}]}}]\n"
JSON_KEYS = {"ok", "trace_hash", "virtual_seconds", "wall_seconds", "steps"}


def call(*arguments: str) -> Result:
    return CliRunner().invoke(cli, arguments)


def test_a_good_run_ends_with_0_and_a_verdict() -> None:
    result = call("run", GOOD)
    assert result.exit_code == 0, result.output
    assert "PASSED" in result.output


def test_json_is_all_that_is_printed() -> None:
    result = call("run", GOOD, "--json", "--seed", "3")
    report = json.loads(result.output)
    assert report.keys() >= JSON_KEYS
    assert (report["ok"], report["seed"]) == (True, 3)


def test_log_lines_of_a_run_with_failures_never_reach_its_json() -> None:
    result = call("run", str(SCENARIOS / "store-failover.yaml"), "--json")
    assert json.loads(result.stdout)["ok"] is True
    assert result.stderr == ""


def test_a_failed_expectation_ends_with_1(tmp_path: Path) -> None:
    file = tmp_path / "fails.yaml"
    file.write_text(FAILS.replace("name: no}", "name: nobody}"))
    result = call("run", str(file))
    assert result.exit_code == 1
    assert "FAILED" in result.output
    assert json.loads(call("run", str(file), "--json").output)["ok"] is False


@pytest.mark.parametrize("command", ["run", "validate", "compare"])
def test_bad_input_ends_with_2_and_its_place(tmp_path: Path, command: str) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text(HEAD + "steps: [{advanc: 1s}]\n")
    result = call(command, str(file))
    assert result.exit_code == 2
    assert "bad.yaml:5:10: steps[0].advanc: unknown key 'advanc'" in result.output


def test_an_unknown_option_ends_with_2() -> None:
    assert call("run", GOOD, "--sed", "1").exit_code == 2


def test_all_shipped_scenarios_are_valid() -> None:
    result = call("validate", *map(str, sorted(SCENARIOS.glob("*.yaml"))))
    assert result.exit_code == 0, result.output


def test_a_trace_holds_one_message_per_line(tmp_path: Path) -> None:
    trace = tmp_path / "trace.jsonl"
    result = call("run", GOOD, "--json", "--trace", str(trace))
    lines = trace.read_text().splitlines()
    assert len(lines) == json.loads(result.output)["messages"]
    assert json.loads(lines[0]).keys() == {"seconds", "frame"}


def test_help_shows_examples() -> None:
    assert "k8sactors run scenarios/failover-tour.yaml" in call("--help").output
