"""Swizzle-clog (FoundationDB's): clog hosts one after the other, heal them in another order."""

from __future__ import annotations

from collections.abc import Iterator

from k8sactors.faults.fault import Fault, Group, Part, Strikes, Targets
from k8sactors.faults.parameters import Hosts, Parameters
from k8sactors.observe.text import few
from k8sactors.simulation import Random


def _draw(random: Random, targets: Targets) -> Parameters:
    return {"hosts": random.sample(targets.hosts, random.randint(2, len(targets.hosts)))}


def _unfold(
    random: Random, targets: Targets, parameters: Parameters, at_ms: int, duration_ms: int
) -> Iterator[Part]:
    """Begin each in the first half, end each in the second."""
    half_ms = max(1, duration_ms // 2)
    for host in parameters["hosts"]:
        start_ms = at_ms + random.randrange(half_ms)
        end_ms = at_ms + half_ms + random.randrange(half_ms)
        others = [other for other in targets.hosts if other != host]
        yield Part(start_ms, end_ms - start_ms, "clog", {"host": host, "others": others})


FAULT = Fault(
    name="swizzle-clog",
    title="clog hosts one after the other, and let them go in another order",
    group=Group.NETWORK,
    strikes=Strikes.LINK,
    parameters={"hosts": Hosts("two hosts or more")},
    draw=_draw,
    unfold=_unfold,
    describe=lambda parameters: f"swizzle-clog {few(parameters['hosts'])}",
)
