"""Clogged links: nothing is lost, everything is late, and then it comes at once."""

from itertools import permutations

from k8sactors.fabric import Network
from k8sactors.faults.fault import Parameters, Targets
from k8sactors.simulation import Random


class Clog:
    """Keep back everything to and from one host, datagrams too, until the clog dissolves."""

    kind = "clog"

    def draw(self, random: Random, targets: Targets) -> Parameters:
        """One host against all others."""
        host = random.choice(targets.hosts)
        return {"host": host, "others": [other for other in targets.hosts if other != host]}

    def inject(self, network: Network, parameters: Parameters) -> None:
        """Hold the links in both directions."""
        for other in parameters["others"]:
            network.hold(parameters["host"], other)

    def undo(self, network: Network, parameters: Parameters) -> None:
        """Let everything go."""
        for other in parameters["others"]:
            network.release(parameters["host"], other)

    def describe(self, parameters: Parameters) -> str:
        """One line for timelines."""
        return f"clog {parameters['host']}"


class Hold:
    """Keep back what one host sends to another, and release it later.

    Answers of a long past term, and requests whose sender has given up, arrive as if they were new.
    """

    kind = "hold"

    def draw(self, random: Random, targets: Targets) -> Parameters:
        """One direction between two hosts."""
        source, target = random.choice(list(permutations(targets.hosts, 2)))
        return {"source": source, "target": target}

    def inject(self, network: Network, parameters: Parameters) -> None:
        """Hold one direction."""
        network.hold(parameters["source"], parameters["target"], one_way=True)

    def undo(self, network: Network, parameters: Parameters) -> None:
        """Let everything go."""
        network.release(parameters["source"], parameters["target"])

    def describe(self, parameters: Parameters) -> str:
        """One line for timelines."""
        return f"hold {parameters['source']} -> {parameters['target']}"
