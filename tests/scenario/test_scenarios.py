"""The shipped scenarios hold, and a run repeats byte for byte."""

from __future__ import annotations

from pathlib import Path

import pytest

from k8sactors.report.live import Quiet
from k8sactors.scenario.load import load_scenario
from k8sactors.scenario.result import FAILED, PASSED, SKIPPED, RunResult
from k8sactors.scenario.runner import execute

SCENARIOS = Path(__file__).parents[2] / "scenarios"
HEAD = "apiVersion: k8sactors/v1\nname: test\ndescription: A test.\ncluster: {workers: 1}\n"
# Run elsewhere: by the tests of campaigns, and below with manifests.
ELSEWHERE = {"chaos-batch", "chaos-external", "chaos-stacked", "real-app"}
SHIPPED = sorted({path.stem for path in SCENARIOS.glob("*.yaml")} - ELSEWHERE)


def run(file: Path, seed: int | None = None) -> RunResult:
    return execute(load_scenario(file, seed=seed), Quiet())


def story(result: RunResult) -> str:
    lines = [f"{step.status} {step.title}: {step.detail}" for step in result.steps]
    return "\n".join([*lines, *map(str, result.crashes), *map(str, result.findings)])


@pytest.mark.parametrize("name", SHIPPED)
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
  - expect: {within: 3s, that: [{exists: {resource: pods, name: none}}]}
  - advance: 1h
""",
    )
    assert not result.ok
    assert [step.status for step in result.steps] == [PASSED, FAILED, SKIPPED, SKIPPED]
    assert result.steps[1].detail == ["not within 3 s: there is no pods none"]
    assert result.steps[1].line == 6


def test_a_refusal_that_does_not_come_fails_the_step(tmp_path: Path) -> None:
    config_map = "{apiVersion: v1, kind: ConfigMap, metadata: {name: a}}"
    result = run_text(tmp_path, f"steps: [{{apply: {{objects: [{config_map}], fails: 409}}}}]\n")
    assert result.steps[1].detail == ["expected a refusal with code 409, but the request succeeded"]


def test_a_refusal_by_the_server_is_told_with_its_code(tmp_path: Path) -> None:
    result = run_text(tmp_path, "steps: [{scale: {name: none, replicas: 1}}]\n")
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
  - inject: {kill-actor: worker-1/kubelet, as: dead}
  - heal: $dead
  - inject: {kill-host: zone:zone-a}
""",
    )
    kill, heal, zone = result.steps[1:4]
    assert kill.lost == ["worker-1/kubelet"]
    assert heal.detail == ["ended: kill worker-1/kubelet"]
    assert {"cp-1/etcd", "worker-1/kubelet"} <= set(zone.lost)


def test_a_target_that_nothing_is_fails_the_step(tmp_path: Path) -> None:
    result = run_text(tmp_path, 'steps: [{inject: {kill-host: "node-of:default/none"}}]\n')
    assert result.steps[1].detail == ["no pod none runs in namespace default"]


POD_SPEC = "{containers: [{name: main, image: nginx, ports: [{containerPort: 80}]}]}"
POD = f"""apiVersion: v1
kind: Pod
metadata: {{name: alone, labels: {{app: alone}}}}
spec: {POD_SPEC}
"""
REPLICA_SET = f"""apiVersion: apps/v1
kind: ReplicaSet
metadata: {{name: several}}
spec:
  replicas: 3
  selector: {{matchLabels: {{app: several}}}}
  template: {{metadata: {{labels: {{app: several}}}}, spec: {POD_SPEC}}}
"""
REPLICATION_CONTROLLER = f"""apiVersion: v1
kind: ReplicationController
metadata: {{name: old}}
spec:
  replicas: 2
  selector: {{app: old}}
  template: {{metadata: {{labels: {{app: old}}}}, spec: {POD_SPEC}}}
"""
SERVICE = """apiVersion: v1
kind: Service
metadata: {name: alone}
spec: {selector: {app: alone}, ports: [{port: 80}]}
"""
CONFIG_MAP = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\n"


@pytest.mark.parametrize(
    ("manifests", "pods"),
    [
        ([POD], 1),
        ([REPLICA_SET], 3),
        ([REPLICATION_CONTROLLER], 2),
        ([SERVICE], 0),
        ([CONFIG_MAP], 0),
        ([REPLICA_SET, REPLICATION_CONTROLLER, POD, SERVICE], 6),
    ],
    ids=["pod", "replicaset", "replicationcontroller", "service", "configmap", "all"],
)
def test_an_application_without_a_deployment_is_waited_for_as_far_as_there_is_something(
    tmp_path: Path, manifests: list[str], pods: int
) -> None:
    file = tmp_path / "app.yaml"
    file.write_text("---\n".join(manifests))
    result = execute(load_scenario(SCENARIOS / "real-app.yaml", manifests=[file]), Quiet())
    assert result.ok, story(result)
    listed = result.steps[-2].table
    assert listed is not None
    assert len(listed.rows) == pods
    assert result.virtual_ns < 60_000_000_000


def test_an_application_that_does_not_become_ready_fails_with_what_is_missing(
    tmp_path: Path,
) -> None:
    result = run_text(
        tmp_path,
        """settles: false
steps:
  - apply:
      objects:
        - apiVersion: apps/v1
          kind: ReplicaSet
          metadata: {name: picky}
          spec:
            replicas: 2
            selector: {matchLabels: {app: picky}}
            template:
              metadata: {labels: {app: picky}}
              spec:
                nodeSelector: {moon: full}
                containers: [{name: main, image: nginx}]
  - expect: {within: 5s, that: [{ready: {}}]}
""",
    )
    missing = "not within 5 s: 0 of 1 ready; default/picky: readyReplicas 0, wanted 2"
    assert result.steps[2].detail == [missing]


def test_what_measures_availability_belongs_to_no_application(tmp_path: Path) -> None:
    text = """measure: true
steps:
  - expect: {within: 5s, that: [{not: {available: {}}}]}
"""
    result = run_text(tmp_path, text)
    assert result.ok, story(result)
