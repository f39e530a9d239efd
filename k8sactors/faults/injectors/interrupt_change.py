"""The members change, and one of them crashes at some step of writing that down."""

from __future__ import annotations

from collections.abc import Iterator

from k8sactors.faults.crashes import CHANGE_OF_MEMBERS, draw_trap
from k8sactors.faults.fault import Fault, Group, Need, Part, Strikes, Targets
from k8sactors.faults.parameters import Host, Parameters
from k8sactors.simulation import Random

SHORTEST_CHANGE_MS = 3_000
"""What an order may take to become an entry of the log."""

ORDERS = ("add-member", "remove-member", "replace-member")


def _draw(random: Random, targets: Targets) -> Parameters:
    return {"host": random.choice(targets.store_hosts)}


def _unfold(
    random: Random, _targets: Targets, parameters: Parameters, at_ms: int, duration_ms: int
) -> Iterator[Part]:
    """Wait for the write, then give the order."""
    trap = draw_trap(random, parameters["host"], CHANGE_OF_MEMBERS, (0, 0, 1))
    yield Part(at_ms, max(SHORTEST_CHANGE_MS, duration_ms), "crash-at", trap)
    yield Part(at_ms + 1, 1, random.choice(ORDERS))


FAULT = Fault(
    name="interrupt-change",
    title="change the members of the store, and crash one while it writes that down",
    group=Group.MEMBERSHIP,
    strikes=Strikes.ACTOR,
    parameters={"host": Host("the host of the member that crashes")},
    draw=_draw,
    unfold=_unfold,
    describe=lambda parameters: f"interrupt a change of members on {parameters['host']}",
    needs=(Need.OPERATOR,),
)
