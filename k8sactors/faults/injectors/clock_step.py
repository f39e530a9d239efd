"""Clock step: the wall clock of a host is set forward or back."""

from __future__ import annotations

from k8sactors.fabric import Network
from k8sactors.faults.fault import Fault, Group, Strikes, Targets
from k8sactors.faults.parameters import Host, Milliseconds, Parameters
from k8sactors.simulation import MILLISECOND, Random

LARGEST_STEP_MS = 3_600_000
YEAR_MS = 365 * 24 * 3_600_000


def _draw(random: Random, targets: Targets) -> Parameters:
    """Up to an hour, either way."""
    step_ms = random.randint(-LARGEST_STEP_MS, LARGEST_STEP_MS)
    return {"host": random.choice(targets.hosts), "step_ms": step_ms}


def _inject(network: Network, parameters: Parameters) -> None:
    network.host(parameters["host"]).clock.offset_ns += parameters["step_ms"] * MILLISECOND


def _heal(network: Network, parameters: Parameters) -> None:
    """Step back."""
    network.host(parameters["host"]).clock.offset_ns -= parameters["step_ms"] * MILLISECOND


def _describe(parameters: Parameters) -> str:
    return f"step the clock of {parameters['host']} by {parameters['step_ms'] / 1000:+g} s"


FAULT = Fault(
    name="clock-step",
    title="set the wall clock of a host forward or back; its monotonic clock does not follow",
    group=Group.CLOCK,
    strikes=Strikes.CLOCK,
    parameters={
        "host": Host("the host"),
        "step_ms": Milliseconds("how far; below 0: back", least=-YEAR_MS, most=YEAR_MS),
    },
    draw=_draw,
    inject=_inject,
    heal=_heal,
    describe=_describe,
)
