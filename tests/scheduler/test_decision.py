"""Which node is chosen, and what is said when there is none."""

from __future__ import annotations

from typing import Any

import pytest

from k8sactors.scheduler.diagnosis import FitError
from k8sactors.scheduler.errors import ConfigurationError, NoNodesAvailableError
from k8sactors.scheduler.explain import explain
from k8sactors.scheduler.framework import Code, CycleState, FilterPlugin, ScorePlugin, Status
from k8sactors.scheduler.nodeinfo import NodeInfo
from k8sactors.scheduler.plugins import default_profile
from k8sactors.scheduler.podinfo import PodInfo
from tests.scheduler.builders import PARSER, Draws, World, node_object, pod, pod_object


def message_for(world: World, subject: PodInfo) -> str:
    with pytest.raises(FitError) as caught:
        world.decide(subject)
    return str(caught.value)


NOT_HELPFUL = "Preemption is not helpful for scheduling"
NO_VICTIMS = "No preemption victims found for incoming pod"


# --- messages


def test_without_nodes_the_message_says_so() -> None:
    with pytest.raises(NoNodesAvailableError, match="no nodes available to schedule pods"):
        World().decide(pod("p"))


def test_a_pod_larger_than_every_node_names_the_resource_per_node() -> None:
    world = World(node_object("n0", cpu="1"), node_object("n1", cpu="2"))
    assert message_for(world, pod("big", cpu="3")) == (
        "0/2 nodes are available: 2 Insufficient cpu."
        f" preemption: 0/2 nodes are available: 2 {NOT_HELPFUL}."
    )


def test_reasons_are_counted_per_node_and_sorted_as_text() -> None:
    red = [{"key": "team", "value": "red", "effect": "NoSchedule"}]
    main = {"pool": "main"}
    world = World(
        node_object("n0", cpu="1", labels=main),
        node_object("n1", taints=red, labels=main),
        node_object("n2", labels={"pool": "other"}),
        node_object("n3", unschedulable=True, labels=main),
        node_object("n4", memory="64Mi", labels=main),
        node_object("n5", labels=main),
    )
    ports = [{"containerPort": 80, "hostPort": 8080}]
    container = {"name": "app", "image": "x", "ports": ports}
    world.put(pod("port", spec={"containers": [container]}), "n5")
    requests = {"requests": {"cpu": "2", "memory": "1Gi"}}
    picky = pod(
        "picky",
        spec={"nodeSelector": main, "containers": [{**container, "resources": requests}]},
    )
    assert message_for(world, picky) == (
        "0/6 nodes are available: 1 Insufficient cpu, 1 Insufficient memory,"
        " 1 node(s) didn't have free ports for the requested pod ports,"
        " 1 node(s) didn't match Pod's node affinity/selector,"
        " 1 node(s) had untolerated taint {team: red}, 1 node(s) were unschedulable."
        f" preemption: 0/6 nodes are available: 1 {NO_VICTIMS}, 5 {NOT_HELPFUL}."
    )


def test_full_nodes_could_be_freed_but_no_pod_is_less_important() -> None:
    world = World(node_object("n0"), node_object("n1", cpu="1"))
    world.put(pod("hog", cpu="4"), "n0")
    assert message_for(world, pod("p", cpu="2")) == (
        "0/2 nodes are available: 2 Insufficient cpu."
        f" preemption: 0/2 nodes are available: 1 {NO_VICTIMS}, 1 {NOT_HELPFUL}."
    )


def test_the_message_is_the_same_from_memory() -> None:
    world = World(node_object("n0"), node_object("n1"))
    subjects = [pod(f"p{i}", cpu="5") for i in range(4)]
    assert len({message_for(world, subject) for subject in subjects}) == 1


def test_a_pod_for_a_missing_node_names_the_plugin_that_left_the_others_out() -> None:
    world = World(node_object("n0"), node_object("n1"))
    assert message_for(world, daemon_pod("p", "gone")) == (
        "0/2 nodes are available: 2 node(s) didn't satisfy plugin(s) [NodeAffinity]."
        f" preemption: 0/2 nodes are available: 2 {NOT_HELPFUL}."
    )


def daemon_pod(name: str, node_name: str) -> PodInfo:
    field = {"key": "metadata.name", "operator": "In", "values": [node_name]}
    terms = {"nodeSelectorTerms": [{"matchFields": [field]}]}
    affinity = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": terms}}
    return pod(name, spec={"affinity": affinity})


# --- choices


def test_a_daemon_pod_goes_to_the_node_it_names() -> None:
    world = World(*(node_object(f"n{i}") for i in range(5)))
    assert [world.place(daemon_pod(f"p{i}", f"n{i}")) for i in range(5)] == [
        f"n{i}" for i in range(5)
    ]


@pytest.mark.covers("SC-20")
@pytest.mark.parametrize("requests", [{}, {"cpu": "10m"}, {"cpu": "100m", "memory": "500Mi"}])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_equal_pods_are_spread_evenly_over_equal_nodes(requests: dict[str, str], seed: int) -> None:
    nodes = [node_object(f"n{i}", cpu="64", memory="256Gi") for i in range(3)]
    world = World(*nodes, draw=Draws(seed))
    for i in range(31):
        world.place(pod(f"p{i}", **requests))
    assert world.counts() == [10, 10, 11]


def test_equal_seeds_give_equal_placements() -> None:
    def placements(seed: int) -> list[str]:
        world = World(*(node_object(f"n{i}") for i in range(20)), draw=Draws(seed))
        return [world.place(pod(f"p{i}", cpu="100m")) for i in range(30)]

    assert placements(7) == placements(7)
    assert placements(7) != placements(8)


@pytest.mark.covers("SC-10")
def test_a_ranking_is_built_again_after_its_first_pod_got_a_node() -> None:
    """More nodes change than it looks at one by one; the pod that it was built for has a node."""
    world = World(*(node_object(f"n{i}") for i in range(300)))
    for number in range(3):
        subject = pod(f"p{number}", cpu="100m")
        node_name = world.place(subject)
        bound = {**subject.obj, "spec": {**subject.obj["spec"], "nodeName": node_name}}
        assert world.cache.confirm(subject.uid, node_name, bound)
    for number in range(300):
        world.put(pod(f"other-{number}", cpu="3900m"), f"n{number}")
    taken = {name for name, node in world.cache.nodes.items() if node.requested_milli_cpu == 4000}
    assert len(taken) == 3
    assert world.place(pod("p3", cpu="100m")) not in taken


def test_no_node_is_given_more_than_it_has() -> None:
    world = World(*(node_object(f"n{i}", cpu="2") for i in range(5)))
    for i in range(30):
        world.place(pod(f"p{i}", cpu="300m"))
    assert "5 Insufficient cpu" in message_for(world, pod("one-more", cpu="300m"))
    assert all(n.requested_milli_cpu <= 2000 for n in world.cache.existing_nodes())


@pytest.mark.covers("SC-08")
def test_with_one_feasible_node_nothing_is_scored() -> None:
    alone = World(node_object("n0"))
    assert [alone.decide(pod(f"p{i}")).scored for i in range(4)] == [False] * 4
    assert World(node_object("n0"), node_object("n1")).decide(pod("p")).scored


@pytest.mark.covers("SC-05")
def test_a_soft_taint_is_avoided_while_there_is_a_choice() -> None:
    soft = [{"key": "slow", "effect": "PreferNoSchedule"}]
    world = World(node_object("n0", taints=soft), node_object("n1"))
    assert [world.place(pod(f"p{i}", cpu="100m")) for i in range(5)] == ["n1"] * 5


def test_normalised_scores_follow_the_feasible_nodes() -> None:
    """When the node with most soft taints fills up, the rest are told apart on the full scale."""
    soft = [{"key": k, "effect": "PreferNoSchedule"} for k in "abc"]
    world = World(
        node_object("n0", taints=soft, pods="0"),
        node_object("n1", taints=soft[:1]),
        node_object("n2", taints=soft[:2]),
    )
    for i in range(6):
        world.place(pod(f"p{i}", cpu="100m"))
    assert world.node("n1").pod_count == 6
    world.add_node(node_object("n0", taints=soft, cpu="400"))
    subject = pod("late", cpu="100m")
    best = explain(world.framework, subject, world.cache).best
    assert world.place(subject) in best


@pytest.mark.covers("SC-14")
def test_plugin_weights_change_the_chosen_node() -> None:
    terms = [
        {
            "weight": 1,
            "preference": {"matchExpressions": [{"key": "gpu", "operator": "Exists"}]},
        }
    ]
    affinity = {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": terms}}
    spec = {"affinity": affinity}
    nodes = [node_object("gpu", labels={"gpu": "yes"}), node_object("plain")]
    heavy = pod("heavy", cpu="3900m", memory="7900Mi")
    usual = World(*nodes)
    usual.put(heavy, "gpu")
    assert usual.place(pod("p", spec=spec)) == "gpu"
    spread = World(*nodes, profile=default_profile().with_weight("NodeResourcesFit", 10))
    spread.put(heavy, "gpu")
    assert spread.place(pod("p", spec=spec)) == "plain"


# --- user plugins


class OddNodesOnly(FilterPlugin):
    name = "OddNodesOnly"

    def filter(self, state: CycleState, pod: PodInfo, node: NodeInfo) -> Status | None:
        del state, pod
        if int(node.name[1:]) % 2:
            return None
        return Status(Code.UNSCHEDULABLE_AND_UNRESOLVABLE, ("node(s) were even",), self.name)


class LastInName(ScorePlugin):
    name = "LastInName"

    def score(self, state: CycleState, pod: PodInfo, node: NodeInfo) -> int:
        del state
        return 100 if node.name[-1] == pod.name[-1] else 0


@pytest.mark.covers("SC-13")
def test_a_user_plugin_needs_only_the_scalar_form() -> None:
    profile = default_profile().with_plugin(OddNodesOnly).with_plugin(LastInName, weight=100)
    world = World(*(node_object(f"n{i}") for i in range(6)), profile=profile)
    assert [world.place(pod(f"p-{i}")) for i in (3, 1, 5)] == ["n3", "n1", "n5"]
    assert world.framework.signature(pod("p")) is None
    many = world.place(pod("p-4"))
    assert many in {"n1", "n3", "n5"}


def test_profiles_refuse_unknown_and_doubled_plugins() -> None:
    with pytest.raises(ConfigurationError, match="no plugin Nothing"):
        default_profile().without("Nothing")
    with pytest.raises(ConfigurationError, match="already enabled"):
        default_profile().with_plugin(OddNodesOnly).with_plugin(OddNodesOnly)
    with pytest.raises(ConfigurationError, match="exactly one QueueSort"):
        World(profile=default_profile().without("PrioritySort"))
    with pytest.raises(ConfigurationError, match="weight must be positive"):
        default_profile().with_weight("NodeAffinity", 0)


# --- explanations


@pytest.mark.covers("SC-06")
def test_an_explanation_shows_refusals_and_scores_and_the_best() -> None:
    red = [{"key": "team", "value": "red", "effect": "NoSchedule"}]
    world = World(node_object("n0"), node_object("n1", taints=red), node_object("n2"))
    world.put(pod("other", cpu="2"), "n2")
    subject = pod("p", cpu="1", memory="1Gi")
    explanation = explain(world.framework, subject, world.cache)
    assert explanation.best == ["n0"]
    assert [n.node for n in explanation.nodes] == ["n0", "n2", "n1"]
    assert explanation.nodes[2].refusal is not None
    scores = {s.plugin: s for s in explanation.nodes[0].scores}
    assert scores["TaintToleration"].weighted == 300
    assert scores["NodeResourcesFit"].raw == 81
    assert explanation.to_wire()["best"] == ["n0"]
    assert world.place(subject) == "n0"


# --- preemption


class Evictions:
    """Remembers what preemption deletes."""

    def __init__(self) -> None:
        self.victims: list[str] = []

    def bind(self, pod: PodInfo, node_name: str, done: Any) -> None:
        raise AssertionError((pod, node_name, done))

    def evict(self, victim: PodInfo, message: str, failed: Any) -> None:
        del message, failed
        self.victims.append(victim.name)


def important(name: str, priority: int, **requests: str) -> PodInfo:
    return PARSER.parse(pod_object(name, spec={"priority": priority}, **requests))


def test_preemption_takes_the_least_important_victims_that_suffice() -> None:
    evictions = Evictions()
    world = World(node_object("n0"), node_object("n1"), api=evictions)
    world.put(important("a", 5, cpu="2"), "n0")
    world.put(important("b", 1, cpu="2"), "n0")
    world.put(important("c", 7, cpu="4"), "n1")
    with pytest.raises(FitError) as caught:
        world.decide(important("boss", 10, cpu="2"))
    assert caught.value.nominated_node == "n0"
    assert evictions.victims == ["b"]


def test_never_preempting_pods_do_not_preempt() -> None:
    evictions = Evictions()
    world = World(node_object("n0"), api=evictions)
    world.put(important("a", 5, cpu="4"), "n0")
    spec = {"priority": 10, "preemptionPolicy": "Never"}
    shy = PARSER.parse(pod_object("shy", spec=spec, cpu="1"))
    assert message_for(world, shy).endswith(
        "preemption: not eligible due to preemptionPolicy=Never."
    )
    assert evictions.victims == []


def test_the_room_of_a_nominated_pod_is_kept_from_less_important_pods() -> None:
    world = World(node_object("n0"), node_object("n1"))
    boss = important("boss", 10, cpu="3")
    world.handle.nominations.add(boss, "n0")
    world.put(important("other", 0, cpu="3"), "n1")
    assert "2 Insufficient cpu" in message_for(world, important("low", 0, cpu="2"))
    assert world.place(important("small", 0, cpu="1")) in {"n0", "n1"}
    assert world.place(boss) == "n0"
