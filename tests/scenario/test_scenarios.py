"""The shipped scenarios hold, and a run repeats byte for byte."""

from pathlib import Path

import pytest

from k8sactors.cluster import Cluster
from k8sactors.observe.live import Quiet
from k8sactors.scenario.load import load_scenario
from k8sactors.scenario.result import FAILED, PASSED, SKIPPED, RunResult
from k8sactors.scenario.runner import execute

SCENARIOS = Path(__file__).parents[2] / "scenarios"
HEAD = "apiVersion: k8sactors/v1\nname: test\ndescription: A test.\ncluster: {workers: 1}\n"
QUICK = [
    "garbage-collection",
    "leader-election",
    "namespace-lifecycle",
    "node-cut-off",
    "node-failure-eviction",
    "optimistic-concurrency",
    "partition",
    "rolling-update",
    "scheduler-down",
    "self-healing",
    "store-failover",
    "unschedulable-then-node-added",
    "unschedulable-then-room",
]


def run(file: Path, seed: int | None = None) -> RunResult:
    return execute(load_scenario(file, seed=seed), Cluster, Quiet())


def story(result: RunResult) -> str:
    lines = [f"{step.status} {step.title}: {step.detail}" for step in result.steps]
    return "\n".join([*lines, *map(str, result.crashes), *map(str, result.findings)])


@pytest.mark.parametrize("name", QUICK)
def test_a_shipped_scenario_holds(name: str) -> None:
    result = run(SCENARIOS / f"{name}.yaml")
    assert result.ok, story(result)


def test_the_same_seed_gives_the_same_trace_and_another_seed_another() -> None:
    file = SCENARIOS / "self-healing.yaml"
    first, again, other = run(file, seed=5), run(file, seed=5), run(file, seed=6)
    assert first.trace_hash == again.trace_hash
    assert first.to_json() == again.to_json()
    assert first.trace_hash != other.trace_hash


def run_text(folder: Path, text: str) -> RunResult:
    file = folder / "s.yaml"
    file.write_text(HEAD + text)
    return run(file)


def test_a_failed_expectation_ends_the_run_and_says_what_is_missing(tmp_path: Path) -> None:
    result = run_text(
        tmp_path,
        """steps:
  - expect: {within: 3s, that: [{exists: {resource: pods, name: nobody}}]}
  - advance: 1h
""",
    )
    assert not result.ok
    assert [step.status for step in result.steps] == [PASSED, FAILED, SKIPPED, SKIPPED]
    assert result.steps[1].detail == ["not within 3 s: there is no pods nobody"]
    assert result.steps[1].line == 6


def test_a_refusal_that_does_not_come_fails_the_step(tmp_path: Path) -> None:
    config_map = "{apiVersion: v1, kind: ConfigMap, metadata: {name: a}}"
    result = run_text(tmp_path, f"steps: [{{apply: {{objects: [{config_map}], fails: 409}}}}]\n")
    assert result.steps[1].detail == ["expected a refusal with code 409, but the request succeeded"]


def test_a_refusal_by_the_server_is_told_with_its_code(tmp_path: Path) -> None:
    result = run_text(tmp_path, "steps: [{scale: {name: nobody, replicas: 1}}]\n")
    assert result.steps[1].status == FAILED
    assert result.steps[1].detail[0].startswith("404 NotFound: ")


def test_parallel_steps_run_at_the_same_virtual_time(tmp_path: Path) -> None:
    result = run_text(tmp_path, "steps: [{parallel: [{advance: 10s}, {advance: 10s}]}]\n")
    assert result.ok, story(result)
    both, first, second = result.steps[1:4]
    assert (first.number, second.number) == ("1.1", "1.2")
    assert first.started_ns == second.started_ns
    assert both.ended_ns - both.started_ns == 10_000_000_000


def test_one_failed_parallel_step_fails_them_together(tmp_path: Path) -> None:
    bad = "{expect: {within: 1s, that: [{not: {writable: {}}}]}}"
    result = run_text(tmp_path, f"steps: [{{parallel: [{{advance: 1s}}, {bad}]}}]\n")
    assert [step.status for step in result.steps[1:4]] == [FAILED, PASSED, FAILED]


def test_a_fault_names_what_it_took_down(tmp_path: Path) -> None:
    result = run_text(
        tmp_path,
        """settles: false
steps:
  - inject: {kill: worker-1/kubelet, as: dead}
  - inject: {restart: $dead}
  - inject: {kill: zone:zone-a}
""",
    )
    kill, restart, zone = result.steps[1:4]
    assert kill.lost == ["worker-1/kubelet"]
    assert restart.detail == ["restarted worker-1/kubelet"]
    assert {"cp-1/etcd", "worker-1/kubelet"} <= set(zone.lost)


def test_a_target_that_nobody_is_fails_the_step(tmp_path: Path) -> None:
    result = run_text(tmp_path, 'steps: [{inject: {kill: "node-of:default/nobody"}}]\n')
    assert result.steps[1].detail == ["no pod nobody runs in namespace default"]
