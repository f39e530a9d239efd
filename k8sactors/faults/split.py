"""Partitions of a certain shape among the store's hosts."""

from k8sactors.faults.fault import Parameters, Targets
from k8sactors.faults.partition import Partition
from k8sactors.simulation import Random


class MajoritySplit(Partition):
    """Cut the hosts into a majority and a minority, everybody on one side or the other."""

    kind = "majority-minority"

    def draw(self, random: Random, targets: Targets) -> Parameters:
        """The smaller half, chosen at random."""
        hosts = list(targets.hosts)
        minority = random.sample(hosts, (len(hosts) - 1) // 2)
        majority = [host for host in hosts if host not in minority]
        return {"a": minority, "b": majority, "one_way": False}


class Bridge(Partition):
    """Two halves that cannot see each other, and one host that sees both.

    A leader that the bridge alone still hears, and elections that never settle without PreVote, are
    what such a partial partition is good for (Cloudflare, 2020-11-02).
    """

    kind = "bridge"

    def draw(self, random: Random, targets: Targets) -> Parameters:
        """Any host may be the bridge."""
        hosts = random.sample(targets.hosts, len(targets.hosts))
        bridge, rest = hosts[0], hosts[1:]
        half = max(1, len(rest) // 2)
        return {"a": rest[:half], "b": rest[half:], "one_way": False, "bridge": bridge}

    def describe(self, parameters: Parameters) -> str:
        """One line for timelines."""
        return f"{super().describe(parameters)}, bridge {parameters['bridge']}"


class OneWay(Partition):
    """One host is heard by nobody, or hears nobody."""

    kind = "one-way"

    def draw(self, random: Random, targets: Targets) -> Parameters:
        """Which host, and which of the two."""
        lonely = random.choice(targets.hosts)
        others = [host for host in targets.hosts if host != lonely]
        deaf = random.choice((False, True))
        a, b = (others, [lonely]) if deaf else ([lonely], others)
        return {"a": a, "b": b, "one_way": True}
