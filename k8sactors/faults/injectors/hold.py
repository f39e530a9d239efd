"""Hold and release: what one host sends to another is kept back for a while.

Answers of a long past term, and requests whose sender has given up, arrive as if they were new.
"""

from __future__ import annotations

from itertools import permutations

from k8sactors.fabric import Network
from k8sactors.faults.fault import Fault, Group, Strikes, Targets
from k8sactors.faults.parameters import Host, Parameters
from k8sactors.simulation import Random


def _draw(random: Random, targets: Targets) -> Parameters:
    """One direction between two hosts."""
    source, target = random.choice(list(permutations(targets.hosts, 2)))
    return {"source": source, "target": target}


def _inject(network: Network, parameters: Parameters) -> None:
    network.hold(parameters["source"], parameters["target"], one_way=True)


def _heal(network: Network, parameters: Parameters) -> None:
    network.release(parameters["source"], parameters["target"])


FAULT = Fault(
    name="hold",
    title="keep back what one host sends to another, and release it later",
    group=Group.NETWORK,
    strikes=Strikes.LINK,
    parameters={"source": Host("the sender"), "target": Host("the recipient")},
    draw=_draw,
    inject=_inject,
    heal=_heal,
    describe=lambda parameters: f"hold {parameters['source']} -> {parameters['target']}",
)
