"""Clogged links: nothing is lost, everything is late, and then it comes at once."""

from __future__ import annotations

from k8sactors.fabric import Network
from k8sactors.faults.fault import Fault, Group, Strikes, Targets
from k8sactors.faults.parameters import Host, OtherHosts, Parameters
from k8sactors.simulation import Random


def _draw(random: Random, targets: Targets) -> Parameters:
    """One host against all others."""
    host = random.choice(targets.hosts)
    return {"host": host, "others": [other for other in targets.hosts if other != host]}


def _inject(network: Network, parameters: Parameters) -> None:
    """Hold the links in both directions."""
    for other in parameters["others"]:
        network.hold(parameters["host"], other)


def _heal(network: Network, parameters: Parameters) -> None:
    """Let everything go."""
    for other in parameters["others"]:
        network.release(parameters["host"], other)


FAULT = Fault(
    name="clog",
    title="keep back everything to and from one host, and deliver it at once when it ends",
    group=Group.NETWORK,
    strikes=Strikes.LINK,
    parameters={
        "host": Host("the host"),
        "others": OtherHosts("at the other ends of the links; all others unless given"),
    },
    draw=_draw,
    inject=_inject,
    heal=_heal,
    describe=lambda parameters: f"clog {parameters['host']}",
)
