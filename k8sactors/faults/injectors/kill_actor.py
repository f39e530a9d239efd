"""Crash of one process: its connections are reset, its memory is gone."""

from __future__ import annotations

from k8sactors.faults.fault import Fault, Group, Strikes, Targets
from k8sactors.faults.parameters import ActorName, Host, Parameters
from k8sactors.faults.processes import kill_actor, start_actor
from k8sactors.simulation import Random


def _draw(random: Random, targets: Targets) -> Parameters:
    host, actor = random.choice(targets.actors)
    return {"host": host, "actor": actor}


FAULT = Fault(
    name="kill-actor",
    title="kill one process; it starts again when the fault ends",
    group=Group.PROCESS,
    strikes=Strikes.ACTOR,
    parameters={"host": Host("the host of the process"), "actor": ActorName("the process")},
    draw=_draw,
    inject=kill_actor,
    heal=start_actor,
    describe=lambda parameters: f"kill {parameters['host']}/{parameters['actor']}",
    common=True,
)
