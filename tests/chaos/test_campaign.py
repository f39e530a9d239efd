"""Campaigns: seeds over processes, exact replay, and what the command says about bad input."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from k8sactors.chaos.campaign import run_campaign
from k8sactors.chaos.cluster.scenario_run import run_scenario_seed
from k8sactors.chaos.outcome import Outcome
from k8sactors.chaos.store.options import StoreChaos
from k8sactors.chaos.store.run import run_store
from k8sactors.checkers.findings import Finding
from k8sactors.cli import chaos as chaos_command
from k8sactors.cli.main import cli

SCENARIOS = Path(__file__).parents[2] / "scenarios"
STACKED = SCENARIOS / "chaos-stacked.yaml"
EXTERNAL = SCENARIOS / "chaos-external.yaml"


def _chaos(*words: str) -> Result:
    return CliRunner().invoke(cli, ["chaos", *words])


@pytest.mark.covers("DC-14")
@pytest.mark.parametrize("file", [STACKED, EXTERNAL], ids=["stacked", "external"])
@pytest.mark.parametrize("seed", [1, 2])
def test_a_cluster_under_faults_keeps_its_guarantees_and_converges(file: Path, seed: int) -> None:
    outcome = run_scenario_seed(file, None, seed)
    assert [str(finding) for finding in outcome.findings] == []
    assert outcome.operations > 0
    assert outcome.faults


@pytest.mark.covers("DC-14")
def test_a_seed_replays_exactly() -> None:
    first, second = (run_scenario_seed(STACKED, None, 5) for _ in range(2))
    assert first == second
    assert first.trace_hash != run_scenario_seed(STACKED, None, 6).trace_hash


def test_processes_give_the_same_outcomes_as_one_alone() -> None:
    run_seed = partial(run_store, StoreChaos(faults_ms=5_000))
    seeds = range(1, 6)
    alone = {outcome.seed: outcome.trace_hash for outcome in run_campaign(run_seed, seeds, 1)}
    together = {outcome.seed: outcome.trace_hash for outcome in run_campaign(run_seed, seeds, 2)}
    assert list(alone) == list(seeds)
    assert together == alone


def _broken(seed: int) -> Outcome:
    findings = (Finding("linearizability", "a write is lost", 7),) if seed == 2 else ()
    return Outcome(seed, findings, (), trace_hash=f"{seed:x}", virtual_seconds=10.0)


@pytest.fixture
def _one_bad_seed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        chaos_command, "run_scenario_seed", lambda _file, _topology, seed: _broken(seed)
    )


@pytest.mark.usefixtures("_one_bad_seed")
def test_json_tells_of_a_finding_and_how_to_replay_it() -> None:
    words = ("--seeds", "1..3", "--jobs", "1", "--no-shrink", "--json")
    result = _chaos(str(STACKED), *words)
    assert result.exit_code == 1
    told = json.loads(result.output)
    assert told["seeds"] == 3
    assert told["virtual_seconds"] == 30.0
    assert told["findings"] == [
        {
            "seed": 2,
            "check": "linearizability",
            "message": "a write is lost",
            "replay": "k8sactors chaos --replay chaos-report/seed-2.yaml",
        }
    ]


@pytest.mark.usefixtures("_one_bad_seed")
def test_the_terminal_shows_the_command_that_replays_a_finding() -> None:
    words = ("--seeds", "1..3", "--jobs", "1", "--topology", "external", "--no-shrink")
    result = _chaos(str(STACKED), *words)
    assert result.exit_code == 1
    assert "linearizability: a write is lost" in result.output
    assert "k8sactors chaos --replay chaos-report/seed-2.yaml" in result.output


@pytest.mark.usefixtures("_one_bad_seed")
def test_a_finding_that_cannot_be_written_is_told_with_the_command_that_finds_it_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(chaos_command, "write_replay", full)
    words = ("--seeds", "1..3", "--jobs", "1", "--topology", "external", "--no-shrink")
    result = _chaos(str(STACKED), *words)
    assert result.exit_code == 1
    assert f"k8sactors chaos {STACKED} --seeds 2..2 --topology external" in result.output


@pytest.mark.usefixtures("_one_bad_seed")
def test_without_a_finding_the_status_is_zero() -> None:
    result = _chaos(str(STACKED), "--seeds", "3..3")
    assert result.exit_code == 0, result.output
    assert "PASSED" in result.output


@pytest.mark.parametrize("seeds", ["5..1", "x", "1..", "..3", "-1..3", "1..2..3", "1.5"])
def test_a_bad_range_of_seeds_is_refused(seeds: str) -> None:
    result = _chaos(str(STACKED), f"--seeds={seeds}")
    assert result.exit_code == 2
    assert "Traceback" not in result.output


def test_an_unknown_file_is_refused() -> None:
    result = _chaos("no-such-file.yaml", "--seeds", "1..2")
    assert result.exit_code == 2


def test_an_unknown_kind_of_fault_is_refused_with_its_place(tmp_path: Path) -> None:
    file = tmp_path / "bad.yaml"
    text = STACKED.read_text(encoding="utf-8").replace("- kill-host", "- kill-hots")
    file.write_text(text, encoding="utf-8")
    (tmp_path / "manifests").symlink_to(SCENARIOS / "manifests")
    line = text.splitlines().index("    - kill-hots") + 1
    result = CliRunner().invoke(cli, ["chaos", str(file), "--json"])
    assert result.exit_code == 2
    (problem,) = json.loads(result.output)["problems"]
    assert problem["line"] == line
    assert "kill-host" in problem["message"]
