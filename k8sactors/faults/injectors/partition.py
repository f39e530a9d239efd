"""Partition: every link between two groups of hosts is cut."""

from __future__ import annotations

from k8sactors.faults.fault import Targets
from k8sactors.faults.links import ONE_WAY_SHARE, cut_fault, others
from k8sactors.faults.parameters import Parameters
from k8sactors.simulation import Random

LONELY_MEMBER_SHARE = 0.5
"""How often the cut isolates a single store member."""


def _draw(random: Random, targets: Targets) -> Parameters:
    """Half of the time one store member is alone, otherwise the hosts are split at random."""
    hosts = targets.hosts
    if random.random() < LONELY_MEMBER_SHARE and targets.store_hosts:
        lonely = [random.choice(targets.store_hosts)]
    else:
        lonely = random.sample(hosts, random.randint(1, max(1, len(hosts) // 2)))
    one_way = random.random() < ONE_WAY_SHARE
    return {"a": lonely, "b": others(targets, lonely), "one_way": one_way}


FAULT = cut_fault(
    name="partition",
    title="cut every link between two groups of hosts, in both directions or in one",
    draw=_draw,
    common=True,
)
