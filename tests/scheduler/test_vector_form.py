"""The vector form of every plugin gives what its scalar form gives."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from k8sactors.scheduler.diagnosis import FitError
from k8sactors.scheduler.explain import explain
from tests.scheduler.builders import PARSER, World, node_object, pod, pod_object

CPU = st.sampled_from(["0", "100m", "333m", "1", "2500m", "4", "7"])
MEMORY = st.sampled_from(["0", "100Mi", "1Gi", "3Gi", "8Gi"])
LABELS = st.dictionaries(st.sampled_from(["a", "b"]), st.sampled_from(["1", "2", "x"]))
EFFECTS = st.sampled_from(["NoSchedule", "NoExecute", "PreferNoSchedule"])
TAINTS = st.lists(
    st.fixed_dictionaries({"key": st.sampled_from(["k", "l"]), "effect": EFFECTS}), max_size=3
)
TOLERATIONS = st.lists(
    st.fixed_dictionaries(
        {
            "key": st.sampled_from(["k", "l", ""]),
            "operator": st.just("Exists"),
            "effect": st.sampled_from(["", "NoSchedule", "PreferNoSchedule"]),
        }
    ),
    max_size=2,
)
EXPRESSIONS = st.lists(
    st.one_of(
        st.fixed_dictionaries(
            {
                "key": st.sampled_from(["a", "b"]),
                "operator": st.sampled_from(["In", "NotIn"]),
                "values": st.lists(st.sampled_from(["1", "2", "x"]), min_size=1, max_size=2),
            }
        ),
        st.fixed_dictionaries(
            {
                "key": st.sampled_from(["a", "b"]),
                "operator": st.sampled_from(["Gt", "Lt"]),
                "values": st.just(["1"]),
            }
        ),
        st.fixed_dictionaries(
            {
                "key": st.sampled_from(["a", "b"]),
                "operator": st.sampled_from(["Exists", "DoesNotExist"]),
            }
        ),
    ),
    max_size=2,
)
TERMS = st.lists(EXPRESSIONS.map(lambda e: {"matchExpressions": e}), max_size=2)
PORTS = st.lists(st.sampled_from([8080, 9090]), max_size=2)


@st.composite
def pod_objects(draw: st.DrawFn, name: str = "p") -> dict[str, Any]:
    obj = pod_object(name, cpu=draw(CPU), memory=draw(MEMORY))
    spec = obj["spec"]
    if draw(st.booleans()):
        spec["containers"][0]["resources"]["requests"]["shop.io/gpu"] = "1"
    spec["containers"][0]["ports"] = [{"hostPort": p, "containerPort": p} for p in draw(PORTS)]
    spec["tolerations"] = draw(TOLERATIONS)
    spec["nodeSelector"] = draw(st.just({}) | LABELS)
    affinity: dict[str, Any] = {
        "preferredDuringSchedulingIgnoredDuringExecution": [
            {"weight": 10 + i, "preference": term} for i, term in enumerate(draw(TERMS))
        ]
    }
    if draw(st.booleans()):
        affinity["requiredDuringSchedulingIgnoredDuringExecution"] = {
            "nodeSelectorTerms": draw(TERMS)
        }
    spec["affinity"] = {"nodeAffinity": affinity}
    return obj


@st.composite
def worlds(draw: st.DrawFn) -> World:
    world = World()
    for i in range(draw(st.integers(1, 6))):
        extra = {"shop.io/gpu": "2"} if draw(st.booleans()) else {}
        world.add_node(
            node_object(
                f"n{i}",
                labels=draw(LABELS),
                taints=draw(TAINTS),
                unschedulable=draw(st.booleans()),
                cpu=draw(CPU),
                memory=draw(MEMORY),
                pods=draw(st.sampled_from(["1", "110"])),
                **extra,
            )
        )
    world.rows()  # some columns exist before the pods come, others are made afterwards
    for i in range(draw(st.integers(0, 4))):
        other = PARSER.parse(draw(pod_objects(name=f"other-{i}")))
        world.put(other, f"n{draw(st.integers(0, world.cache.node_count - 1))}")
    return world


@settings(max_examples=150, deadline=None)
@given(world=worlds(), obj=pod_objects())
def test_vector_and_scalar_forms_agree(world: World, obj: dict[str, Any]) -> None:
    subject = PARSER.parse(obj)
    state = world.state_for(subject)
    table, rows = world.cache.table, world.rows()
    nodes = [table.nodes[row] for row in rows]
    for plugin in state.filters:
        vector = plugin.filter_vector(state, subject, table, rows)
        assert vector is not None
        scalar = [plugin.filter(state, subject, node) is None for node in nodes if node]
        assert vector.tolist() == scalar, plugin.name
    for _, scorer in state.scores:
        scores = scorer.score_vector(state, subject, table, rows)
        assert scores is not None
        expected = [scorer.score(state, subject, node) for node in nodes if node]
        assert scores.tolist() == expected, scorer.name


@settings(max_examples=60, deadline=None)
@given(world=worlds(), objs=st.lists(pod_objects(), min_size=1, max_size=3), data=st.data())
def test_a_ranking_knows_what_a_fresh_look_finds(
    world: World, objs: list[dict[str, Any]], data: st.DataObject
) -> None:
    """Ties are drawn at random, so the ranks of the chosen nodes are compared, not their names."""
    for step in range(8):
        obj = data.draw(st.sampled_from(objs))
        metadata = {**obj["metadata"], "uid": f"u{step}", "name": f"p{step}"}
        subject = PARSER.parse({**obj, "metadata": metadata})
        best = explain(world.framework, subject, world.cache).best
        try:
            chosen = world.decide(subject).node.name
        except FitError:
            assert best == []
            continue
        assert chosen in best
        world.put(subject, chosen)
        if data.draw(st.booleans()):
            name = f"n{data.draw(st.integers(0, 6))}"
            world.add_node(node_object(name, labels=data.draw(LABELS), taints=data.draw(TAINTS)))


def test_equal_templates_share_one_requirements_object() -> None:
    assert pod("a", cpu="1").requirements is pod("b", cpu="1").requirements
    assert pod("a", cpu="1").requirements is not pod("b", cpu="2").requirements
