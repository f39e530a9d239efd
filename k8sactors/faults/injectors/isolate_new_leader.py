"""The next leader is cut off soon after its election, and hosts that were cut off before are back.

So one member after the other leads for a moment, with a log of which the others may know little
(figure 8 of the Raft paper is such a run).
"""

from __future__ import annotations

from itertools import combinations

from k8sactors.fabric import Network
from k8sactors.faults.fault import REIGN, Targets
from k8sactors.faults.links import CUT, cut, cut_fault
from k8sactors.faults.parameters import LEADER, Hosts, Milliseconds, Parameters
from k8sactors.faults.processes import draw_reign_ms
from k8sactors.simulation import Random


def _draw(random: Random, targets: Targets) -> Parameters:
    """How long it may lead."""
    return {"a": [LEADER], "b": list(targets.hosts), "one_way": False, REIGN: draw_reign_ms(random)}


def _inject(network: Network, parameters: Parameters) -> None:
    """Mend all cuts among the hosts, then cut off the leader."""
    for a, b in combinations(parameters["b"], 2):
        network.mend(a, b)
    cut(network, parameters)


FAULT = cut_fault(
    name="isolate-new-leader",
    title="cut off the next leader of the store soon after its election; mend earlier cuts",
    parameters={
        **CUT,
        "a": Hosts("the leader's host", default=(LEADER,)),
        REIGN: Milliseconds("how long it leads before", default=50),
    },
    draw=_draw,
    inject=_inject,
)
