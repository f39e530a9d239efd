"""The scheduling decision alone: choose a node and count the pod in, nothing else."""

from __future__ import annotations

from random import Random
from time import perf_counter, process_time

import attrs

from benches.collector import without_cyclic_collector
from benches.scheduling_load import node_object, pod_object
from k8sactors.scheduler.cache import Cache
from k8sactors.scheduler.decision import DecisionEngine
from k8sactors.scheduler.framework import Framework, Handle
from k8sactors.scheduler.nodeinfo import NodeSpec
from k8sactors.scheduler.plugins import default_profile
from k8sactors.scheduler.podinfo import PodParser

__all__ = ["DecisionResult", "measure_decisions"]


@attrs.define
class DecisionResult:
    """Times are wall-clock times."""

    nodes: int
    pods: int
    # Turning a decoded pod into its compact form.
    parse_us: float
    # A look at all nodes, for a signature that is not known yet.
    first_decision_us: float
    # Building what is remembered, when the signature is seen for the second time.
    ranking_us: float
    # Every further pod of the signature, with counting it in.
    decision_us: float
    decisions_per_second: float
    cpu_seconds: float


def measure_decisions(nodes: int, init_pods: int, pods: int, seed: int) -> DecisionResult:
    """Place pods on nodes in memory."""
    cache = Cache()
    framework = Framework(default_profile(), Handle(cache))
    engine = DecisionEngine(cache, Random(seed).random)
    for i in range(nodes):
        node = node_object(i)
        cache.set_node(node["metadata"]["name"], NodeSpec.parse(node))
    parser = PodParser()
    objects = [pod_object(f"pod-{i}") for i in range(init_pods + pods + 2)]
    started_s = perf_counter()
    parsed = [parser.parse(obj) for obj in objects]
    parse_s = perf_counter() - started_s
    first: list[float] = []
    for pod in parsed[:2]:
        started_s = perf_counter()
        cache.assume(pod, engine.decide(framework, pod).node.name)
        first.append(perf_counter() - started_s)
    for pod in parsed[2 : init_pods + 2]:
        cache.assume(pod, engine.decide(framework, pod).node.name)
    with without_cyclic_collector():
        started_s, cpu_started_s = perf_counter(), process_time()
        for pod in parsed[init_pods + 2 :]:
            cache.assume(pod, engine.decide(framework, pod).node.name)
        seconds, cpu_s = perf_counter() - started_s, process_time() - cpu_started_s
    return DecisionResult(
        nodes=nodes,
        pods=pods,
        parse_us=round(1e6 * parse_s / len(objects), 2),
        first_decision_us=round(1e6 * first[0], 1),
        ranking_us=round(1e6 * first[1], 1),
        decision_us=round(1e6 * seconds / pods, 2),
        decisions_per_second=round(pods / seconds),
        cpu_seconds=round(cpu_s, 4),
    )
