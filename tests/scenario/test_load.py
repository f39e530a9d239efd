"""A bad scenario is refused as a whole: every mistake with its place and what was expected."""

from __future__ import annotations

from pathlib import Path

import pytest

from k8sactors.scenario.errors import BadScenarioError
from k8sactors.scenario.load import load_scenario
from k8sactors.scenario.model import Scenario
from k8sactors.scenario.targets import TargetKind
from k8sactors.simulation import SECOND

HEAD = "apiVersion: k8sactors/v1\nname: test\ndescription: A test.\n"
UNIT = (
    "s.yaml:10:22: steps[1].expect.within: expected a duration with a unit, "
    "as in 500ms, 10s, 5m or 1m30s; got the number 10"
)
WEB = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: nginx}]}
"""


def load(folder: Path, text: str, **options: str | int | None) -> Scenario:
    file = folder / "s.yaml"
    file.write_text(text)
    topology = options.get("topology")
    seed = options.get("seed")
    assert topology is None or isinstance(topology, str)
    assert seed is None or isinstance(seed, int)
    return load_scenario(file, topology=topology, seed=seed)


def problems(folder: Path, text: str, **options: str | int | None) -> list[str]:
    with pytest.raises(BadScenarioError) as caught:
        load(folder, text, **options)
    return [str(each).removeprefix(f"{folder}/") for each in caught.value.problems]


def test_a_whole_scenario_is_read(tmp_path: Path) -> None:
    (tmp_path / "web.yaml").write_text(WEB)
    scenario = load(
        tmp_path,
        HEAD
        + """covers: [AP-09]
seed: 7
cluster: {topology: stacked, workers: 5, zones: 3}
steps:
  - name: Install
    apply: {files: [web.yaml]}
  - expect: {within: 1m30s, that: [{available: {}}]}
  - inject: {kill-actor: store-leader, as: old}
  - inject: {pause-host: host-of:$old, for: 5s}
  - heal: $old
  - parallel:
      - advance: 10s
      - scale: {name: web, replicas: 3}
""",
    )
    assert scenario.seed == 7
    assert (scenario.cluster.planes, scenario.cluster.members) == (3, 3)
    install, expect, kill, pause, heal, parallel = scenario.file.steps
    assert install.name == "Install"
    assert scenario.manifests["web.yaml"][0]["kind"] == "Deployment"
    assert expect.action.within_ns == 90 * SECOND
    assert kill.action.verb == "kill-actor"
    assert kill.action.action["actor"].kind is TargetKind.STORE
    target = pause.action.action["host"]
    assert (target.kind, target.whole_host) == (TargetKind.SAVED, True)
    assert pause.action.lasts_ns == 5 * SECOND
    assert heal.action == ["old"]
    assert parallel.action[0].action == 10 * SECOND


def test_the_command_line_replaces_seed_and_topology(tmp_path: Path) -> None:
    text = HEAD + "seed: 1\ncluster: {topology: stacked}\nsteps: [{advance: 1s}]\n"
    assert load(tmp_path, text, seed=9).seed == 9
    assert load(tmp_path, text, topology="external").cluster.store_names[0] == "etcd-1"
    assert load(tmp_path, text, topology="single").cluster.members == 1


def test_all_mistakes_are_listed_with_their_places(tmp_path: Path) -> None:
    text = (
        HEAD
        + """clutser: {}
cluster:
  topology: stackd
  workers: many
steps:
  - applly: {files: [x]}
  - expect: {within: 10, that: []}
  - inject: {kill-host: "?"}
  - advance: 5s
    probe: {to: service/a/b}
"""
    )
    found = problems(tmp_path, text)
    assert found[:5] == [
        "s.yaml:4:1: clutser: unknown key 'clutser'; did you mean 'cluster'?",
        "s.yaml:6:13: cluster.topology: 'stackd' is not known here; did you mean 'stacked'?",
        "s.yaml:7:12: cluster.workers: expected a whole number, got 'many'",
        "s.yaml:9:5: steps[0].applly: unknown key 'applly'; did you mean 'apply'?",
        UNIT,
    ]
    assert found[5] == "s.yaml:10:32: steps[1].expect.that: expected at least 1 item(s), got 0"
    assert found[6].startswith("s.yaml:11:25: steps[2].inject.kill-host: expected a target: a host")
    assert found[7] == "s.yaml:13:5: steps[3].probe: a step has one key, not advance and probe"
    assert len(found) == 8


def test_missing_keys_are_named_with_their_meaning(tmp_path: Path) -> None:
    found = problems(tmp_path, "apiVersion: k8sactors/v1\nname: test\n")
    assert found == [
        "s.yaml:1:1: key 'description' is missing: what it shows, for a reader",
        "s.yaml:1:1: key 'steps' is missing: what happens, in order",
    ]


@pytest.mark.parametrize(
    ("cluster", "reason"),
    [
        ("{workers: 0}", "0 workers: at least one is needed"),
        ("{workers: 1000000}", "1000000 workers: at most 20000 are supported"),
        ("{topology: stacked, controlPlanes: 3, storeMembers: 5}", "cannot carry 5 members"),
        ("{topology: single, storeMembers: 3}", "single has one store member, not 3"),
        ("{workerHosts: [a, b, a]}", "host a is used twice"),
        ("{topology: external, workerHosts: [etcd-1]}", "belongs to the control plane"),
    ],
)
def test_an_impossible_cluster_says_why(tmp_path: Path, cluster: str, reason: str) -> None:
    found = problems(tmp_path, HEAD + f"cluster: {cluster}\nsteps: [{{advance: 1s}}]\n")
    assert len(found) == 1
    assert found[0].startswith("s.yaml:4:")
    assert reason in found[0]


def test_an_even_number_of_members_is_warned_about(tmp_path: Path) -> None:
    text = HEAD + "cluster: {topology: external, storeMembers: 4}\nsteps: [{advance: 1s}]\n"
    assert "use an odd number" in load(tmp_path, text).warnings[0]


@pytest.mark.parametrize(
    ("step", "reason"),
    [
        ("inject: {kill-host: worker-9}", "no host 'worker-9'; did you mean 'worker-"),
        ("inject: {kill-host: etcd-1}", "no host 'etcd-1'"),
        ("inject: {kill-actor: worker-1/kubelt}", "no actor is called 'kubelt'"),
        ("inject: {kill-host: zone:zone-q}", "no zone 'zone-q'"),
        ("inject: {kill-actor: leader:kubelet}", "'kubelet' elects no leader"),
        ("inject: {kill-host: $none}", "nothing is saved as 'none'"),
        ("heal: $none", "nothing is saved as 'none'"),
        ("heal: everything", "expected all, or a saved fault as in $name"),
        ("inject: {kill: worker-1}", "unknown key 'kill'; did you mean 'kill-host'?"),
        ("inject: {kill-actor: worker-1}", "name one of its processes, as in worker-1/kubelet"),
        ("inject: {kill-host: {host: worker-1, why: x}}", "unknown key 'why'"),
        ("inject: {slow-host: {host: worker-1, run: 0s}}", "expected at least 1 ms, got '0s'"),
        ("inject: {slow-host: {host: worker-1, run: 500us}}", "expected whole milliseconds"),
        ("inject: {degrade: {loss: 0.5}}", "key 'hosts' is missing: two hosts or more"),
        ("inject: {degrade: {hosts: [cp-1, worker-1], loss: 2}}", "a number between 0 and 1"),
        ("inject: {crash-at: {host: cp-1, step: later, of: entries}}", "'later' is not known"),
        ("inject: {clock-drift: {host: cp-1, driftPpm: -2000000}}", "-999999..9000000"),
        ("inject: {exceed-quota: {}}", "exceed-quota needs a store with a quota"),
        ("inject: {partition: {a: [cp-1], b: [worker-1, cp-1]}}", "host cp-1 is used twice"),
        ("delete: {resource: pods}", "give the name or the labels"),
        ("delete: {resource: podz, name: x}", "no resource 'podz'; did you mean 'pods'?"),
        ("advance: 999999999h", "at most ten years"),
        ("get: {resource: pods, as: all}", "only one object can be saved"),
        ("replace: {saved: x, set: {a: 1}}", "no object 'x'"),
        ("apply: {files: []}", "expected at least 1 item(s)"),
        ("apply: {files: [none.yaml]}", "there is no file"),
        ("apply: {manifests: true}", "give at least one --manifest FILE"),
        ("expect: {that: [{count: {resource: pods}}]}", "give exactly one of equals"),
        ("expect: {that: [{not: {exists: {resource: x, name: z}}}]}", "no resource 'x'"),
    ],
)
def test_contradictions_in_a_step_are_refused(tmp_path: Path, step: str, reason: str) -> None:
    found = problems(tmp_path, HEAD + f"cluster: {{zones: 1}}\nsteps:\n  - {step}\n")
    assert any(reason in each for each in found), found
    assert all(each.startswith("s.yaml:") for each in found)


def test_of_hundreds_of_names_the_first_few_are_told_and_how_many_more(tmp_path: Path) -> None:
    text = HEAD + "cluster: {workers: 400}\nsteps: [{inject: {kill-host: zzz}}]\n"
    (found,) = problems(tmp_path, text)
    assert found.endswith(
        "expected one of: cp-1, worker-1, worker-2, worker-3, worker-4, worker-5, "
        "worker-6, worker-7, worker-8, worker-9, worker-10, worker-11 and 389 more"
    )


def test_a_host_that_is_gone_in_the_chosen_topology_is_explained(tmp_path: Path) -> None:
    text = HEAD + "cluster: {topology: external}\nsteps: [{inject: {kill-host: etcd-2}}]\n"
    assert load(tmp_path, text).cluster.topology == "external"
    assert "changed to topology stacked" in problems(tmp_path, text, topology="stacked")[0]


def test_mistakes_in_manifests_have_their_own_places(tmp_path: Path) -> None:
    bad = WEB.replace("replicas: 2", 'replicas: "two"').replace("image:", "imge:")
    (tmp_path / "web.yaml").write_text(bad + "---\napiVersion: apps/v1\nkind: Deploymnet\n")
    text = HEAD + "steps: [{apply: {files: [web.yaml]}}]\n"
    found = problems(tmp_path, text)
    assert any(each.startswith("web.yaml:6:") and "replicas" in each for each in found), found
    assert any("imge" in each for each in found), found
    assert any("Deploymnet" in each and "did you mean" in each for each in found), found


def test_objects_that_the_server_would_refuse_are_refused_before_the_start(
    tmp_path: Path,
) -> None:
    (tmp_path / "web.yaml").write_text(WEB.replace("replicas: 2", "replicas: -1"))
    text = HEAD + "steps: [{apply: {files: [web.yaml]}}]\n"
    assert problems(tmp_path, text) == [
        "web.yaml:6:3: spec.replicas: Invalid value: -1: must be greater than or equal to 0"
    ]
    step = "apply: {files: [web.yaml], fails: {code: 422, reason: Invalid}}"
    assert load(tmp_path, HEAD + f"steps: [{{{step}}}]\n").manifests["web.yaml"]


def test_mistakes_of_form_do_not_hide_an_impossible_cluster(tmp_path: Path) -> None:
    text = HEAD + "seed: -1\ncluster: {workers: 0}\nsteps: [{advance: 1s}]\n"
    found = problems(tmp_path, text)
    assert [each.split(": ")[1] for each in found] == ["seed", "cluster.workers"]


def test_inline_objects_are_checked_at_their_place(tmp_path: Path) -> None:
    step = "apply: {objects: [{apiVersion: v1, kind: ConfigMap, metadata: {name: a}, dat: {}}]}"
    found = problems(tmp_path, HEAD + f"steps:\n  - {step}\n")
    assert len(found) == 1
    assert "steps[0].apply.objects[0]" in found[0]
    assert "dat" in found[0]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "expected one YAML document, got 0"),
        ("a: [", "not valid YAML"),
        ("- x", "expected a mapping"),
        (HEAD + "---\n" + HEAD, "expected one YAML document, got 2"),
        (HEAD + "name: again\n", "already set in line 2"),
        ("steps:\n\t- advance: 1s\n", "a tab cannot indent YAML: use spaces"),
        ("steps: " + "[" * 200_000 + "]" * 200_000, "nested more than 100 levels deep"),
        ("- " * 200_000, "nested more than 100 levels deep"),
        ("steps: &a [*a]", "nested more than 100 levels deep"),
        ("cluster: &a {<<: *a}", "nested more than 100 levels deep"),
        ("\x00", "not valid YAML"),
    ],
)
def test_what_is_not_a_scenario_at_all_is_refused(tmp_path: Path, text: str, reason: str) -> None:
    assert reason in problems(tmp_path, text)[0]


def test_a_missing_file_is_refused() -> None:
    with pytest.raises(BadScenarioError, match="cannot read this scenario: No such file"):
        load_scenario(Path("nowhere.yaml"))


def test_a_saved_list_holds_objects_of_its_kind(tmp_path: Path) -> None:
    saved = (
        "apiVersion: v1\nkind: ConfigMapList\nitems:\n"
        "- metadata: {name: a}\n  data: {k: v}\n- metadata: {name: b}\n"
    )
    (tmp_path / "saved.yaml").write_text(saved)
    scenario = load(tmp_path, f"{HEAD}steps:\n- apply: {{files: [saved.yaml]}}\n")
    kinds = [(each["apiVersion"], each["kind"]) for each in scenario.manifests["saved.yaml"]]
    assert kinds == [("v1", "ConfigMap")] * 2
