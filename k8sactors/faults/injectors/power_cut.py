"""A power failure that hits several store hosts at once: a rack, a room, a data centre."""

from __future__ import annotations

from k8sactors.fabric import Network
from k8sactors.faults.fault import Fault, Group, Strikes, Targets
from k8sactors.faults.parameters import Hosts, Parameters
from k8sactors.faults.processes import power_on
from k8sactors.observe.text import few
from k8sactors.simulation import Random


def _draw(random: Random, targets: Targets) -> Parameters:
    """Half of the members or more."""
    hosts = targets.store_hosts
    count = random.randint((len(hosts) + 1) // 2, len(hosts))
    return {"hosts": random.sample(hosts, count)}


def _inject(network: Network, parameters: Parameters) -> None:
    for name in parameters["hosts"]:
        network.host(name).kill()


def _heal(network: Network, parameters: Parameters) -> None:
    for name in parameters["hosts"]:
        power_on(network.host(name))


FAULT = Fault(
    name="power-cut",
    title="power off several hosts at once: what none of them synced is lost for good",
    group=Group.PROCESS,
    strikes=Strikes.HOST,
    parameters={"hosts": Hosts("the hosts")},
    draw=_draw,
    inject=_inject,
    heal=_heal,
    describe=lambda parameters: f"power off {few(parameters['hosts'], ',')}",
)
