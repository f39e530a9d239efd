"""Crash-restart: a process that crashes and is started again by its supervisor at once."""

from __future__ import annotations

from k8sactors.fabric import Network
from k8sactors.faults.fault import Fault, Group, Strikes, Targets
from k8sactors.faults.parameters import ActorName, Host, Parameters
from k8sactors.faults.processes import kill_actor, start_actor
from k8sactors.simulation import Random


def _draw(random: Random, targets: Targets) -> Parameters:
    host, actor = random.choice(targets.actors)
    return {"host": host, "actor": actor}


def _inject(network: Network, parameters: Parameters) -> None:
    kill_actor(network, parameters)
    start_actor(network, parameters)


FAULT = Fault(
    name="restart-actor",
    title="kill one process and start it again at once",
    group=Group.PROCESS,
    strikes=Strikes.ACTOR,
    parameters={"host": Host("the host of the process"), "actor": ActorName("the process")},
    draw=_draw,
    inject=_inject,
    heal=start_actor,
    describe=lambda parameters: f"restart {parameters['host']}/{parameters['actor']}",
)
