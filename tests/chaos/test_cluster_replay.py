"""A finding in a whole cluster is made small, written down, and found again from its file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from k8sactors.chaos.cluster.options import ClusterChaos
from k8sactors.chaos.cluster.replay import read_replay, write_replay
from k8sactors.chaos.cluster.scenario_run import run_scenario_seed, run_with_options
from k8sactors.chaos.replay import BadReplayError
from k8sactors.chaos.zoo.bugs import BUGS
from k8sactors.cli.main import cli

SCENARIO = """apiVersion: k8sactors/v1
name: small
description: A small cluster.
cluster: {topology: stacked, workers: 1}
steps: [{advance: 1s}]
chaos:
  duration: 15s
  settle: 60s
  storeClients: 1
  users: 1
  kinds: [partition, kill-new-leader, isolate-leader, kill-host]
"""
FORGOTTEN_VOTE = BUGS[3]
SEED = 1


@pytest.fixture(name="scenario")
def _scenario(tmp_path: Path) -> Path:
    file = tmp_path / "small.yaml"
    file.write_text(SCENARIO)
    return file


def _chaos(*words: str | Path) -> Result:
    return CliRunner().invoke(cli, ["chaos", *map(str, words)])


def test_a_broken_build_is_found_shrunk_and_replayed(tmp_path: Path, scenario: Path) -> None:
    report = tmp_path / "report"
    with FORGOTTEN_VOTE.switched_on():
        seeds = ("--seeds", SEED, "--jobs", "1")
        found = _chaos(scenario, *map(str, seeds), "--report", report, "--json")
        assert found.exit_code == 1, found.output
        told = json.loads(found.output)
        file = report / f"seed-{SEED}.yaml"
        assert {each["check"] for each in told["findings"]} >= {"single-vote"}
        assert told["findings"][0]["replay"] == f"k8sactors chaos --replay {file}"
        before = run_scenario_seed(scenario, None, SEED)
        shrunk = read_replay(file)
        again = _chaos("--replay", file, "--json")
    assert again.exit_code == 1, again.output
    repeated = json.loads(again.output)
    assert repeated["same_trace"]
    assert {each["check"] for each in repeated["findings"]} >= {"single-vote"}
    plan = shrunk.options.plan or ()
    assert len(before.plan) > 10
    assert len(plan) <= 2
    assert (shrunk.options.store_clients, shrunk.options.api_clients) == (0, 0)
    assert shrunk.options.faults_ms < 15_000
    sound = _chaos("--replay", file)
    assert sound.exit_code == 0, sound.output
    assert "nothing found" in sound.output


def test_a_plan_that_was_drawn_gives_the_same_run_when_it_is_given(
    tmp_path: Path, scenario: Path
) -> None:
    drawn = run_scenario_seed(scenario, "external", 2)
    file = tmp_path / "elsewhere" / "seed-2.yaml"
    file.parent.mkdir()
    options = ClusterChaos(
        faults_ms=15_000, settle_ms=60_000, store_clients=1, api_clients=1, plan=drawn.plan
    )
    write_replay(file, scenario, "external", options, drawn)
    replay = read_replay(file)
    assert replay.options.plan == drawn.plan
    assert (replay.seed, replay.topology) == (2, "external")
    again = run_with_options(replay.scenario, replay.topology, replay.seed, replay.options)
    assert (again.trace_hash, again.findings) == (drawn.trace_hash, drawn.findings)
    assert again.trace_hash == replay.trace_hash


FAULT = {"at_ms": 1, "duration_ms": 100, "kind": "kill-host", "host": "cp-1"}


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"format": 2}, "no replay file of format 1; `k8sactors chaos` writes them"),
        ({"seed": -1}, "seed must be a whole number"),
        ({"scenario": None}, "scenario must be the path of a file"),
        ({"scenario": "none.yaml"}, "cannot read this scenario"),
        ({"topology": "ring"}, "there is no topology 'ring'"),
        ({"options": {"users": 1}}, "no option 'users'"),
        ({"options": {"api_clients": 51}}, "must be at least 0 and at most 50"),
        ({"options": {"settle_ms": "x"}}, "must be a int"),
        ({"faults": 7}, "faults must be a list"),
        ({"faults": [{**FAULT, "kind": "kill-hots"}]}, "did you mean 'kill-host'"),
        ({"faults": [{**FAULT, "host": "cp-9"}]}, "there is no machine 'cp-9'"),
        ({"faults": [{**FAULT, "at_ms": 99_000}]}, "never strikes"),
        ({"faults": [{**FAULT, "kind": "rolling-restart"}]}, "stands for several faults"),
    ],
)
def test_a_file_that_cannot_be_replayed_is_refused_with_the_reason(
    tmp_path: Path, scenario: Path, change: dict[str, Any], complaint: str
) -> None:
    file = tmp_path / "replay.yaml"
    data = {"format": 1, "seed": 1, "scenario": scenario.name, "faults": [FAULT], **change}
    file.write_text(yaml.safe_dump(data))
    with pytest.raises(BadReplayError) as caught:
        read_replay(file)
    assert complaint in str(caught.value)
    refused = _chaos("--replay", file)
    assert refused.exit_code == 2
    assert "Traceback" not in refused.output


@pytest.mark.parametrize("words", [("--seeds", "1..2"), ("--topology", "single")])
def test_what_the_file_says_does_not_go_with_a_replay(
    tmp_path: Path, scenario: Path, words: tuple[str, str]
) -> None:
    refused = _chaos("--replay", tmp_path / "r.yaml", *words)
    assert refused.exit_code == 2
    assert f"{words[0]} does not go with --replay" in refused.output
    assert "FILE does not go with" in _chaos(scenario, "--replay", tmp_path / "r.yaml").output


def test_without_a_scenario_and_without_a_replay_there_is_nothing_to_run() -> None:
    refused = _chaos()
    assert refused.exit_code == 2
    assert "name a scenario FILE, or give --replay FILE" in refused.output
