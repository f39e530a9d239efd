"""Bit rot: a bit of a disk flips while its member is down; it is refused, and replaced."""

from __future__ import annotations

from k8sactors.faults.disks import DISK_ROTTEN
from k8sactors.faults.fault import Group, Targets
from k8sactors.faults.orders import LEARNER, MEMBER, draw_replacement, joins, order
from k8sactors.faults.parameters import Integer, Parameters
from k8sactors.simulation import Random


def _draw(random: Random, targets: Targets) -> Parameters:
    """And which bit."""
    return {**draw_replacement(random, targets), "rot_seed": random.getrandbits(32)}


def _describe(parameters: Parameters) -> str:
    host, seed = parameters["host"], parameters["rot_seed"]
    return f"flip a bit on the disk of {host} and add {joins(parameters)} ({seed})"


FAULT = order(
    "bit-rot",
    "flip a bit on the disk of a store member; it is refused, and a new member takes its place",
    Group.MEMBERSHIP,
    _describe,
    parameters={**MEMBER, **LEARNER, "rot_seed": Integer("decides which bit", default=0)},
    draw=_draw,
    crash_causes=(DISK_ROTTEN,),
)
