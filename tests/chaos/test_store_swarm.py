"""`raftstore chaos`: what a seed draws, what a broken build shows, and how small it gets."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import attrs
import pytest
import yaml
from click.testing import CliRunner, Result

from k8sactors.chaos.campaign import run_campaign
from k8sactors.chaos.outcome import Outcome
from k8sactors.chaos.replay import BadReplayError, check_faults
from k8sactors.chaos.shrink import shrink
from k8sactors.chaos.store import load as store_load
from k8sactors.chaos.store.mix import FEATURES
from k8sactors.chaos.store.options import StoreChaos
from k8sactors.chaos.store.replay import read_replay, write_replay
from k8sactors.chaos.store.run import run_store
from k8sactors.chaos.store.swarm import draw_chaos, kinds_of, run_swarm
from k8sactors.chaos.store.watcher import StoreWatcher
from k8sactors.chaos.zoo.bugs import BUGS
from k8sactors.checkers.findings import Finding
from k8sactors.checkers.kv_history import ActionKind, Request
from k8sactors.checkers.kv_history import Outcome as Told
from k8sactors.cli import campaign as campaign_module
from k8sactors.cli import store_chaos as command_module
from k8sactors.cli.store_chaos import chaos
from k8sactors.fabric import Network
from k8sactors.faults import PlannedFault, Strike, faults_of_groups
from raftstore.cli import main as raftstore_main
from raftstore.mvcc import lease as lease_module
from raftstore.server.leases import LeaseKeeper

BROKEN = BUGS[3]
"""The vote is forgotten on a step-down: soon two votes in one term."""
ALL = kinds_of(())


def _command(*words: str) -> Result:
    return CliRunner().invoke(chaos, words)


@pytest.mark.parametrize("members", [3, 5])
def test_fresh_seeds_of_everything_find_nothing(members: int) -> None:
    for seed in range(1, 9):
        outcome = run_swarm(members, ALL, seed)
        assert [str(finding) for finding in outcome.findings] == []
        assert outcome.exercised["answers"] > 0


def test_every_kind_of_fault_is_drawn_and_most_seeds_leave_most_out() -> None:
    drawn = [
        {fault.part_of or fault.kind for fault in draw_chaos(seed, 3, ALL).plan or ()}
        for seed in range(300)
    ]
    assert set().union(*drawn) == set(ALL)
    assert sum(len(kinds) < len(ALL) / 2 for kinds in drawn) > 150


def test_a_seed_draws_and_runs_the_same_each_time() -> None:
    assert draw_chaos(4, 3, ALL) == draw_chaos(4, 3, ALL)
    assert run_swarm(3, ALL, 4) == run_swarm(3, ALL, 4)


def _first_failure() -> tuple[int, StoreChaos, Outcome]:
    for seed in range(1, 60):
        drawn = draw_chaos(seed, 3, ALL)
        outcome = run_store(drawn, seed)
        if "single-vote" in outcome.checks:
            return seed, drawn, outcome
    pytest.fail("the defect was not caught")


def test_a_broken_build_fails_shrinks_to_few_faults_and_replays(tmp_path: Path) -> None:
    with BROKEN.switched_on():
        seed, drawn, outcome = _first_failure()
        shrunk = shrink(lambda each: run_store(each, seed), drawn, outcome, "single-vote", 60)
        file = tmp_path / "replay.yaml"
        write_replay(file, shrunk.options, shrunk.outcome)
        replay = read_replay(file)
        again = run_store(replay.options, replay.seed)
    assert "single-vote" in shrunk.outcome.checks
    assert len(shrunk.options.plan or ()) <= 3
    assert shrunk.runs <= 60
    assert again.findings == shrunk.outcome.findings
    assert again.trace_hash == replay.trace_hash
    assert run_store(replay.options, replay.seed).findings == ()


def _fails_with_both(marks: tuple[int, ...]) -> Outcome:
    found = {3, 17} <= set(marks)
    findings = (Finding("made-up", "both are there", 0),) if found else ()
    return Outcome(1, findings, tuple(map(str, marks)), "", 1.0)


def test_shrinking_leaves_exactly_the_faults_that_matter_and_makes_them_short() -> None:
    plan = tuple(PlannedFault(n * 100, 5_000, "kill-host", {"host": str(n)}) for n in range(20))
    start = StoreChaos(plan=plan)

    def run(tried: StoreChaos) -> Outcome:
        return _fails_with_both(tuple(int(fault.parameters["host"]) for fault in tried.plan or ()))

    shrunk = shrink(run, start, run(start), "made-up")
    assert [fault.parameters["host"] for fault in shrunk.options.plan or ()] == ["3", "17"]
    assert all(fault.duration_ms <= 10 for fault in shrunk.options.plan or ())
    assert shrunk.options.clients == 1
    assert shrunk.options.faults_ms < start.faults_ms


def test_shrinking_spends_no_more_runs_than_it_may() -> None:
    start = draw_chaos(1, 3, ALL)
    count = 0

    def run(_: StoreChaos) -> Outcome:
        nonlocal count
        count += 1
        return Outcome(1, (Finding("made-up", "always", 0),), (), "", 1.0)

    shrink(run, start, run(start), "made-up", 7)
    assert count <= 8


def test_a_replay_file_gives_back_what_was_written(tmp_path: Path) -> None:
    drawn = draw_chaos(11, 5, ALL)
    outcome = Outcome(11, (Finding("check", "two\nlines", 1),), (), "abc", 1.0)
    file = tmp_path / "seed-11.yaml"
    write_replay(file, drawn, outcome)
    replay = read_replay(file)
    assert replay.options == drawn
    assert (replay.seed, replay.checks, replay.trace_hash) == (11, ("check",), "abc")
    assert len(yaml.safe_load(file.read_text())["faults"]) == len(drawn.plan or ())


def _fault(parameters: str, at_ms: int = 1) -> str:
    return f"{{format: 1, seed: 1, faults: [{{{parameters}, at_ms: {at_ms}, duration_ms: 1}}]}}"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("faults: [", "no YAML"),
        ("[]", "no replay file"),
        ("format: 1", "seed"),
        ("{format: 1, seed: 1, options: {speed: 3}}", "no option 'speed'"),
        ("{format: 1, seed: 1, options: {clients: many}}", "must be a int"),
        ("{format: 1, seed: 1, faults: [{kind: flood, at_ms: 1, duration_ms: 1}]}", "'flood'"),
        ("{format: 1, seed: 1, faults: [{kind: kill-host, at_ms: 1, duration_ms: 1}]}", "host"),
        ("{format: 1, seed: 1, faults: [{kind: kill-host, host: etcd-1}]}", "at_ms"),
        ("{format: 1, seed: 1, faults: [7]}", "mapping"),
        ("{format: 1, seed: -1}", "seed"),
        ("{format: 1, seed: 1, checks: 7}", "checks"),
        ("{format: 1, seed: 1, faults: 7}", "faults must be a list"),
        ("{format: 1, seed: 1, options: {members: 0}}", "option members must be at least 1"),
        ("{format: 1, seed: 1, options: {latency_us: -1}}", "latency_us must be at least 0"),
        ("{format: 1, seed: 1, options: {features: [magic]}}", "no feature 'magic'"),
        (_fault("kind: kill-host, host: h"), "no machine 'h'"),
        (_fault("kind: crash-loop"), "stands for several faults"),
        (_fault("kind: kill-host, host: etcd-1, why: x"), "does not know why"),
        (
            _fault("kind: slow-host, host: etcd-1, run_ms: x, stall_ms: 1"),
            "slow-host at 1 ms: run_ms must be an int",
        ),
        (_fault("kind: kill-host, host: etcd-1", 99_999), "never strikes"),
        (
            "{format: 1, seed: 1, faults: [{kind: lost-disk, host: e, at_ms: 1, duration_ms: 1}]}",
            "there is no machine 'e'",
        ),
    ],
)
def test_a_bad_replay_file_is_refused_with_what_is_wrong(
    tmp_path: Path, text: str, complaint: str
) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text(text)
    with pytest.raises(BadReplayError, match=complaint):
        read_replay(file)
    result = _command("--replay", str(file))
    assert result.exit_code == 2
    assert "Traceback" not in result.output


@pytest.mark.parametrize("members", [3, 5])
def test_whatever_is_drawn_can_stand_in_a_replay_file(members: int) -> None:
    kinds = set()
    for seed in range(60):
        drawn = draw_chaos(seed, members, ALL)
        assert drawn.plan
        check_faults(drawn.plan, drawn.faults_ms, drawn.hosts)
        kinds |= {fault.kind for fault in drawn.plan}
    assert {"slow-watcher", "partition", "lost-disk"} <= kinds


@pytest.mark.parametrize("option", [("--seeds", "1..3"), ("--members", "5"), ("--faults", "disk")])
def test_a_replay_file_says_all_there_is_to_say(tmp_path: Path, option: tuple[str, str]) -> None:
    file = tmp_path / "run.yaml"
    file.write_text("{format: 1, seed: 1}")
    result = _command("--replay", str(file), *option)
    assert result.exit_code == 2
    assert f"{option[0]} does not go with --replay" in result.output


def test_a_report_that_cannot_be_written_is_refused_before_anything_runs(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    result = _command("--seeds", "1..2", "--report", str(file / "below"))
    assert result.exit_code == 2
    assert "choose another directory" in result.output


def test_a_finding_that_cannot_be_written_ends_no_campaign(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    finding = Finding("made-up", "wrong", 0)
    outcomes = [Outcome(1, (finding,), (), "", 1.0), Outcome(2, (), (), "a", 1.0)]
    monkeypatch.setattr(command_module, "write_replay", full)
    monkeypatch.setattr(campaign_module, "run_campaign", lambda *_: iter(outcomes))
    result = _command("--seeds", "1..2", "--report", str(tmp_path))
    assert result.exit_code == 1
    assert "No space left on device" in result.output
    assert "1 of 2 seeds" in result.output


def test_a_replay_that_is_interrupted_says_so_by_its_status(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(command_module, "run_store", interrupted)
    file = tmp_path / "run.yaml"
    file.write_text("{format: 1, seed: 1}")
    assert _command("--replay", str(file)).exit_code == 130


def test_the_command_shrinks_a_finding_and_replays_its_file(tmp_path: Path) -> None:
    with BROKEN.switched_on():
        seed, *_ = _first_failure()
        report = str(tmp_path / "report")
        found = _command("--seeds", f"{seed}", "--jobs", "1", "--report", report, "--json")
        assert found.exit_code == 1, found.output
        told = json.loads(found.output)
        assert {each["check"] for each in told["findings"]} >= {"single-vote"}
        file = told["findings"][0]["replay"]
        again = _command("--replay", file, "--json")
        assert again.exit_code == 1
        assert json.loads(again.output)["same_trace"]
        shown = _command("--replay", file)
        assert "single-vote" in shown.output
    sound = _command("--replay", file)
    assert sound.exit_code == 0
    assert "nothing found" in sound.output


def test_a_sound_build_passes_and_says_what_was_exercised(tmp_path: Path) -> None:
    words = ("--seeds", "1..2", "--jobs", "1", "--report", str(tmp_path / "none"))
    result = _command(*words, "--faults", "clock,kill-host")
    assert result.exit_code == 0, result.output
    assert "PASSED" in result.output
    assert "fault kill-host" in result.output
    assert "fault degrade" not in result.output
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    "words",
    [("--faults", "flood"), ("--members", "4"), ("--seeds", "9..1"), ("--replay", "no-such.yaml")],
)
def test_wrong_usage_ends_with_status_two(words: tuple[str, ...]) -> None:
    result = _command(*words)
    assert result.exit_code == 2
    assert "Traceback" not in result.output


def test_an_unknown_fault_is_answered_with_kinds_and_groups() -> None:
    output = _command("--faults", "flood").output
    for name in ("kill-host", *faults_of_groups()):
        assert name in output
    assert "did you mean 'kill-leader'?" in _command("--faults", "kill-leder").output
    assert "names no fault" in _command("--faults", " ,").output


def test_an_interrupt_tells_what_was_done(monkeypatch: pytest.MonkeyPatch) -> None:
    def run_two(*_: object) -> object:
        yield Outcome(1, (), (), "a", 10.0)
        yield Outcome(2, (), (), "b", 10.0)
        raise KeyboardInterrupt

    monkeypatch.setattr(campaign_module, "run_campaign", run_two)
    result = _command("--seeds", "1..50", "--jobs", "1")
    assert result.exit_code == 130
    assert "2 of 50 seeds" in result.output


def test_a_seed_that_never_ends_is_a_finding() -> None:
    (outcome,) = run_campaign(_forever, [5], 1, limit_s=0.2)
    assert outcome.seed == 5
    assert outcome.checks == ("time-limit",)


def _forever(_seed: int) -> Outcome:
    while True:
        pass


def test_raftstore_has_the_command_and_explains_when_it_has_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    places = {"chaos": "k8sactors.cli.store_chaos:chaos"}
    monkeypatch.setattr(raftstore_main, "_places", lambda: places)
    assert "--replay" in CliRunner().invoke(raftstore_main, ["chaos", "--help"]).output
    monkeypatch.setattr(raftstore_main, "_places", dict)
    result = CliRunner().invoke(raftstore_main, ["chaos"])
    assert result.exit_code == 2
    assert "pip install" in result.output


def test_a_store_that_does_not_serve_again_is_found_by_the_liveness_phase(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("k8sactors.chaos.store.run.heal_everything", _cut_everything)
    outcome = run_store(StoreChaos(faults_ms=5_000, settle_ms=10_000, plan=()), 3)
    assert "liveness" in outcome.checks
    assert "leaders" in outcome.findings[0].message


def _cut_everything(network: Network, _strikes: Iterable[Strike]) -> None:
    network.partition([[name] for name in ("etcd-1", "etcd-2", "etcd-3")])


def test_a_lease_that_outlives_its_time_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LeaseKeeper, "expired", lambda *_: [])
    outcome = run_store(StoreChaos(faults_ms=2_000, settle_ms=60_000, plan=()), 3)
    assert "lease-expires" in outcome.checks


def test_a_lease_that_ends_too_soon_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease_module, "SECOND", 500_000_000)
    outcome = run_store(StoreChaos(faults_ms=2_000, plan=()), 3)
    assert "lease-early" in outcome.checks


def test_compaction_does_not_blind_the_judge_of_the_watches() -> None:
    options = StoreChaos(plan=(), features=FEATURES, faults_ms=20_000, think_ms=200)
    outcome = run_store(options, 1)
    assert outcome.findings == ()
    assert outcome.exercised["applied compact"] > 0
    assert outcome.exercised["watches compacted"] > 0
    with monkeypatched_events():
        lossy = run_store(options, 1)
        assert "watch-reliable" in lossy.checks
        assert "what was sent" in lossy.picture


@contextmanager
def monkeypatched_events() -> Iterator[None]:
    """Every tenth batch of events is lost on its way."""
    count = 0
    sound = StoreWatcher._events

    def lossy(watcher: StoreWatcher, events: list[Any], revision: int) -> None:
        nonlocal count
        count += 1
        if count % 10:
            sound(watcher, events, revision)

    StoreWatcher._events = lossy
    try:
        yield
    finally:
        StoreWatcher._events = sound


def test_an_operator_transfers_the_leadership_under_load() -> None:
    targets = itertools.cycle(("etcd-1", "etcd-2", "etcd-3"))
    plan = tuple(
        PlannedFault(5_000 + 2_000 * n, 1, "transfer-leader", {"host": next(targets)})
        for n in range(6)
    )
    outcome = run_store(StoreChaos(faults_ms=20_000, plan=plan), 7)
    assert outcome.findings == ()
    assert outcome.exercised["leaders elected"] > 3
    assert outcome.exercised["done: transfer-leader"] == 6


def test_a_violation_is_drawn_next_to_its_replay_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every read from now on sees what was before the newest write."""
    sound = store_load.to_outcome

    def stale(request: Request, answer: Any, prefix: str) -> Told:
        told = sound(request, answer, prefix)
        action = request.success[0]
        if action.kind is ActionKind.PUT and not request.compares:
            written.append((action.key, action.value))
        mine = [value for key, value in written if key == action.key]
        if action.kind is ActionKind.GET and len(mine) > 1 and not request.revision:
            return attrs.evolve(told, results=(mine[0],))
        return told

    written: list[tuple[str, bytes]] = []
    monkeypatch.setattr(store_load, "to_outcome", stale)
    outcome = run_store(StoreChaos(faults_ms=10_000, plan=()), 3)
    assert {"linearizability", "exact-answer"} <= set(outcome.checks)
    (finding, *_) = [each for each in outcome.findings if each.check == "linearizability"]
    assert "no order explains" in finding.message
    campaign = campaign_module.Campaign(command_module.Store(3, ALL), tmp_path, None)
    campaign._found(outcome)
    assert (tmp_path / "seed-3.yaml").exists()
    assert 'class="culprit"' in (tmp_path / "seed-3.svg").read_text(encoding="utf-8")
    campaign._found(attrs.evolve(outcome, picture=""))
    assert not (tmp_path / "seed-3.svg").exists()
