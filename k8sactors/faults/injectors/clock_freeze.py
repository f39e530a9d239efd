"""Clock freeze: all clocks of a host stop; it continues to answer, and no timer of it ever ends."""

from __future__ import annotations

from k8sactors.faults.clocks import end_drift, set_drift
from k8sactors.faults.fault import Fault, Group, Strikes, Targets
from k8sactors.faults.parameters import Host, Integer, Parameters
from k8sactors.simulation import Random
from k8sactors.simulation.host_clock import STOPPED_PPM


def _draw(random: Random, targets: Targets) -> Parameters:
    return {"host": random.choice(targets.hosts), "drift_ppm": STOPPED_PPM}


FAULT = Fault(
    name="clock-freeze",
    title="stop all clocks of a host",
    group=Group.CLOCK,
    strikes=Strikes.CLOCK,
    parameters={
        "host": Host("the host"),
        "drift_ppm": Integer(
            "parts per million: stopped", least=STOPPED_PPM, most=STOPPED_PPM, default=STOPPED_PPM
        ),
    },
    draw=_draw,
    inject=set_drift,
    heal=end_drift,
    describe=lambda parameters: f"{parameters['host']}'s clock stands still",
)
