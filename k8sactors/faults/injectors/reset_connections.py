"""Connection reset: connections break although both ends are well."""

from __future__ import annotations

from k8sactors.fabric import Network
from k8sactors.faults.fault import Fault, Group, Strikes, Targets
from k8sactors.faults.parameters import Host, Parameters
from k8sactors.simulation import Random


def _draw(random: Random, targets: Targets) -> Parameters:
    return {"host": random.choice(targets.hosts)}


def _inject(network: Network, parameters: Parameters) -> None:
    network.reset_connections(parameters["host"])


FAULT = Fault(
    name="reset-connections",
    title="break all connections of a host: clients do not know what became of their writes",
    group=Group.NETWORK,
    strikes=Strikes.LINK,
    parameters={"host": Host("the host")},
    draw=_draw,
    inject=_inject,
    describe=lambda parameters: f"reset the connections of {parameters['host']}",
)
