"""Clock drift: all clocks of a host run fast or slow."""

from __future__ import annotations

from k8sactors.faults.clocks import end_drift, set_drift
from k8sactors.faults.fault import Fault, Group, Strikes, Targets
from k8sactors.faults.parameters import Host, Integer, Parameters
from k8sactors.simulation import Random

LARGEST_DRIFT_PPM = 200_000


def _draw(random: Random, targets: Targets) -> Parameters:
    """Up to a fifth too fast or too slow: far more than any quartz."""
    drift_ppm = random.randint(-LARGEST_DRIFT_PPM, LARGEST_DRIFT_PPM)
    return {"host": random.choice(targets.hosts), "drift_ppm": drift_ppm}


def _describe(parameters: Parameters) -> str:
    return f"{parameters['host']}'s clock drifts by {parameters['drift_ppm'] / 10_000:+.1f} %"


FAULT = Fault(
    name="clock-drift",
    title="let all clocks of a host run fast or slow",
    group=Group.CLOCK,
    strikes=Strikes.CLOCK,
    parameters={
        "host": Host("the host"),
        "drift_ppm": Integer("parts per million; below 0: slow", least=-999_999, most=9_000_000),
    },
    draw=_draw,
    inject=set_drift,
    heal=end_drift,
    describe=_describe,
)
