"""Pause and resume: a frozen virtual machine or a very long garbage collection."""

from __future__ import annotations

from k8sactors.faults.fault import Fault, Group, Strikes, Targets
from k8sactors.faults.parameters import Host, Parameters
from k8sactors.faults.processes import pause, resume
from k8sactors.simulation import Random


def _draw(random: Random, targets: Targets) -> Parameters:
    return {"host": random.choice(targets.hosts)}


FAULT = Fault(
    name="pause-host",
    title="freeze a host; it resumes later without knowing that time has passed",
    group=Group.PROCESS,
    strikes=Strikes.HOST,
    parameters={"host": Host("the host")},
    draw=_draw,
    inject=pause,
    heal=resume,
    describe=lambda parameters: f"pause {parameters['host']}",
    common=True,
)
