"""A fault plan: which fault hits what, when, and for how long; drawn from a seed.

Swarm testing (Groce et al., 2012): each seed first draws which kinds of fault are on at all and how
dense they come, so that some runs see only partitions and others everything at once. A plan is
plain data: it can be printed, shrunk, and played again.
"""

from collections.abc import Sequence
from functools import partial

import attrs

from k8sactors.fabric import Network
from k8sactors.faults.actor_kill import ActorKill
from k8sactors.faults.degrade import Degrade
from k8sactors.faults.errors import UnknownFaultError
from k8sactors.faults.fault import Injector, Parameters, Targets
from k8sactors.faults.host_kill import HostKill
from k8sactors.faults.host_pause import HostPause
from k8sactors.faults.partition import Partition
from k8sactors.simulation import MILLISECOND, Random, TimerQueue

CATALOGUE: dict[str, Injector] = {
    injector.kind: injector
    for injector in (HostKill(), ActorKill(), HostPause(), Partition(), Degrade())
}

SHORTEST_FAULT_MS = 200
LONGEST_FAULT_MS = 25_000

# How likely each kind of fault takes part in a run.
ENABLED_SHARE = 0.6


@attrs.frozen
class PlannedFault:
    """One fault: from `at_ms`, for `duration_ms`, of a kind in the catalogue."""

    at_ms: int
    duration_ms: int
    kind: str
    parameters: Parameters

    @property
    def injector(self) -> Injector:
        """The catalogue's entry.

        Raises:
            UnknownFaultError: there is none of that kind.
        """
        injector = CATALOGUE.get(self.kind)
        if injector is None:
            raise UnknownFaultError(f"no fault {self.kind!r}; known: {', '.join(CATALOGUE)}")
        return injector

    def describe(self) -> str:
        """One line for timelines."""
        what = self.injector.describe(self.parameters)
        return f"{self.at_ms / 1000:8.3f} s  {what} for {self.duration_ms / 1000:g} s"


def draw_plan(
    random: Random, targets: Targets, duration_ms: int, kinds: Sequence[str] = ()
) -> list[PlannedFault]:
    """Draw the faults of one run, ordered by time; `kinds` restricts them (default: all).

    Raises:
        UnknownFaultError: a kind is not in the catalogue.
    """
    for kind in kinds:
        if kind not in CATALOGUE:
            raise UnknownFaultError(f"no fault {kind!r}; known: {', '.join(CATALOGUE)}")
    known = list(kinds or CATALOGUE)
    enabled = [kind for kind in known if random.random() < ENABLED_SHARE]
    if not enabled:
        enabled = [random.choice(known)]
    mean_gap_ms = random.choice((1_000, 3_000, 8_000))
    faults = []
    at_ms = random.randrange(mean_gap_ms)
    while at_ms < duration_ms:
        kind = random.choice(enabled)
        longest_ms = random.choice((1_000, 5_000, LONGEST_FAULT_MS))
        faults.append(
            PlannedFault(
                at_ms=at_ms,
                duration_ms=random.randint(SHORTEST_FAULT_MS, longest_ms),
                kind=kind,
                parameters=CATALOGUE[kind].draw(random, targets),
            )
        )
        at_ms += 1 + random.randrange(2 * mean_gap_ms)
    return faults


def schedule_plan(
    faults: Sequence[PlannedFault], network: Network, timers: TimerQueue, duration_ms: int
) -> None:
    """Set the timers that inject and undo each fault; none outlasts `duration_ms`."""
    for fault in faults:
        injector = fault.injector
        end_ms = min(fault.at_ms + fault.duration_ms, duration_ms)
        timers.after(
            fault.at_ms * MILLISECOND,
            partial(injector.inject, network, fault.parameters),
        )
        timers.after(
            end_ms * MILLISECOND,
            partial(injector.undo, network, fault.parameters),
        )


def heal_everything(network: Network) -> None:
    """The end of the safety phase: links mended, hosts running, processes started."""
    network.heal()
    for host in network.hosts.values():
        host.resume()
        if not host.up:
            host.restart()
        for name, slot in host.slots.items():
            if slot.actor is None:
                host.restart_actor(name)
