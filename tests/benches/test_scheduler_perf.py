"""The runner of scheduler_perf's workload files, with tiny workloads."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from benches import scheduler_perf_run
from benches.scheduler_perf import main
from benches.scheduler_perf_files import WorkloadFileError, read_workloads, seconds_of
from benches.scheduler_perf_report import sampled_rates
from benches.scheduler_perf_templates import Template

OWN = Path(__file__).parents[2] / "benches" / "workloads" / "performance-config.yaml"

HEAD = """
- name: Case
  workloadTemplate:
"""
WORKLOAD = """
  workloads:
  - name: small
    labels: [short]
    params: {nodes: 2, pods: 3, length: 2s}
"""
NODES = """
  - opcode: createNodes
    countParam: $nodes
"""
POD = """
apiVersion: v1
kind: Pod
metadata: {generateName: pod-, labels: {type: unsched}}
spec:
  terminationGracePeriodSeconds: 0
  containers: [{name: pause, image: pause, resources: {requests: {cpu: CPU}}}]
"""


def write(path: Path, operations: str, **templates: str) -> Path:
    for name, text in templates.items():
        (path / f"{name}.yaml").write_text(text)
    file = path / "config.yaml"
    file.write_text(HEAD + operations.strip("\n") + WORKLOAD)
    return file


def run(file: Path, *arguments: str) -> Result:
    return CliRunner().invoke(main, [str(file), *arguments])


def figures(file: Path, *arguments: str) -> list[dict[str, Any]]:
    done = run(file, *arguments, "--json")
    assert done.exit_code == 0, done.output
    results: list[dict[str, Any]] = json.loads(done.stdout)
    return results


# --- what is measured


def test_own_workloads_run_at_a_small_size() -> None:
    results = figures(OWN, "--label", "tiny")
    assert len(results) == 11
    for result in results:
        assert result["pods"] == (3 if result["workload"] == "Preemption/tiny" else 6)
        assert result["pods_per_second"] > 0
        assert set(result["sampled_pods_per_second"]) == {"p50", "p90", "p99"}
        assert result["pod_ms"]["p50"] >= result["attempt_ms"]["p50"] > 0
    (unschedulable,) = [r for r in results if r["workload"] == "Unschedulable/tiny"]
    assert unschedulable["decision_ms"]["p50"] > 0


def test_a_parameter_is_given_another_value(tmp_path: Path) -> None:
    file = write(
        tmp_path, NODES + "  - {opcode: createPods, countParam: $pods, collectMetrics: true}"
    )
    (result,) = figures(file, "--param", "pods=5")
    assert result["pods"] == 5


def test_the_table_names_gates_and_what_was_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    volumes = """
  - opcode: createPods
    count: 1
    persistentVolumeTemplatePath: pv.yaml
    persistentVolumeClaimTemplatePath: pvc.yaml
"""
    file = write(tmp_path, NODES + volumes)
    monkeypatch.setattr(scheduler_perf_run, "load_plugins", list)
    done = run(file)
    assert done.exit_code == 0, done.output
    assert "not run: Case/small: createPods (line 7) needs the scheduler plugin VolumeBinding" in (
        done.stdout
    )
    assert "0 measured, 1 not run" in done.stdout


def test_pods_with_volumes_that_are_bound_to_their_claims(tmp_path: Path) -> None:
    spec = "{accessModes: [ReadOnlyMany], capacity: {storage: 1Gi}, csi: {driver: d}}"
    claim = "{accessModes: [ReadOnlyMany], resources: {requests: {storage: 1Gi}}}"
    complete = '{annotations: {pv.kubernetes.io/bind-completed: "true"}}'
    operations = """
  - opcode: createPods
    countParam: $pods
    collectMetrics: true
    persistentVolumeTemplatePath: pv.yaml
    persistentVolumeClaimTemplatePath: pvc.yaml
"""
    file = write(
        tmp_path,
        NODES + operations,
        pv=f"{{apiVersion: v1, kind: PersistentVolume, spec: {spec}}}",
        pvc=f"{{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {complete}, spec: {claim}}}",
    )
    (result,) = figures(file)
    assert result["pods"] == 3


def test_rates_are_sampled_by_when_pods_were_bound() -> None:
    bound_s = [10.05] * 3 + [10.15] * 5 + [10.25]
    assert sampled_rates(10.0, bound_s) == [30.0, 50.0]
    assert sampled_rates(10.0, [10.05]) == pytest.approx([20.0])


# --- operations


def test_pods_wait_at_a_barrier_until_others_are_deleted(tmp_path: Path) -> None:
    """Pods fill both nodes; as many wait; they get nodes as the first ones go."""
    operations = """
  - opcode: startCollectingMetrics
    name: waiting
    namespaces: [waiting]
    labelSelector: {type: unsched}
  - {opcode: createPods, countParam: $nodes, namespace: first, podTemplatePath: large.yaml}
  - opcode: createPods
    countParam: $nodes
    namespace: waiting
    podTemplatePath: large.yaml
    skipWaitToCompletion: true
  - {opcode: barrier, stageRequirement: Attempted}
  - {opcode: deletePods, namespace: first, deletePodsPerSecond: 100, skipWaitToCompletion: true}
  - {opcode: barrier, namespaces: [waiting]}
  - opcode: sleep
    durationParam: $length
  - opcode: stopCollectingMetrics
"""
    file = write(tmp_path, NODES + operations, large=POD.replace("CPU", "3"))
    (result,) = figures(file)
    assert result["workload"] == "Case/small waiting"
    assert result["pods"] == 2
    assert result["unschedulable_attempts"] >= 2


@pytest.mark.parametrize("mode", ["{mode: create}", "{mode: recreate, number: 2}"])
def test_objects_come_and_go_while_pods_are_measured(tmp_path: Path, mode: str) -> None:
    config = "{apiVersion: v1, kind: ConfigMap, metadata: {generateName: churn-}}"
    operations = f"""
  - {{opcode: churn, intervalMilliseconds: 1, templatePaths: [large.yaml, map.yaml], {mode[1:-1]}}}
  - opcode: createPods
    countParam: $pods
    steadyState: true
    duration: 200ms
    collectMetrics: true
    podTemplatePath: small.yaml
"""
    file = write(
        tmp_path,
        NODES + operations,
        large=POD.replace("CPU", "9"),
        small=POD.replace("CPU", "100m"),
        map=config,
    )
    (result,) = figures(file)
    assert result["unschedulable_attempts"] > 0
    assert result["pods"] > 3


def test_pods_are_updated_until_they_fit(tmp_path: Path) -> None:
    gated = POD.replace("generateName: pod-", 'name: "pod-{{.Index}}"').replace("CPU", "1")
    operations = """
  - opcode: createNamespaces
    prefix: space
    count: 1
  - opcode: startCollectingMetrics
    namespaces: [space-0]
  - opcode: createPodSets
    count: 1
    namespacePrefix: space
    createPodsOp:
      {opcode: createPods, countParam: $pods, podTemplatePath: a.yaml, skipWaitToCompletion: true}
  - {opcode: barrier, stageRequirement: Attempted}
  - {opcode: updateAny, countParam: $pods, templatePath: b.yaml, namespace: space-0}
  - opcode: barrier
  - opcode: stopCollectingMetrics
"""
    file = write(
        tmp_path, NODES + operations, a=f"{gated}  schedulingGates: [{{name: wait}}]\n", b=gated
    )
    (result,) = figures(file)
    assert result["pods"] == 3


# --- what is wrong is said


@pytest.mark.parametrize(
    ("operations", "line", "message"),
    [
        ("  - opcode: makePods", 4, "unknown opcode 'makePods'; known are allocResourceClaims, "),
        ("  - opcode: createPods\n    cuont: 3", 5, "createPods has no field 'cuont'; it has "),
        ("  - opcode: createPods", 4, "createPods needs count"),
        ("  - opcode: createPods\n    count: many", 5, "count must be a number, not 'many'"),
        ("  - opcode: createPods\n    count: -1", 5, "count must not be negative"),
        (
            "  - opcode: createPods\n    countParam: $pod",
            5,
            "has no parameter 'pod'; it has length",
        ),
        ("  - opcode: createPods\n    countParam: pods", 5, "must name a parameter, as $pods does"),
        ("  - opcode: sleep\n    duration: soon", 5, "'soon' is not a duration such as 500ms"),
        ("  - opcode: churn\n    mode: both\n    templatePaths: [x]", 5, "must be one of create, "),
        ("  - opcode: barrier\n    opcode: barrier", 5, "opcode is given twice"),
        ("  - barrier", 1, "an operation must be a mapping, not 'barrier'"),
    ],
)
def test_a_wrong_operation_is_named_with_its_line(
    tmp_path: Path, operations: str, line: int, message: str
) -> None:
    file = write(tmp_path, operations)
    with pytest.raises(WorkloadFileError) as caught:
        read_workloads(file)
    text = str(caught.value)
    assert message in text
    if line > 1:
        assert text.startswith(f"{file}:{line}:")


def test_names_labels_and_parameters_that_fit_nothing(tmp_path: Path) -> None:
    file = write(tmp_path, NODES)
    assert (
        "no workload is named 'Other'; there are Case/small"
        in run(file, "--workload", "Other").output
    )
    assert "no workload has long; labels are: short" in run(file, "--label", "long").output
    assert "no workload has a parameter x; there are" in run(file, "--param", "x=1").output
    assert "write NAME=VALUE" in run(file, "--param", "x").output


def test_a_workload_that_fails_says_why_and_the_exit_code_tells(tmp_path: Path) -> None:
    pods = "  - {opcode: createPods, countParam: $pods, podTemplatePath: large.yaml}"
    done = run(write(tmp_path, NODES + pods, large=POD.replace("CPU", "9")))
    assert done.exit_code == 1
    assert "3 of 3 pods have no node after 900 virtual seconds" in done.output
    assert "2 Insufficient cpu" in done.output


def test_kinds_that_are_not_served_are_not_run(tmp_path: Path) -> None:
    thing = "{apiVersion: example.com/v1, kind: Thing, metadata: {name: a}}"
    done = run(write(tmp_path, "  - {opcode: createAny, templatePath: thing.yaml}", thing=thing))
    assert done.exit_code == 0, done.output
    assert "example.com/v1 Thing of thing.yaml is not served here" in done.output


def test_expressions_of_templates(tmp_path: Path) -> None:
    path = tmp_path / "t.yaml"
    path.write_text(
        "apiVersion: v1\nkind: Pod\n"
        'metadata: {name: "p-{{AddInt .Index (MultiplyInt 10 .Count)}}-{{ Mod .Index 2 }}"}\n'
    )
    assert Template(path).render({"Index": 3, "Count": 4})["metadata"]["name"] == "p-43-1"
    path.write_text("apiVersion: v1\nkind: Pod\nmetadata: {name: {{if .Index}}}\n")
    with pytest.raises(WorkloadFileError, match=r"t.yaml:3: cannot evaluate .* no function 'if'"):
        Template(path).render({"Index": 1})


def test_durations_are_read_as_go_writes_them() -> None:
    assert seconds_of("1m30s") == 90
    assert seconds_of("250ms") == 0.25
