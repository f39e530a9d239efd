"""A new member joins, on a machine that is free."""

from __future__ import annotations

from k8sactors.faults.fault import Group, Targets
from k8sactors.faults.orders import LEARNER, order
from k8sactors.faults.parameters import Parameters
from k8sactors.simulation import Random


def _draw(random: Random, targets: Targets) -> Parameters:
    """As a learner, to be promoted when it has caught up; or as a voter at once."""
    del targets
    return {"learner": random.choice((False, True))}


FAULT = order(
    "add-member",
    "let a new store member join, on a machine that is free",
    Group.MEMBERSHIP,
    lambda parameters: f"add a {'learner and promote it' if parameters['learner'] else 'voter'}",
    parameters=LEARNER,
    draw=_draw,
)
