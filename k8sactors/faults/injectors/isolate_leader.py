"""The store's leader is cut off from the other members and from all hosts but its clients'."""

from __future__ import annotations

from k8sactors.faults.fault import Targets
from k8sactors.faults.links import CUT, ONE_WAY_SHARE, cut_fault
from k8sactors.faults.parameters import LEADER, Hosts, Parameters
from k8sactors.simulation import Random


def _draw(random: Random, targets: Targets) -> Parameters:
    """The leader alone against all hosts."""
    one_way = random.random() < ONE_WAY_SHARE
    return {"a": [LEADER], "b": list(targets.hosts), "one_way": one_way}


FAULT = cut_fault(
    name="isolate-leader",
    title="cut off the host of the store member that leads at that moment",
    parameters={**CUT, "a": Hosts("the leader's host", default=(LEADER,))},
    draw=_draw,
)
