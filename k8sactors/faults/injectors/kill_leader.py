"""The process of the store's leader dies."""

from __future__ import annotations

from k8sactors.faults.fault import STORE_ACTOR, Fault, Group, Strikes
from k8sactors.faults.parameters import LEADER, ActorName, Host
from k8sactors.faults.processes import kill_actor, start_actor

FAULT = Fault(
    name="kill-leader",
    title="kill the process of the store member that leads at that moment",
    group=Group.PROCESS,
    strikes=Strikes.ACTOR,
    parameters={
        "host": Host("the leader's host", default=LEADER),
        "actor": ActorName("the member's process", default=STORE_ACTOR),
    },
    draw=lambda _random, _targets: {"host": LEADER, "actor": STORE_ACTOR},
    inject=kill_actor,
    heal=start_actor,
    describe=lambda parameters: f"kill {parameters['host']}/{parameters['actor']}",
)
