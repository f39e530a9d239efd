"""Each plugin's answers, case by case."""

from __future__ import annotations

from typing import Any

import pytest

from k8sactors.scheduler.framework import Code, CycleState, FilterPlugin, ScorePlugin, Status
from k8sactors.scheduler.plugins.balanced_allocation import NodeResourcesBalancedAllocation
from k8sactors.scheduler.plugins.node_affinity import NodeAffinity
from k8sactors.scheduler.plugins.node_name import NodeName
from k8sactors.scheduler.plugins.node_ports import NodePorts
from k8sactors.scheduler.plugins.node_resources_fit import NodeResourcesFit
from k8sactors.scheduler.plugins.node_unschedulable import NodeUnschedulable
from k8sactors.scheduler.plugins.scheduling_gates import SchedulingGates
from k8sactors.scheduler.plugins.taint_toleration import TaintToleration
from tests.scheduler.builders import World, node_object, pod

UNRESOLVABLE = Code.UNSCHEDULABLE_AND_UNRESOLVABLE


def ask(plugin: type[FilterPlugin], subject: Any, node: Any, *present: Any) -> Status | None:
    world = World(node)
    name = node["metadata"]["name"]
    for other in present:
        world.put(other, name)
    return plugin(world.handle).filter(CycleState(), subject, world.node(name))


def score(plugin: type[ScorePlugin], subject: Any, node: Any, *present: Any) -> int:
    world = World(node)
    name = node["metadata"]["name"]
    for other in present:
        world.put(other, name)
    return plugin(world.handle).score(CycleState(), subject, world.node(name))


# --- NodeResourcesFit


@pytest.mark.parametrize(
    ("requests", "present", "reasons"),
    [
        ({"cpu": "4"}, [], ()),
        ({"cpu": "4001m"}, [], ("Insufficient cpu",)),
        ({"memory": "9Gi"}, [], ("Insufficient memory",)),
        ({"cpu": "5", "memory": "9Gi"}, [], ("Insufficient cpu", "Insufficient memory")),
        ({"ephemeral_storage": "21Gi"}, [], ("Insufficient ephemeral-storage",)),
        ({"cpu": "2"}, [{"cpu": "2500m"}], ("Insufficient cpu",)),
        ({}, [{"cpu": "8"}], ()),
        ({"cpu": "100m"}, [{"cpu": "8"}], ("Insufficient cpu",)),
        ({"shop.io/gpu": "1"}, [], ("Insufficient shop.io/gpu",)),
    ],
)
def test_fit_names_every_lacking_resource(
    requests: dict[str, str], present: list[dict[str, str]], reasons: tuple[str, ...]
) -> None:
    others = [pod(f"other-{i}", **r) for i, r in enumerate(present)]
    status = ask(NodeResourcesFit, pod("p", **requests), node_object("n"), *others)
    assert reasons == (status.reasons if status else ())


def test_fit_counts_pods() -> None:
    status = ask(NodeResourcesFit, pod("p"), node_object("n", pods="1"), pod("first"))
    assert status == Status(Code.UNSCHEDULABLE, ("Too many pods",), "NodeResourcesFit")


def test_fit_counts_extended_resources() -> None:
    node = node_object("n", **{"shop.io/gpu": "2"})
    gpus = {"shop.io/gpu": "2"}
    assert ask(NodeResourcesFit, pod("p", **gpus), node) is None
    status = ask(NodeResourcesFit, pod("q", **{"shop.io/gpu": "1"}), node, pod("p", **gpus))
    assert status is not None
    assert status.reasons == ("Insufficient shop.io/gpu",)


def test_what_even_the_empty_node_cannot_hold_is_unresolvable() -> None:
    too_big = ask(NodeResourcesFit, pod("p", cpu="5"), node_object("n"))
    in_the_way = ask(NodeResourcesFit, pod("p", cpu="3"), node_object("n"), pod("q", cpu="2"))
    assert too_big is not None
    assert too_big.code is UNRESOLVABLE
    assert in_the_way is not None
    assert in_the_way.code is Code.UNSCHEDULABLE


@pytest.mark.parametrize(
    ("requests", "expected"),
    [
        ({"cpu": "2", "memory": "4Gi"}, 50),
        ({"cpu": "4", "memory": "8Gi"}, 0),
        ({"cpu": "1", "memory": "0"}, 87),  # (75 + 100) // 2
        ({}, 97),  # counted as 100m and 200Mi: (97 + 97) // 2
    ],
)
def test_least_allocated_is_the_mean_free_share(requests: dict[str, str], expected: int) -> None:
    assert expected == score(NodeResourcesFit, pod("p", **requests), node_object("n"))


# --- NodeResourcesBalancedAllocation


def test_balanced_node_beats_lopsided_one() -> None:
    node = node_object("n", cpu="8", memory="8Gi")
    plugin = NodeResourcesBalancedAllocation
    new = pod("new", cpu="1", memory="1Gi")
    assert score(plugin, new, node, pod("a", cpu="6", memory="2Gi")) == 75
    assert score(plugin, new, node, pod("b", cpu="4", memory="4Gi")) == 100


def test_shares_above_one_count_as_one() -> None:
    node = node_object("n", cpu="1", memory="8Gi")
    plugin = NodeResourcesBalancedAllocation
    assert score(plugin, pod("p", cpu="1", memory="0"), node, pod("big", cpu="8")) == 50


def test_pods_without_requests_do_not_change_the_balance() -> None:
    status = NodeResourcesBalancedAllocation(World().handle).pre_score(CycleState, pod("p"))
    assert status is not None
    assert status.code is Code.SKIP


# --- TaintToleration


def toleration(**fields: str) -> dict[str, Any]:
    return {"spec": {"tolerations": [fields]}}


TEAM_RED = {"key": "team", "value": "red", "effect": "NoSchedule"}


@pytest.mark.covers("SC-18")
@pytest.mark.parametrize(
    ("taint", "pod_fields", "tolerated"),
    [
        (TEAM_RED, {}, False),
        (TEAM_RED, toleration(key="team", value="red", effect="NoSchedule"), True),
        (TEAM_RED, toleration(key="team", value="blue", effect="NoSchedule"), False),
        (TEAM_RED, toleration(key="team", operator="Exists"), True),
        (TEAM_RED, toleration(key="other", operator="Exists"), False),
        (TEAM_RED, toleration(operator="Exists"), True),
        (TEAM_RED, toleration(key="team", value="red", effect="NoExecute"), False),
        ({**TEAM_RED, "effect": "NoExecute"}, {}, False),
        ({**TEAM_RED, "effect": "PreferNoSchedule"}, {}, True),
    ],
)
def test_taints_and_tolerations(
    taint: dict[str, str], pod_fields: dict[str, Any], tolerated: bool
) -> None:
    status = ask(TaintToleration, pod("p", **pod_fields), node_object("n", taints=[taint]))
    if tolerated:
        assert status is None
    else:
        assert status == Status(
            UNRESOLVABLE, ("node(s) had untolerated taint {team: red}",), "TaintToleration"
        )


def test_prefer_no_schedule_counts_the_taints_that_are_not_tolerated() -> None:
    soft = [{"key": k, "effect": "PreferNoSchedule"} for k in ("a", "b", "c")]
    subject = pod("p", **toleration(key="a", operator="Exists"))
    assert score(TaintToleration, subject, node_object("n", taints=soft)) == 2
    hard_only = pod("q", **toleration(operator="Exists", effect="NoSchedule"))
    assert score(TaintToleration, hard_only, node_object("n", taints=soft)) == 3


# --- NodeUnschedulable, NodeName


def test_a_cordoned_node_takes_only_pods_that_tolerate_it() -> None:
    node = node_object("n", unschedulable=True)
    status = ask(NodeUnschedulable, pod("p"), node)
    assert status is not None
    assert status.reasons == ("node(s) were unschedulable",)
    tolerant = pod(
        "q",
        **toleration(
            key="node.kubernetes.io/unschedulable", operator="Exists", effect="NoSchedule"
        ),
    )
    assert ask(NodeUnschedulable, tolerant, node) is None


def test_node_name_refuses_other_nodes() -> None:
    named = pod("p", spec={"nodeName": "n1"})
    assert ask(NodeName, named, node_object("n1")) is None
    status = ask(NodeName, named, node_object("n2"))
    assert status is not None
    assert status.reasons == ("node(s) didn't match the requested node name",)


# --- NodeAffinity


def required(*terms: dict[str, Any]) -> dict[str, Any]:
    selector = {"nodeSelectorTerms": list(terms)}
    affinity = {"requiredDuringSchedulingIgnoredDuringExecution": selector}
    return {"spec": {"affinity": {"nodeAffinity": affinity}}}


def named(*names: str) -> dict[str, Any]:
    return {"matchFields": [{"key": "metadata.name", "operator": "In", "values": list(names)}]}


def expression(key: str, operator: str, *values: str) -> dict[str, Any]:
    return {"matchExpressions": [{"key": key, "operator": operator, "values": list(values)}]}


@pytest.mark.parametrize(
    ("fields", "matches"),
    [
        ({"spec": {"nodeSelector": {"disk": "ssd"}}}, True),
        ({"spec": {"nodeSelector": {"disk": "hdd"}}}, False),
        ({"spec": {"nodeSelector": {"tape": "x"}}}, False),
        (required(expression("disk", "In", "ssd", "nvme")), True),
        (required(expression("disk", "In", "hdd")), False),
        (required(expression("disk", "NotIn", "hdd")), True),
        (required(expression("tape", "NotIn", "x")), True),
        (required(expression("disk", "Exists")), True),
        (required(expression("disk", "DoesNotExist")), False),
        (required(expression("cores", "Gt", "7")), True),
        (required(expression("cores", "Gt", "8")), False),
        (required(expression("cores", "Lt", "9")), True),
        (required(expression("disk", "Gt", "1")), False),
        (required({}), False),
        (required(expression("disk", "In", "hdd"), expression("cores", "Exists")), True),
        (required(named("n")), True),
        (required(named("m")), False),
    ],
)
def test_node_affinity_and_selector(fields: dict[str, Any], matches: bool) -> None:
    node = node_object("n", labels={"disk": "ssd", "cores": "8"})
    status = ask(NodeAffinity, pod("p", **fields), node)
    assert matches == (status is None)
    if status is not None:
        assert status.reasons == ("node(s) didn't match Pod's node affinity/selector",)


def test_preferred_affinity_adds_up_the_weights_that_match() -> None:
    preferences = [
        {"weight": 40, "preference": expression("disk", "In", "ssd")},
        {"weight": 50, "preference": expression("disk", "In", "hdd")},
        {"weight": 7, "preference": expression("net", "Exists")},
        {"weight": 3, "preference": {}},
    ]
    affinity = {"preferredDuringSchedulingIgnoredDuringExecution": preferences}
    subject = pod("p", spec={"affinity": {"nodeAffinity": affinity}})
    node = node_object("n", labels={"disk": "hdd", "net": "fast"})
    assert score(NodeAffinity, subject, node) == 57


# --- NodePorts


def port(number: int, **fields: str) -> dict[str, Any]:
    container = {"name": "a", "image": "x", "ports": [{"hostPort": number, **fields}]}
    return {"spec": {"containers": [container]}}


@pytest.mark.parametrize(
    ("ours", "theirs", "conflict"),
    [
        (port(8080), port(8080), True),
        (port(8080), port(8081), False),
        (port(8080, protocol="UDP"), port(8080), False),
        (port(8080, hostIP="10.1.2.3"), port(8080), True),
        (port(8080), port(8080, hostIP="10.1.2.3"), True),
        (port(9090, hostIP="10.1.2.3"), port(9090, hostIP="10.1.2.4"), False),
        (port(9090, hostIP="10.1.2.3"), port(9090, hostIP="10.1.2.3"), True),
    ],
)
def test_host_ports_conflict_by_port_protocol_and_address(
    ours: dict[str, Any], theirs: dict[str, Any], conflict: bool
) -> None:
    status = ask(NodePorts, pod("p", **ours), node_object("n"), pod("q", **theirs))
    assert conflict == (status is not None)
    if status is not None:
        assert status.reasons == ("node(s) didn't have free ports for the requested pod ports",)


# --- SchedulingGates


def test_gates_hold_a_pod() -> None:
    gated = pod("p", spec={"schedulingGates": [{"name": "a"}, {"name": "b"}]})
    status = SchedulingGates(World().handle).pre_enqueue(gated)
    assert status is not None
    assert status.reasons == ("waiting for scheduling gates: [a b]",)
    assert SchedulingGates(World().handle).pre_enqueue(pod("q")) is None
