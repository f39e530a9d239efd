"""A member is removed: any of them, the leader too, be it up or down."""

from __future__ import annotations

from k8sactors.faults.fault import Group, Targets
from k8sactors.faults.orders import MEMBER, order
from k8sactors.faults.parameters import LEADER, Integer, Parameters
from k8sactors.simulation import Random


def _draw(random: Random, targets: Targets) -> Parameters:
    """Which one, and how many must be left."""
    host = random.choice((LEADER, random.choice(targets.store_hosts)))
    return {"host": host, "fewest": random.choice((1, 2, 2, 3))}


def _describe(parameters: Parameters) -> str:
    fewest = parameters["fewest"]
    return f"remove the member on {parameters['host']} if more than {fewest} are there"


FAULT = order(
    "remove-member",
    "remove a store member for good",
    Group.MEMBERSHIP,
    _describe,
    parameters={**MEMBER, "fewest": Integer("how many members must be left", least=1, default=1)},
    draw=_draw,
)
