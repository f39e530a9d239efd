"""Crash at a named point: the process of the next leader dies soon after its election.

What a leader does in its first moments, when its log and those of the others still differ, is where
the subtle rules of Raft matter (section 5.4.2); faults at random times rarely strike it.
"""

from __future__ import annotations

from k8sactors.faults.fault import REIGN, STORE_ACTOR, Fault, Group, Strikes, Targets
from k8sactors.faults.parameters import LEADER, ActorName, Host, Milliseconds, Parameters
from k8sactors.faults.processes import draw_reign_ms, kill_actor, start_actor
from k8sactors.simulation import Random


def _draw(random: Random, targets: Targets) -> Parameters:
    del targets
    return {"host": LEADER, "actor": STORE_ACTOR, REIGN: draw_reign_ms(random)}


FAULT = Fault(
    name="kill-new-leader",
    title="kill the process of the next leader of the store soon after its election",
    group=Group.PROCESS,
    strikes=Strikes.ACTOR,
    parameters={
        "host": Host("the leader's host", default=LEADER),
        "actor": ActorName("the member's process", default=STORE_ACTOR),
        REIGN: Milliseconds("how long it leads before", default=50),
    },
    draw=_draw,
    inject=kill_actor,
    heal=start_actor,
    describe=lambda parameters: f"kill {parameters['host']}/{parameters['actor']}",
)
