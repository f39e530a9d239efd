"""A partition into a majority and a minority, each host on one side or the other."""

from __future__ import annotations

from k8sactors.faults.fault import Targets
from k8sactors.faults.links import cut_fault, others
from k8sactors.faults.parameters import Parameters
from k8sactors.simulation import Random


def _draw(random: Random, targets: Targets) -> Parameters:
    """The smaller half, chosen at random."""
    minority = random.sample(targets.hosts, (len(targets.hosts) - 1) // 2)
    return {"a": minority, "b": others(targets, minority), "one_way": False}


FAULT = cut_fault(
    name="majority-minority",
    title="cut the hosts into a majority and a minority",
    draw=_draw,
)
