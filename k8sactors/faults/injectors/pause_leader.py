"""The host of the store's leader freezes."""

from __future__ import annotations

from k8sactors.faults.fault import Fault, Group, Strikes
from k8sactors.faults.parameters import LEADER, Host
from k8sactors.faults.processes import pause, resume

FAULT = Fault(
    name="pause-leader",
    title="freeze the host of the store member that leads at that moment",
    group=Group.PROCESS,
    strikes=Strikes.HOST,
    parameters={"host": Host("the leader's host", default=LEADER)},
    draw=lambda _random, _targets: {"host": LEADER},
    inject=pause,
    heal=resume,
    describe=lambda parameters: f"pause {parameters['host']}",
)
