"""Crash-loop: a process dies again and again, sometimes before it has done anything."""

from __future__ import annotations

from collections.abc import Iterator

from k8sactors.faults.fault import STORE_ACTOR, Fault, Group, Part, Strikes, Targets
from k8sactors.faults.parameters import ActorName, Host, Parameters
from k8sactors.simulation import Random


def _draw(random: Random, targets: Targets) -> Parameters:
    return {"host": random.choice(targets.store_hosts), "actor": STORE_ACTOR}


def _unfold(
    random: Random, _targets: Targets, parameters: Parameters, at_ms: int, duration_ms: int
) -> Iterator[Part]:
    """Short lives and short deaths."""
    end_ms = at_ms + duration_ms
    while at_ms < end_ms:
        dead_ms = random.randint(1, 300)
        yield Part(at_ms, dead_ms, "kill-actor", parameters)
        at_ms += dead_ms + random.choice((random.randint(1, 100), random.randint(100, 2_000)))


FAULT = Fault(
    name="crash-loop",
    title="kill a process again and again",
    group=Group.PROCESS,
    strikes=Strikes.ACTOR,
    parameters={"host": Host("the host of the process"), "actor": ActorName("the process")},
    draw=_draw,
    unfold=_unfold,
    describe=lambda parameters: f"crash {parameters['host']}/{parameters['actor']} in a loop",
)
