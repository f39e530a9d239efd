"""A slow host: starved of processor time, it runs in bursts."""

from k8sactors.fabric import Network
from k8sactors.faults.fault import Parameters, Targets
from k8sactors.simulation import MILLISECOND, Random


class SlowHost:
    """Let a host run for a moment, stand still for a longer one, and so on."""

    kind = "slow-host"

    def draw(self, random: Random, targets: Targets) -> Parameters:
        """From barely noticeable to hardly alive."""
        run_ms = random.randint(1, 50)
        stall_ms = random.randint(10, 600)
        return {"host": random.choice(targets.hosts), "run_ms": run_ms, "stall_ms": stall_ms}

    def inject(self, network: Network, parameters: Parameters) -> None:
        """Make it slow."""
        run_ns = parameters["run_ms"] * MILLISECOND
        network.host(parameters["host"]).stutter(run_ns, parameters["stall_ms"] * MILLISECOND)

    def undo(self, network: Network, parameters: Parameters) -> None:
        """Full speed."""
        network.host(parameters["host"]).run_smoothly()

    def describe(self, parameters: Parameters) -> str:
        """One line for timelines."""
        run_ms, stall_ms = parameters["run_ms"], parameters["stall_ms"]
        return f"slow {parameters['host']}: runs {run_ms} ms, stalls {stall_ms} ms"
