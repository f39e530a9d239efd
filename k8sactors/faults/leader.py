"""Faults that strike whoever leads the store at that moment: the ones that hurt most.

What is drawn names the role; the host that plays it is looked up when the fault begins.
"""

import math
from itertools import combinations

from k8sactors.fabric import Network
from k8sactors.faults.actor_kill import ActorKill
from k8sactors.faults.fault import LEADER, REIGN, STORE_ACTOR, Parameters, Targets
from k8sactors.faults.host_pause import HostPause
from k8sactors.faults.partition import ONE_WAY_SHARE, Partition
from k8sactors.simulation import Random

SHORTEST_REIGN_MS = 10
REIGN_RANGE = 200


class LeaderIsolation(Partition):
    """Cut the leader off from the other members and from everybody else but its clients."""

    kind = "isolate-leader"

    def draw(self, random: Random, targets: Targets) -> Parameters:
        """The leader alone against all hosts."""
        one_way = random.random() < ONE_WAY_SHARE
        return {"a": [LEADER], "b": list(targets.hosts), "one_way": one_way}


class LeaderKill(ActorKill):
    """Kill the leader's process."""

    kind = "kill-leader"

    def draw(self, random: Random, targets: Targets) -> Parameters:
        """Nothing to choose."""
        del random, targets
        return {"host": LEADER, "actor": STORE_ACTOR}


class NewLeaderKill(LeaderKill):
    """Crash at a named point: the process of the next leader dies soon after its election.

    What a leader does in its first moments, when its log and those of the others still differ, is
    where the subtle rules of Raft matter (section 5.4.2); faults at random times rarely strike it.
    """

    kind = "kill-new-leader"

    def draw(self, random: Random, targets: Targets) -> Parameters:
        """How long it may lead."""
        return {**super().draw(random, targets), REIGN: _draw_reign_ms(random)}


class NewLeaderIsolation(LeaderIsolation):
    """The next leader is cut off soon after its election, and whoever was cut off before is back.

    So one member after the other leads for a moment, with a log of which the others may know little
    (figure 8 of the Raft paper is such a run).
    """

    kind = "isolate-new-leader"

    def draw(self, random: Random, targets: Targets) -> Parameters:
        """How long it may lead."""
        parameters = super().draw(random, targets)
        return {**parameters, "one_way": False, REIGN: _draw_reign_ms(random)}

    def inject(self, network: Network, parameters: Parameters) -> None:
        """Mend all cuts among the hosts, then cut off the leader."""
        for a, b in combinations(parameters["b"], 2):
            network.mend(a, b)
        super().inject(network, parameters)


class LeaderPause(HostPause):
    """Freeze the leader's host."""

    kind = "pause-leader"

    def draw(self, random: Random, targets: Targets) -> Parameters:
        """Nothing to choose."""
        del random, targets
        return {"host": LEADER}


def _draw_reign_ms(random: Random) -> int:
    """Every order of magnitude is as likely."""
    return round(SHORTEST_REIGN_MS * math.pow(REIGN_RANGE, random.random()))
