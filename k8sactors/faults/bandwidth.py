"""Little bandwidth between some hosts."""

import math
from itertools import combinations

from k8sactors.fabric import Network
from k8sactors.faults.fault import Parameters, Targets
from k8sactors.simulation import Random

FEWEST_BYTES_PER_S = 1_000
RANGE = 1_000


class Bandwidth:
    """Let frames between some hosts queue for a thin line; datagrams that wait long are lost."""

    kind = "bandwidth"

    def draw(self, random: Random, targets: Targets) -> Parameters:
        """Two or more hosts, a kilobyte to a megabyte per second."""
        hosts = random.sample(targets.hosts, random.randint(2, len(targets.hosts)))
        speed = FEWEST_BYTES_PER_S * math.pow(RANGE, random.random())
        return {"hosts": hosts, "bytes_per_s": round(speed)}

    def inject(self, network: Network, parameters: Parameters) -> None:
        """Limit the links."""
        for a, b in combinations(parameters["hosts"], 2):
            network.throttle(a, b, parameters["bytes_per_s"])

    def undo(self, network: Network, parameters: Parameters) -> None:
        """As much as anybody wants."""
        for a, b in combinations(parameters["hosts"], 2):
            network.throttle(a, b)

    def describe(self, parameters: Parameters) -> str:
        """One line for timelines."""
        speed = parameters["bytes_per_s"] / 1000
        return f"limit {','.join(parameters['hosts'])} to {speed:.1f} kB/s"
