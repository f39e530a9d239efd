"""A member is stopped for good, and another one takes its place in one step of two quorums."""

from __future__ import annotations

from k8sactors.faults.fault import Group
from k8sactors.faults.orders import order

FAULT = order(
    "replace-jointly",
    "replace a store member in one step, by joint consensus",
    Group.MEMBERSHIP,
    lambda parameters: f"replace, by joint consensus, the member on {parameters['host']}",
)
