"""Lost disk: the only sound way back is as a new member.

The operator does not carry this order out if the cluster could not do without the member.
"""

from __future__ import annotations

from k8sactors.faults.fault import Group
from k8sactors.faults.orders import LEARNER, MEMBER, draw_replacement, joins, order

FAULT = order(
    "lost-disk",
    "lose the disk of a store member for good; a new member takes its place",
    Group.MEMBERSHIP,
    lambda parameters: f"lose the disk of {parameters['host']} and add {joins(parameters)}",
    parameters={**MEMBER, **LEARNER},
    draw=draw_replacement,
)
