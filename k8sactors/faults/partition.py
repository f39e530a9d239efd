"""Partitions: symmetric, one-way, isolating one host, or two halves."""

from collections.abc import Iterator

from k8sactors.fabric import Network
from k8sactors.faults.fault import Parameters, Targets
from k8sactors.simulation import Random

# How often the cut isolates a single store member, and how often it is one-way.
LONELY_MEMBER_SHARE = 0.5
ONE_WAY_SHARE = 0.3


class Partition:
    """Cut every link between two groups of hosts, in both directions or in one."""

    kind = "partition"

    def draw(self, random: Random, targets: Targets) -> Parameters:
        """Half of the time one store member is alone, otherwise the hosts are split at random."""
        hosts = list(targets.hosts)
        if random.random() < LONELY_MEMBER_SHARE and targets.store_hosts:
            lonely = [random.choice(targets.store_hosts)]
        else:
            lonely = random.sample(hosts, random.randint(1, max(1, len(hosts) // 2)))
        others = [host for host in hosts if host not in lonely]
        return {"a": lonely, "b": others, "one_way": random.random() < ONE_WAY_SHARE}

    def inject(self, network: Network, parameters: Parameters) -> None:
        """Cut the links."""
        for a, b in self._pairs(parameters):
            network.cut(a, b, one_way=parameters["one_way"])

    def undo(self, network: Network, parameters: Parameters) -> None:
        """Mend them."""
        for a, b in self._pairs(parameters):
            network.mend(a, b)

    def describe(self, parameters: Parameters) -> str:
        """One line for timelines."""
        arrow = "->" if parameters["one_way"] else "|"
        return f"cut {','.join(parameters['a'])} {arrow} {','.join(parameters['b'])}"

    def _pairs(self, parameters: Parameters) -> Iterator[tuple[str, str]]:
        for a in parameters["a"]:
            for b in parameters["b"]:
                if a != b:
                    yield a, b
