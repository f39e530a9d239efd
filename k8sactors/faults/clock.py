"""Clocks that are wrong: each host has its own."""

from k8sactors.fabric import Network
from k8sactors.fabric.clock import STOPPED_PPM
from k8sactors.faults.fault import Parameters, Targets
from k8sactors.simulation import MILLISECOND, Random

LARGEST_STEP_MS = 3_600_000
LARGEST_DRIFT_PPM = 200_000


class ClockStep:
    """Set the wall clock of a host forward or back; its monotonic clock does not care."""

    kind = "clock-step"

    def draw(self, random: Random, targets: Targets) -> Parameters:
        """Up to an hour, either way."""
        step_ms = random.randint(-LARGEST_STEP_MS, LARGEST_STEP_MS)
        return {"host": random.choice(targets.hosts), "step_ms": step_ms}

    def inject(self, network: Network, parameters: Parameters) -> None:
        """Step."""
        clock = network.host(parameters["host"]).clock
        clock.offset_ns += parameters["step_ms"] * MILLISECOND

    def undo(self, network: Network, parameters: Parameters) -> None:
        """Step back."""
        clock = network.host(parameters["host"]).clock
        clock.offset_ns -= parameters["step_ms"] * MILLISECOND

    def describe(self, parameters: Parameters) -> str:
        """One line for timelines."""
        return f"step the clock of {parameters['host']} by {parameters['step_ms'] / 1000:+g} s"


class ClockDrift:
    """Let all clocks of a host run fast or slow."""

    kind = "clock-drift"

    def draw(self, random: Random, targets: Targets) -> Parameters:
        """Up to a fifth too fast or too slow: far more than any quartz."""
        drift_ppm = random.randint(-LARGEST_DRIFT_PPM, LARGEST_DRIFT_PPM)
        return {"host": random.choice(targets.hosts), "drift_ppm": drift_ppm}

    def inject(self, network: Network, parameters: Parameters) -> None:
        """Change the speed."""
        network.host(parameters["host"]).clock.drift_ppm = parameters["drift_ppm"]

    def undo(self, network: Network, parameters: Parameters) -> None:
        """The right speed; what was gained or lost stays."""
        network.host(parameters["host"]).clock.drift_ppm = 0

    def describe(self, parameters: Parameters) -> str:
        """One line for timelines."""
        return f"{parameters['host']}'s clock drifts by {parameters['drift_ppm'] / 10_000:+.1f} %"


class ClockFreeze(ClockDrift):
    """Stop all clocks of a host: it goes on to answer, and never finds that time is over."""

    kind = "clock-freeze"

    def draw(self, random: Random, targets: Targets) -> Parameters:
        """Any host."""
        return {"host": random.choice(targets.hosts), "drift_ppm": STOPPED_PPM}

    def describe(self, parameters: Parameters) -> str:
        """One line for timelines."""
        return f"{parameters['host']}'s clock stands still"
