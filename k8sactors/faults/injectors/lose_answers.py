"""Response lost after success: requests are carried out, and the answers do not come back.

So clients have writes whose fate they do not know, and which were carried out all the same.
"""

from __future__ import annotations

from k8sactors.fabric import Network
from k8sactors.faults.fault import OPERATOR_HOST, Fault, Group, Strikes, Targets
from k8sactors.faults.parameters import Host, Parameters
from k8sactors.simulation import Random


def _draw(random: Random, targets: Targets) -> Parameters:
    """One member's answers."""
    return {"host": random.choice(targets.store_hosts)}


def _inject(network: Network, parameters: Parameters) -> None:
    """Keep back what the host sends to the clients."""
    if OPERATOR_HOST in network.hosts:
        network.hold(parameters["host"], OPERATOR_HOST, one_way=True)


def _heal(network: Network, parameters: Parameters) -> None:
    """Break the connections first: what was kept back is lost with them."""
    if OPERATOR_HOST in network.hosts:
        network.reset_connections(parameters["host"])
        network.release(parameters["host"], OPERATOR_HOST)


FAULT = Fault(
    name="lose-answers",
    title="lose what a host answers to clients on the console; their requests are carried out",
    group=Group.NETWORK,
    strikes=Strikes.LINK,
    parameters={"host": Host("the host that answers")},
    draw=_draw,
    inject=_inject,
    heal=_heal,
    describe=lambda parameters: f"lose the answers of {parameters['host']}",
)
