"""Steps and faults are files: one more of either, and a scenario uses it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from k8sactors.faults import FAULTS, cluster_faults, fault_named, injectors
from k8sactors.report.live import Quiet
from k8sactors.scenario import reference, steps
from k8sactors.scenario.load import load_scenario
from k8sactors.scenario.model import json_schema
from k8sactors.scenario.result import RunResult
from k8sactors.scenario.runner import execute
from k8sactors.scenario.vocabulary import STEPS
from tests.faults.test_catalogue import NEW_FAULT

HEAD = "apiVersion: k8sactors/v1\nname: test\ndescription: A test.\n"
NEW_STEP = '''
"""Annotate a node."""

from __future__ import annotations

import attrs

from k8sactors.scenario.binding import Struct, Text, setting
from k8sactors.scenario.step import StepKind


@attrs.define
class Annotate:
    node: str = setting(Text(), "the node")
    text: str = setting(Text(), "what is written", default="hello")


def _check(action, where, checks):
    if action.node not in checks.hosts():
        checks.problem((*where, "node"), f"no node {action.node!r}")


async def _perform(action, context, result):
    body = {"metadata": {"annotations": {"example.com/text": action.text}}}
    await context.cluster.client.patch("nodes", action.node, body)
    result.detail.append(f"annotated {action.node}")


STEP = StepKind(
    verb="annotate",
    about="annotate a node",
    settings=Struct(Annotate),
    perform=_perform,
    title=lambda action: f"Annotate {action.node}",
    check=_check,
)
'''

# The necessary parameters of the faults that need more than one target.
PARAMETERS = {
    "bandwidth": "{hosts: control-planes, bytesPerS: 50000}",
    "bridge": "{a: cp-1, b: cp-2, bridge: cp-3}",
    "clock-drift": "{host: cp-1, driftPpm: 20000}",
    "clock-step": "{host: cp-1, step: -5m}",
    "crash-at": "{host: store-leader, step: before the sync, of: entries}",
    "degrade": "{hosts: [cp-1, worker-1], delay: 20ms, loss: 0.1}",
    "disk-latency": "{host: store-leader, slow: 50ms}",
    "hold": "{source: cp-1, target: cp-2}",
    "interrupt-install": "store-follower",
    "isolate-leader": "{}",
    "kill-leader": "{}",
    "pause-leader": "{}",
    "power-cut": "[cp-1, worker-1]",
    "rolling-restart": "store-members",
    "swizzle-clog": "[cp-1, cp-2]",
}
# They strike only when the present leader goes.
NEEDS_AN_ELECTION = {"isolate-new-leader", "kill-new-leader"}


def _run(folder: Path, text: str) -> RunResult:
    file = folder / "s.yaml"
    file.write_text(HEAD + text)
    return execute(load_scenario(file), Quiet())


def _story(result: RunResult) -> str:
    lines = [f"{step.status} {step.title}: {step.detail}" for step in result.steps]
    return "\n".join([*lines, *map(str, result.crashes), *map(str, result.findings), result.error])


@pytest.fixture
def _annotate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    folder = tmp_path / "more-steps"
    folder.mkdir()
    (folder / "annotate.py").write_text(NEW_STEP)
    monkeypatch.setattr(steps, "__path__", [*steps.__path__, str(folder)])
    STEPS.reload()
    yield
    monkeypatch.undo()
    STEPS.reload()


@pytest.mark.usefixtures("_annotate")
def test_a_step_from_one_file_is_read_checked_run_and_documented(tmp_path: Path) -> None:
    text = """steps:
  - annotate: {node: worker-1}
  - expect:
      that:
        - value:
            resource: nodes
            name: worker-1
            at: metadata.annotations[example.com/text]
            equals: hello
"""
    result = _run(tmp_path, text)
    assert result.ok, _story(result)
    assert result.steps[1].title == "Annotate worker-1"
    assert "annotate" in json_schema()["$defs"]["Step"]["properties"]
    assert "| `annotate: {node, text}` | annotate a node |" in reference.steps_table()
    (tmp_path / "s.yaml").write_text(HEAD + "steps: [{annotate: {node: worker-9}}]\n")
    with pytest.raises(Exception, match=r"s.yaml:4:27: steps\[0\].annotate.node: no node"):
        load_scenario(tmp_path / "s.yaml")


@pytest.fixture
def _far_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    folder = tmp_path / "more-faults"
    folder.mkdir()
    (folder / "far_away.py").write_text(NEW_FAULT)
    monkeypatch.setattr(injectors, "__path__", [*injectors.__path__, str(folder)])
    FAULTS.reload()
    yield
    monkeypatch.undo()
    FAULTS.reload()


@pytest.mark.usefixtures("_far_away")
def test_a_fault_from_one_file_is_injected_by_a_scenario(tmp_path: Path) -> None:
    text = """cluster: {workers: 2}
chaos: {kinds: [far-away]}
steps:
  - inject: {far-away: {host: worker-1, delay: 700ms}, as: slow}
  - expect: {that: [{leader: {of: kube-scheduler}}]}
  - heal: $slow
"""
    result = _run(tmp_path, text)
    assert result.ok, _story(result)
    assert result.steps[1].detail == ["worker-1 is far away"]
    assert "`far-away: {host, delay}`" in reference.faults_table()


@pytest.mark.parametrize(
    "name", [each for each in cluster_faults() if each not in NEEDS_AN_ELECTION]
)
def test_every_fault_of_the_catalogue_strikes_in_a_scenario_and_is_healed(
    tmp_path: Path, name: str
) -> None:
    fault = fault_named(name)
    usual = "worker-1/kubelet" if "actor" in fault.parameters else "cp-1"
    written = PARAMETERS.get(name, usual)
    text = f"""cluster: {{topology: stacked, workers: 1}}
steps:
  - inject: {{{name}: {written}}}
  - advance: 2s
  - heal: all
  - expect: {{within: 60s, that: [{{storeLeader: {{}}}}, {{writable: {{}}}}]}}
"""
    result = _run(tmp_path, text)
    assert result.ok, _story(result)
    assert result.steps[1].detail


@pytest.mark.parametrize("name", sorted(NEEDS_AN_ELECTION))
def test_a_fault_of_the_next_leader_waits_for_it(tmp_path: Path, name: str) -> None:
    text = f"""cluster: {{topology: stacked, workers: 1}}
steps:
  - parallel:
      - inject: {{{name}: {{reign: 30ms}}}}
      - inject: {{kill-leader: {{}}, for: 3s}}
  - heal: all
  - expect: {{within: 60s, that: [{{storeLeader: {{}}}}, {{writable: {{}}}}]}}
"""
    result = _run(tmp_path, text)
    assert result.ok, _story(result)


def test_heal_all_restores_clocks_disks_links_hosts_and_processes(tmp_path: Path) -> None:
    text = """cluster: {topology: stacked, workers: 2}
steps:
  - inject: {clock-step: {host: cp-1, step: 90s}}
  - inject: {disk-stall: cp-2}
  - inject: {partition: worker-1}
  - inject: {kill-host: worker-2}
  - inject: {kill-actor: cp-3/kube-scheduler}
  - heal: all
"""
    result = _run(tmp_path, text)
    assert result.ok, _story(result)
    assert set(result.steps[-2].detail) == {
        "ended: step the clock of cp-1 by +90 s",
        "ended: stall the disk of cp-2",
        "ended: cut worker-1 | cp-1,cp-2,cp-3,worker-2",
        "ended: power off worker-2",
        "ended: kill cp-3/kube-scheduler",
        "network healed",
    }


def test_a_fault_ends_by_itself_after_its_time(tmp_path: Path) -> None:
    text = """cluster: {workers: 1}
steps:
  - inject: {kill-actor: cp-1/kube-scheduler, for: 5s}
  - advance: 6s
"""
    assert _run(tmp_path, text).ok


def test_a_process_that_a_host_does_not_run_fails_the_step(tmp_path: Path) -> None:
    result = _run(tmp_path, "steps: [{inject: {kill-actor: worker-1/etcd}}]\n")
    assert result.steps[1].detail[0].startswith("worker-1 runs no etcd; it runs ")
