"""Quota exceeded: the store must refuse writes, and nothing else.

At the end the operator makes room again and clears the alarm.
"""

from __future__ import annotations

from functools import partial

from k8sactors.faults.fault import Group, Need
from k8sactors.faults.orders import MAKE_ROOM, give_order, order

FAULT = order(
    "exceed-quota",
    "fill the store up to its quota, and make room again when it ends",
    Group.STORE,
    lambda _: "fill the store up to its quota",
    parameters={},
    draw=lambda _random, _targets: {},
    needs=(Need.QUOTA,),
    heal=partial(give_order, MAKE_ROOM),
)
