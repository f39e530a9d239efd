"""Exit status and output of the commands."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from k8sactors.cli.main import cli
from k8sactors.network.kube_proxy import KubeProxy
from k8sactors.report import live
from k8sactors.scenario.load import load_scenario
from k8sactors.scenario.runner import title_of

SCENARIOS = Path(__file__).parents[2] / "scenarios"
GOOD = str(SCENARIOS / "optimistic-concurrency.yaml")
HEAD = "apiVersion: k8sactors/v1\nname: test\ndescription: A test.\ncluster: {workers: 1}\n"
FAILS = HEAD + "steps: [{expect: {within: 1s, that: [{exists: {resource: pods, name: no}}]}}]\n"
JSON_KEYS = {"ok", "trace_hash", "virtual_seconds", "wall_seconds", "steps"}


def call(*arguments: str) -> Result:
    return CliRunner().invoke(cli, arguments)


@pytest.mark.covers("DC-13")
def test_a_good_run_ends_with_0_its_steps_and_a_verdict() -> None:
    result = call("run", GOOD)
    assert result.exit_code == 0, result.output
    titles = [title_of(step) for step in load_scenario(Path(GOOD)).file.steps]
    lines = result.output.splitlines()
    assert all(any("✔" in line and title in line for line in lines) for title in titles)
    assert lines[-1].startswith("PASSED")


def test_json_is_all_that_is_printed() -> None:
    result = call("run", GOOD, "--json", "--seed", "3")
    report = json.loads(result.output)
    assert report.keys() >= JSON_KEYS
    assert (report["ok"], report["seed"]) == (True, 3)


def test_log_lines_of_a_run_with_failures_never_reach_its_json() -> None:
    result = call("run", str(SCENARIOS / "store-failover.yaml"), "--json")
    assert json.loads(result.stdout)["ok"] is True
    assert result.stderr == ""


@pytest.mark.covers("DC-13")
def test_a_failed_expectation_ends_with_1(tmp_path: Path) -> None:
    file = tmp_path / "fails.yaml"
    file.write_text(FAILS.replace("name: no}", "name: none}"))
    result = call("run", str(file))
    assert result.exit_code == 1
    assert "FAILED" in result.output
    assert json.loads(call("run", str(file), "--json").output)["ok"] is False


@pytest.mark.covers("DC-13")
@pytest.mark.parametrize("command", ["run", "validate", "compare"])
def test_bad_input_ends_with_2_and_its_place(tmp_path: Path, command: str) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text(HEAD + "steps: [{advanc: 1s}]\n")
    result = call(command, str(file))
    assert result.exit_code == 2
    assert "bad.yaml:5:10: steps[0].advanc: unknown key 'advanc'" in result.output


@pytest.mark.parametrize(
    ("arguments", "answer"),
    [
        (["run", GOOD, "--sed", "1"], "--seed"),
        (["run", GOOD, "--seed", "x"], "expected a whole number, 0 or more; got 'x'"),
        (["run", GOOD, "--seed", "-1"], "expected a whole number, 0 or more; got '-1'"),
        (["run", GOOD, "--topology", "ring"], "'single', 'stacked', 'external'"),
        (["run", GOOD, "--trace", "/no/such/folder/x"], "cannot write '/no/such/folder/x'"),
        (["run", GOOD, "--log-level", "loud"], "'debug', 'info', 'warning', 'error'"),
        (["run", "/no/such.yaml"], "/no/such.yaml:1:1: cannot read this scenario: No such file"),
        (["run", str(SCENARIOS)], "cannot read this scenario: Is a directory"),
        (["run"], "Missing argument 'FILE'"),
        (["runn", GOOD], "no command 'runn'; did you mean 'run'?"),
        (["dance"], "no command 'dance'; there are"),
        (
            ["validate", str(SCENARIOS / "manifests" / "hello.yaml")],
            "is a manifest, not a scenario",
        ),
    ],
)
def test_a_wrong_command_line_ends_with_2_and_what_was_expected(
    arguments: list[str], answer: str
) -> None:
    result = call(*arguments)
    assert result.exit_code == 2
    assert answer in result.output
    assert "Traceback" not in result.output


def test_a_crash_of_a_component_fails_the_run_with_actor_time_and_cause(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(self: KubeProxy) -> None:
        raise RuntimeError(f"injected into {self.ctx.address}")

    monkeypatch.setattr(KubeProxy, "on_start", broken)
    file = tmp_path / "calm.yaml"
    file.write_text(HEAD + "settles: false\nsteps: [{advance: 5m}]\n")
    result = call("run", str(file), "--json", "--log-format", "json")
    assert result.exit_code == 1
    first = json.loads(result.stdout)["crashes"][0]
    assert first["actor"].endswith("/kube-proxy")
    assert "injected into" in first["cause"]
    line = json.loads(result.stderr.splitlines()[0])
    assert (line["event"], line["actor"], line["level"]) == ("crashed", first["actor"], "error")
    assert "kube-proxy crashed at" in call("run", str(file)).stdout


def test_a_log_in_json_is_one_object_per_line_with_actor_event_and_virtual_time() -> None:
    result = call("run", GOOD, "--log-level", "info", "--log-format", "json")
    lines = [json.loads(line) for line in result.stderr.splitlines()]
    assert "leading" in [line["event"] for line in lines]
    assert all(line["actor"].startswith(f"{line['host']}/") for line in lines)
    instants = [line["ts"] for line in lines]
    assert instants == sorted(instants)


def test_a_log_in_text_is_one_line_per_event() -> None:
    result = call("run", GOOD, "--log-level", "info")
    assert any(
        "info     cp-1/kube-controller-manager  leading" in line
        for line in result.stderr.splitlines()
    )


def test_a_long_run_off_a_terminal_says_that_it_continues(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "_LINE_S", 0.0)
    told = call("run", GOOD).stdout
    assert "Apply" in told
    assert "▶" in told
    assert "bold" not in told


def test_all_shipped_scenarios_are_valid() -> None:
    result = call("validate", *map(str, sorted(SCENARIOS.glob("*.yaml"))))
    assert result.exit_code == 0, result.output


def test_a_trace_holds_one_message_per_line(tmp_path: Path) -> None:
    trace = tmp_path / "trace.jsonl"
    result = call("run", GOOD, "--json", "--trace", str(trace))
    lines = trace.read_text().splitlines()
    assert len(lines) == json.loads(result.output)["messages"]
    assert json.loads(lines[0]).keys() == {"seconds", "frame"}


@pytest.mark.covers("DC-11")
def test_a_lost_control_plane_takes_a_store_member_along_only_when_stacked(tmp_path: Path) -> None:
    file = tmp_path / "lose.yaml"
    cluster = "cluster: {topology: stacked, workers: 1}\n"
    file.write_text(
        HEAD.replace("cluster: {workers: 1}\n", cluster)
        + "settles: false\nsteps: [{inject: {kill-host: cp-2}}, {advance: 10s}]\n"
    )
    outcome = json.loads(call("compare", str(file), "--json").stdout)
    lost = {
        topology: next(step["lost"] for step in result["steps"] if step["verb"] == "inject")
        for topology, result in outcome.items()
    }
    assert set(lost["stacked"]) - set(lost["external"]) == {"cp-2/etcd"}
    assert set(lost["external"]) < set(lost["stacked"])


@pytest.mark.covers("DC-17")
def test_a_run_writes_no_file() -> None:
    program = """
import sys
WRITES = 0x1 | 0x2 | 0x40 | 0x200 | 0x400
def hook(event, arguments):
    if event == "open" and isinstance(arguments[0], str) and arguments[2] & WRITES:
        raise AssertionError(f"wrote {arguments[0]}")
from k8sactors.cli.run import run
sys.addaudithook(hook)
run([sys.argv[1], "--json"])
"""
    command = [sys.executable, "-B", "-c", program, GOOD]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["ok"]


def test_help_shows_examples() -> None:
    assert "k8sactors run scenarios/failover-tour.yaml" in call("--help").output
