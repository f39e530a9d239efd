"""Loss, delay, duplication and reordering on some links."""

from itertools import combinations

from k8sactors.fabric import Network
from k8sactors.faults.fault import Parameters, Targets
from k8sactors.simulation import MILLISECOND, Random


class Degrade:
    """Make the links among a few hosts lossy and slow."""

    kind = "degrade"

    def draw(self, random: Random, targets: Targets) -> Parameters:
        """Two or more hosts; severity from barely noticeable to hardly usable."""
        hosts = random.sample(targets.hosts, random.randint(2, max(2, len(targets.hosts) // 2)))
        severity = random.random()
        return {
            "hosts": hosts,
            "delay_ms": round(200 * severity * random.random()),
            "jitter_ms": round(100 * severity * random.random()),
            "loss": round(0.4 * severity * random.random(), 3),
            "duplicate": round(0.3 * severity * random.random(), 3),
            "reorder": round(0.5 * severity * random.random(), 3),
        }

    def inject(self, network: Network, parameters: Parameters) -> None:
        """Make the links worse."""
        for a, b in combinations(parameters["hosts"], 2):
            network.degrade(
                a,
                b,
                delay_ns=parameters["delay_ms"] * MILLISECOND,
                jitter_ns=parameters["jitter_ms"] * MILLISECOND,
                loss=parameters["loss"],
                duplicate=parameters["duplicate"],
                reorder=parameters["reorder"],
            )

    def undo(self, network: Network, parameters: Parameters) -> None:
        """Back to the links' own latency."""
        for a, b in combinations(parameters["hosts"], 2):
            network.degrade(a, b)

    def describe(self, parameters: Parameters) -> str:
        """One line for timelines."""
        return (
            f"degrade {','.join(parameters['hosts'])}: loss {parameters['loss']:.0%}, "
            f"delay {parameters['delay_ms']}+{parameters['jitter_ms']} ms"
        )
