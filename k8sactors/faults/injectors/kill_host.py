"""Node-poweroff and node-restart: a host stops without a word, and boots later."""

from __future__ import annotations

from k8sactors.fabric import Network
from k8sactors.faults.fault import Fault, Group, Strikes, Targets
from k8sactors.faults.parameters import Host, Parameters
from k8sactors.faults.processes import power_on
from k8sactors.simulation import Random


def _draw(random: Random, targets: Targets) -> Parameters:
    return {"host": random.choice(targets.hosts)}


def _inject(network: Network, parameters: Parameters) -> None:
    network.host(parameters["host"]).kill()


def _heal(network: Network, parameters: Parameters) -> None:
    power_on(network.host(parameters["host"]))


FAULT = Fault(
    name="kill-host",
    title="power off a host; writes that were not synced are gone when it boots again",
    group=Group.PROCESS,
    strikes=Strikes.HOST,
    parameters={"host": Host("the host")},
    draw=_draw,
    inject=_inject,
    heal=_heal,
    describe=lambda parameters: f"power off {parameters['host']}",
    common=True,
)
