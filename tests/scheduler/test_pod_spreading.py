"""InterPodAffinity and PodTopologySpread, against rules computed naively from the API objects."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from k8sactors.scheduler.diagnosis import FitError
from k8sactors.scheduler.explain import explain
from k8sactors.scheduler.framework import Status
from k8sactors.scheduler.podinfo import PodInfo
from tests.scheduler.builders import PARSER, World, node_object, pod, pod_object

Object = dict[str, Any]

KEYS = ["kubernetes.io/hostname", "zone"]
REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"

APPS = st.sampled_from(["web", "db"])
SELECTORS = st.one_of(
    APPS.map(lambda app: {"matchLabels": {"app": app}}),
    st.just({"matchExpressions": [{"key": "app", "operator": "Exists"}]}),
    st.just({"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["db"]}]}),
)
TERMS = st.fixed_dictionaries({"topologyKey": st.sampled_from(KEYS), "labelSelector": SELECTORS})
WEIGHTED = st.fixed_dictionaries({"weight": st.integers(1, 100), "podAffinityTerm": TERMS})
CONSTRAINTS = st.fixed_dictionaries(
    {
        "maxSkew": st.integers(1, 2),
        "topologyKey": st.sampled_from(KEYS),
        "labelSelector": SELECTORS,
    },
    optional={"nodeTaintsPolicy": st.just("Honor"), "nodeAffinityPolicy": st.just("Ignore")},
)


@st.composite
def pod_objects(draw: st.DrawFn, name: str) -> Object:
    affinity = {
        kind: {
            REQUIRED: draw(st.lists(TERMS, max_size=1)),
            PREFERRED: draw(st.lists(WEIGHTED, max_size=2)),
        }
        for kind in ("podAffinity", "podAntiAffinity")
        if draw(st.booleans())
    }
    spread: list[Object] = []
    for constraint in draw(st.lists(CONSTRAINTS, max_size=2)):
        hard = draw(st.booleans())
        more: Object = {"whenUnsatisfiable": "DoNotSchedule" if hard else "ScheduleAnyway"}
        if hard and draw(st.booleans()):
            more["minDomains"] = 3
        spread.append({**constraint, **more})
    spec: Object = {"affinity": affinity, "topologySpreadConstraints": spread}
    if draw(st.booleans()):
        spec["nodeSelector"] = {"disk": "ssd"}
    return pod_object(name, labels={"app": draw(APPS)}, spec=spec)


class Reference:
    """The rules, read from plain objects: `placed` has pairs of a pod and the name of its node."""

    def __init__(
        self, nodes: list[Object], placed: list[tuple[Object, str]], subject: Object
    ) -> None:
        self.nodes = {node["metadata"]["name"]: node for node in nodes}
        self.placed = placed
        self.subject = subject

    def label(self, node: str, key: str) -> str | None:
        value: str | None = self.nodes[node]["metadata"]["labels"].get(key)
        return value

    def together(self, here: str, there: str, key: str) -> bool:
        return self.label(here, key) is not None and self.label(here, key) == self.label(there, key)

    def refusal(self, node: str) -> str | None:
        """The plugin that refuses the node, in the order of the default profile."""
        if self.subject["spec"].get("nodeSelector") and self.label(node, "disk") != "ssd":
            return "NodeAffinity"
        if any(t["effect"] == "NoSchedule" for t in self.nodes[node]["spec"]["taints"]):
            return "TaintToleration"
        if not self.spread_allows(node):
            return "PodTopologySpread"
        return None if self.affinity_allows(node) else "InterPodAffinity"

    def affinity_allows(self, node: str) -> bool:
        near = _terms(self.subject, "podAffinity")
        if near:
            group = [(p, n) for p, n in self.placed if all(_means(t, p) for t in near)]
            if any(self.label(node, t["topologyKey"]) is None for t in near):
                return False
            known = any(self.label(n, t["topologyKey"]) is not None for _, n in group for t in near)
            first = not known and all(_means(t, self.subject) for t in near)
            joined = all(
                any(self.together(node, n, t["topologyKey"]) for _, n in group) for t in near
            )
            if not (first or joined):
                return False
        for other, there in self.placed:
            pairs = [
                *((term, other) for term in _terms(self.subject, "podAntiAffinity")),
                *((term, self.subject) for term in _terms(other, "podAntiAffinity")),
            ]
            for term, target in pairs:
                if _means(term, target) and self.together(node, there, term["topologyKey"]):
                    return False
        return True

    def affinity_score(self, node: str) -> int:
        total = 0
        for other, there in self.placed:
            for owner, target in ((self.subject, other), (other, self.subject)):
                for sign, kind in ((1, "podAffinity"), (-1, "podAntiAffinity")):
                    for weighted in _preferred(owner, kind):
                        term = weighted["podAffinityTerm"]
                        if _means(term, target) and self.together(node, there, term["topologyKey"]):
                            total += sign * weighted["weight"]
            for term in _terms(other, "podAffinity"):
                if _means(term, self.subject) and self.together(node, there, term["topologyKey"]):
                    total += 1
        return total

    def counts(self, constraint: Object, keys: list[str], node: str) -> bool:
        """Whether the node counts for the constraint."""
        if any(self.label(node, key) is None for key in keys):
            return False
        honors = constraint.get("nodeAffinityPolicy") != "Ignore"
        selects = bool(self.subject["spec"].get("nodeSelector"))
        if honors and selects and self.label(node, "disk") != "ssd":
            return False
        tainted = any(t["effect"] == "NoSchedule" for t in self.nodes[node]["spec"]["taints"])
        return not (tainted and constraint.get("nodeTaintsPolicy") == "Honor")

    def spread_allows(self, node: str) -> bool:
        hard = [c for c in _spread(self.subject) if c["whenUnsatisfiable"] == "DoNotSchedule"]
        keys = [c["topologyKey"] for c in hard]
        for constraint in hard:
            key = constraint["topologyKey"]
            here = self.label(node, key)
            if here is None:
                return False
            domains = {
                self.label(n, key): 0 for n in self.nodes if self.counts(constraint, keys, n)
            }
            for other, there in self.placed:
                if self.counts(constraint, keys, there) and _means(constraint, other):
                    domains[self.label(there, key)] += 1
            few = len(domains) < constraint.get("minDomains", 1)
            least = 0 if few else min(domains.values())
            own = int(_means(constraint, self.subject))
            if domains.get(here, 0) + own - least > constraint["maxSkew"]:
                return False
        return True

    def spread_scores(self, feasible: list[str]) -> dict[str, int]:
        soft = [c for c in _spread(self.subject) if c["whenUnsatisfiable"] == "ScheduleAnyway"]
        keys = [c["topologyKey"] for c in soft]
        judged = [n for n in feasible if all(self.label(n, key) is not None for key in keys)]
        raw: dict[str, int] = {}
        for node in judged:
            total = 0.0
            for constraint in soft:
                key = constraint["topologyKey"]
                matching = [n for p, n in self.placed if _means(constraint, p)]
                if key == KEYS[0]:
                    size = len(judged)
                    count = sum(n == node for n in matching)
                else:
                    size = len({self.label(n, key) for n in judged})
                    count = sum(
                        self.together(n, node, key) and self.counts(constraint, keys, n)
                        for n in matching
                    )
                total += count * math.log(size + 2) + constraint["maxSkew"] - 1
            raw[node] = math.floor(total + 0.5)
        low, high = min(raw.values(), default=0), max(raw.values(), default=0)
        return {
            node: 0
            if node not in raw
            else 100
            if not high
            else 100 * (high + low - raw[node]) // high
            for node in feasible
        }


def _terms(obj: Object, kind: str) -> list[Object]:
    return (obj["spec"].get("affinity") or {}).get(kind, {}).get(REQUIRED, [])


def _preferred(obj: Object, kind: str) -> list[Object]:
    return (obj["spec"].get("affinity") or {}).get(kind, {}).get(PREFERRED, [])


def _spread(obj: Object) -> list[Object]:
    return obj["spec"].get("topologySpreadConstraints") or []


def _means(term: Object, obj: Object) -> bool:
    app = obj["metadata"]["labels"].get("app")
    selector = term["labelSelector"]
    if "matchLabels" in selector:
        return bool(app == selector["matchLabels"]["app"])
    if selector["matchExpressions"][0]["operator"] == "Exists":
        return app is not None
    return app != "db"


def _scores(world: World, subject: PodInfo, plugin: str, *, raw: bool = False) -> dict[str, int]:
    return {
        node.node: score.raw if raw else score.normalized
        for node in explain(world.framework, subject, world.cache).nodes
        for score in node.scores
        if score.plugin == plugin
    }


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_counts_that_follow_the_cluster_equal_a_naive_look_at_all_pods(data: st.DataObject) -> None:
    """Pods come and go, nodes come, change and go; the answers are always the rules'."""
    draw = data.draw
    subjects = [draw(pod_objects(f"subject-{i}")) for i in range(2)]
    world = World()
    nodes: dict[str, Object] = {}
    placed: dict[str, tuple[Object, str]] = {}
    for step in range(draw(st.integers(2, 12))):
        action = draw(st.sampled_from(["node", "node", "pod", "pod", "pod", "gone", "node gone"]))
        if action == "node" or not nodes:
            name = f"n{draw(st.integers(0, 4))}"
            labels = draw(
                st.fixed_dictionaries(
                    {}, optional={"zone": st.sampled_from("ab"), "disk": st.just("ssd")}
                )
            )
            taints = [{"key": "k", "effect": "NoSchedule"}] if draw(st.booleans()) else []
            nodes[name] = node_object(name, labels=labels, taints=taints)
            world.add_node(nodes[name])
        elif action == "pod":
            obj = draw(pod_objects(f"p{step}"))
            placed[obj["metadata"]["uid"]] = obj, draw(st.sampled_from(sorted(nodes)))
            world.put(PARSER.parse(obj), placed[obj["metadata"]["uid"]][1])
        elif action == "gone" and placed:
            uid = draw(st.sampled_from(sorted(placed)))
            del placed[uid]
            world.cache.remove_pod(uid)
        elif action == "node gone":
            name = draw(st.sampled_from(sorted(nodes)))
            del nodes[name]
            world.cache.remove_node(name)
        present = [(p, n) for p, n in placed.values() if n in nodes]
        for subject in subjects:
            _compare(world, list(nodes.values()), present, subject)


def _compare(
    world: World, nodes: list[Object], placed: list[tuple[Object, str]], subject: Object
) -> None:
    reference = Reference(nodes, placed, subject)
    info = PARSER.parse(subject)
    explained = explain(world.framework, info, world.cache).nodes
    allowed = {node: reference.refusal(node) is None for node in reference.nodes}
    assert {n.node: n.refusal is None for n in explained} == allowed
    feasible = sorted(node for node, fits in allowed.items() if fits)
    affinity = _scores(world, info, "InterPodAffinity", raw=True)
    assert affinity in ({}, {node: reference.affinity_score(node) for node in feasible})
    if any(map(reference.affinity_score, feasible)):
        assert affinity
    spread = _scores(world, info, "PodTopologySpread")
    soft = [c for c in _spread(subject) if c["whenUnsatisfiable"] == "ScheduleAnyway"]
    assert spread == (reference.spread_scores(feasible) if soft else {})
    if feasible:
        assert world.decide(info).node.name in feasible
    elif nodes:
        with pytest.raises(FitError):
            world.decide(info)


def _anti(key: str = "zone", **term: Any) -> Object:
    selected = {"topologyKey": key, "labelSelector": {"matchLabels": {"app": "web"}}, **term}
    return {"affinity": {"podAntiAffinity": {REQUIRED: [selected]}}}


def test_the_message_counts_each_reason() -> None:
    world = World(*(node_object(f"n{i}", labels={"zone": "a"}) for i in range(3)))
    world.put(pod("first", labels={"app": "web"}), "n0")
    with pytest.raises(FitError, match=r"3 node\(s\) didn't match pod anti-affinity rules"):
        world.decide(pod("second", labels={"app": "web"}, spec=_anti()))


def test_a_pod_without_terms_is_refused_by_the_terms_of_others() -> None:
    world = World(node_object("n0", labels={"zone": "a"}))
    world.put(pod("first", labels={"app": "web"}), "n0")
    plain = pod("plain", labels={"app": "web"})
    assert world.decide(plain).node.name == "n0"
    world.put(pod("jealous", spec=_anti()), "n0")
    with pytest.raises(FitError, match="didn't satisfy existing pods anti-affinity rules"):
        world.decide(plain)


def test_match_label_keys_narrow_a_term_to_the_pods_own_values() -> None:
    world = World(node_object("n0", labels={"zone": "a"}))
    world.put(pod("old", labels={"app": "web", "hash": "1"}), "n0")
    spec = _anti(matchLabelKeys=["hash"])
    assert world.decide(pod("new", labels={"app": "web", "hash": "2"}, spec=spec))
    with pytest.raises(FitError):
        world.decide(pod("same", labels={"app": "web", "hash": "1"}, spec=spec))


def test_terminating_pods_do_not_count_for_spreading() -> None:
    world = World(*(node_object(f"n{i}", labels={"zone": "ab"[i]}) for i in range(2)))
    spread = {
        "maxSkew": 1,
        "topologyKey": "zone",
        "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": {"matchLabels": {"app": "web"}},
    }
    subject = pod("p", labels={"app": "web"}, spec={"topologySpreadConstraints": [spread]})
    leaving = pod("leaving", labels={"app": "web"})
    world.put(leaving, "n0")

    def refused() -> Status | None:
        state = world.state_for(subject)
        plugin = next(p for p in state.filters if p.name == "PodTopologySpread")
        return plugin.filter(state, subject, world.node("n0"))

    status = refused()
    assert status is not None
    assert status.message == "node(s) didn't match pod topology spread constraints"
    metadata = {**leaving.obj["metadata"], "deletionTimestamp": "2026-01-01T00:00:00Z"}
    world.cache.refresh(leaving.uid, {**leaving.obj, "metadata": metadata})
    assert refused() is None


def test_preemption_sees_that_the_pod_in_the_way_would_be_gone() -> None:
    world = World(node_object("n0", labels={"zone": "a"}))
    world.put(pod("first", labels={"app": "web"}), "n0")
    subject = pod("second", labels={"app": "web"}, spec=_anti())
    state = world.state_for(subject)
    plugin = next(p for p in state.filters if p.name == "InterPodAffinity")
    trial = world.node("n0").copy()
    assert plugin.filter(state, subject, trial) is not None
    trial.remove_pod("uid-first")
    assert plugin.filter(state, subject, trial) is None
