"""Leadership transfer, in the middle of everything."""

from __future__ import annotations

from k8sactors.faults.fault import Group
from k8sactors.faults.orders import order

FAULT = order(
    "transfer-leader",
    "hand the leadership of the store to another member",
    Group.MEMBERSHIP,
    lambda parameters: f"transfer the leadership to {parameters['host']}",
)
