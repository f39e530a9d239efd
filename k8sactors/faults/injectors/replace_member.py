"""Member replace: a member is stopped for good and removed, and a new one takes its place."""

from __future__ import annotations

from k8sactors.faults.fault import Group
from k8sactors.faults.orders import LEARNER, MEMBER, draw_replacement, joins, order

FAULT = order(
    "replace-member",
    "stop a store member for good, remove it, and start a new one in its place",
    Group.MEMBERSHIP,
    lambda parameters: f"replace the member on {parameters['host']} and add {joins(parameters)}",
    parameters={**MEMBER, **LEARNER},
    draw=draw_replacement,
)
