"""Orders to the operator of the store, given by a scenario: they change the store of a cluster."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from k8sactors.faults import FAULTS
from k8sactors.report.live import Quiet
from k8sactors.scenario.errors import ScenarioError
from k8sactors.scenario.load import load_scenario
from k8sactors.scenario.result import RunResult
from k8sactors.scenario.runner import execute

HEAD = "apiVersion: k8sactors/v1\nname: test\ndescription: A test.\n"
WELL = "{within: 60s, that: [{storeLeader: {}}, {writable: {}}]}"
WRITTEN = {
    "add-member": ("stacked", "{learner: true}"),
    "bit-rot": ("external", "{host: store-follower, rotSeed: 7}"),
    "compact": ("stacked", "{kept: 5}"),
    "exceed-quota": ("stacked", "{}"),
    "interrupt-change": ("external", "store-leader"),
    "lost-disk": ("stacked", "store-leader"),
    "remove-member": ("external", "store-leader"),
    "replace-jointly": ("stacked", "store-follower"),
    "replace-member": ("external", "{host: store-leader, learner: true}"),
    "slow-watcher": ("external", "{host: store-leader, watcher: cp-1}"),
    "transfer-leader": ("stacked", "store-follower"),
}


def _run(folder: Path, text: str) -> RunResult:
    file = folder / "s.yaml"
    file.write_text(HEAD + text)
    return execute(load_scenario(file), Quiet())


def _story(result: RunResult) -> str:
    lines = [f"{step.status} {step.title}: {step.detail}" for step in result.steps]
    return "\n".join([*lines, *map(str, result.crashes), *map(str, result.findings), result.error])


def test_what_needs_more_than_any_cluster_has_is_tried_here() -> None:
    assert {name for name, fault in FAULTS.items() if fault.needs} == set(WRITTEN)


@pytest.mark.parametrize("name", sorted(WRITTEN))
def test_the_cluster_serves_again_after_every_change_of_its_store(
    tmp_path: Path, name: str
) -> None:
    topology, parameters = WRITTEN[name]
    text = f"""cluster: {{topology: {topology}, workers: 1, storeQuota: 2Mi}}
steps:
  - inject: {{{name}: {parameters}}}
  - advance: 5s
  - heal: all
  - expect: {WELL}
"""
    result = _run(tmp_path, text)
    assert result.ok, _story(result)
    assert result.steps[1].detail


def test_members_that_came_or_went_are_those_that_later_steps_mean(tmp_path: Path) -> None:
    text = f"""cluster: {{topology: external, workers: 1}}
steps:
  - inject: {{add-member: {{}}}}
  - inject: {{remove-member: etcd-1}}
  - inject: {{kill-actor: store-members}}
  - heal: all
  - expect: {WELL}
"""
    result = _run(tmp_path, text)
    assert result.ok, _story(result)
    killed = result.steps[3].detail
    assert killed == ["kill etcd-2/etcd", "kill etcd-3/etcd", "kill etcd-4/etcd"]


def test_an_order_that_would_cost_the_store_its_last_member_fails_the_step(tmp_path: Path) -> None:
    text = "cluster: {topology: single, workers: 1}\nsteps: [{inject: {remove-member: cp-1}}]\n"
    result = _run(tmp_path, text)
    assert not result.ok
    assert result.steps[1].detail[0] == (
        "the operator of the store could not carry out remove-member: too few members are well, "
        "or too few would be left"
    )


def test_a_full_store_refuses_writes_until_the_fault_ends(tmp_path: Path) -> None:
    new = "{apiVersion: v1, kind: ConfigMap, metadata: {name: NAME}, data: {key: value}}"
    first, second = (new.replace("NAME", name) for name in ("first", "second"))
    text = f"""cluster: {{topology: stacked, workers: 1, storeQuota: 2Mi}}
steps:
  - inject: {{exceed-quota: {{}}, as: full}}
  - apply: {{objects: [{first}], fails: {{code: 500, message: database space exceeded}}}}
  - heal: $full
  - expect: {{within: 30s, that: [{{writable: {{}}}}]}}
  - apply: {{objects: [{second}]}}
"""
    result = _run(tmp_path, text)
    assert result.ok, _story(result)


def test_a_host_without_a_member_is_refused(tmp_path: Path) -> None:
    text = "cluster: {topology: external}\nsteps: [{inject: {transfer-leader: worker-1}}]\n"
    result = _run(tmp_path, text)
    assert result.steps[1].detail == [
        "worker-1 carries no store member; these do: etcd-1, etcd-2, etcd-3"
    ]


@pytest.mark.parametrize(
    ("injection", "problem"),
    [
        (
            "{exceed-quota: {}}",
            "exceed-quota needs a store with a quota: give the store one, as in",
        ),
        (
            "{slow-watcher: {host: store-leader, watcher: cp-1}}",
            "topology stacked has each API server on the host of its store member; use topology",
        ),
        ("{slow-watcher: store-leader}", "key 'watcher' is missing: the machine of the watcher"),
    ],
)
def test_a_fault_that_would_do_nothing_is_refused_before_the_start(
    tmp_path: Path, injection: str, problem: str
) -> None:
    file = tmp_path / "s.yaml"
    file.write_text(f"{HEAD}cluster: {{topology: stacked}}\nsteps: [{{inject: {injection}}}]\n")
    with pytest.raises(ScenarioError, match=re.escape(problem)):
        load_scenario(file)
