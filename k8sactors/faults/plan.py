"""A fault plan: which fault hits what, when, and for how long; drawn from a seed.

Swarm testing (Groce et al., 2012): each seed first draws which kinds of fault are on at all and how
dense they come, so that some runs see only partitions and others everything at once. A plan is
plain data: it can be printed, shrunk, and played again.
"""

from collections.abc import Callable, Sequence
from functools import partial

import attrs

from k8sactors.fabric import Network
from k8sactors.faults.actor_kill import ActorKill, ActorRestart
from k8sactors.faults.answers import LostAnswers, SlowWatcher
from k8sactors.faults.bandwidth import Bandwidth
from k8sactors.faults.clock import ClockDrift, ClockFreeze, ClockStep
from k8sactors.faults.clog import Clog, Hold
from k8sactors.faults.connection_reset import ConnectionReset
from k8sactors.faults.crash_point import CrashPoint
from k8sactors.faults.degrade import Degrade
from k8sactors.faults.disk import (
    DiskError,
    DiskFault,
    DiskFull,
    DiskLatency,
    SyncFailure,
    TornWrite,
    disk_of,
)
from k8sactors.faults.errors import UnknownFaultError
from k8sactors.faults.fault import LEADER, REIGN, Injector, Parameters, Targets, resolved
from k8sactors.faults.host_kill import HostKill
from k8sactors.faults.host_pause import HostPause
from k8sactors.faults.leader import (
    LeaderIsolation,
    LeaderKill,
    LeaderPause,
    NewLeaderIsolation,
    NewLeaderKill,
)
from k8sactors.faults.orders import (
    BitRot,
    Compaction,
    JointReplacement,
    LeaderTransfer,
    LostDisk,
    MemberAdd,
    MemberRemoval,
    MemberReplacement,
    Order,
    QuotaExceeded,
)
from k8sactors.faults.partition import Partition
from k8sactors.faults.power_cut import PowerCut
from k8sactors.faults.sequence import (
    CrashLoop,
    FaultSequence,
    InterruptedChange,
    InterruptedInstall,
    RollingRestart,
    SwizzleClog,
)
from k8sactors.faults.slow_host import SlowHost
from k8sactors.faults.split import Bridge, MajoritySplit, OneWay
from k8sactors.simulation import MILLISECOND, Random, TimerQueue

EVERYWHERE = (HostKill(), ActorKill(), HostPause(), Partition(), Degrade())
ON_REQUEST = (
    ActorRestart(),
    LeaderIsolation(),
    LeaderKill(),
    LeaderPause(),
    NewLeaderIsolation(),
    NewLeaderKill(),
    PowerCut(),
    MajoritySplit(),
    Bridge(),
    OneWay(),
    Clog(),
    Hold(),
    ConnectionReset(),
    Bandwidth(),
    SlowHost(),
    ClockStep(),
    ClockDrift(),
    ClockFreeze(),
    DiskLatency(),
    DiskFault(),
    DiskFull(),
    DiskError(),
    SyncFailure(),
    TornWrite(),
    LeaderTransfer(),
    MemberAdd(),
    MemberRemoval(),
    MemberReplacement(),
    JointReplacement(),
    LostDisk(),
    BitRot(),
    CrashPoint(),
    LostAnswers(),
    SlowWatcher(),
    Compaction(),
    QuotaExceeded(),
)
CATALOGUE: dict[str, Injector] = {
    injector.kind: injector for injector in (*EVERYWHERE, *ON_REQUEST)
}
SEQUENCES: dict[str, FaultSequence] = {
    sequence.kind: sequence
    for sequence in (
        CrashLoop(),
        RollingRestart(),
        SwizzleClog(),
        InterruptedInstall(),
        InterruptedChange(),
    )
}
DEFAULT_KINDS = tuple(injector.kind for injector in EVERYWHERE)

OF_CLUSTERS = tuple(
    kind for kind, injector in CATALOGUE.items() if not isinstance(injector, (Order, LostAnswers))
)
"""The kinds that can strike a Kubernetes cluster; the others need the store's own operator."""

SHORTEST_FAULT_MS = 200
LEADER_POLL_MS = 20


@attrs.frozen
class Pace:
    """How fast faults follow each other and how long they last; each run draws one of each.

    Attributes:
        mean_gaps_ms: mean times between the starts of two faults.
        longest_ms: upper bounds of a fault's duration, drawn anew for each fault.
    """

    mean_gaps_ms: tuple[int, ...] = (1_000, 3_000, 8_000)
    longest_ms: tuple[int, ...] = (1_000, 5_000, 25_000)


DEFAULT_PACE = Pace()

# How likely each kind of fault takes part in a run.
ENABLED_SHARE = 0.6


@attrs.frozen
class PlannedFault:
    """One fault: from `at_ms`, for `duration_ms`, of a kind in the catalogue.

    `part_of` names the sequence that it belongs to, if any.
    """

    at_ms: int
    duration_ms: int
    kind: str
    parameters: Parameters
    part_of: str = ""

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
        whole = f" ({self.part_of})" if self.part_of else ""
        return f"{self.at_ms / 1000:8.3f} s  {what} for {self.duration_ms / 1000:g} s{whole}"


def draw_plan(
    random: Random,
    targets: Targets,
    duration_ms: int,
    kinds: Sequence[str] = (),
    pace: Pace = DEFAULT_PACE,
) -> list[PlannedFault]:
    """Draw the faults of one run, ordered by time; `kinds` replaces the default ones.

    A kind that is named several times strikes that much more often.

    Raises:
        UnknownFaultError: a kind is not in the catalogue.
    """
    check_kinds(kinds)
    known = list(kinds or DEFAULT_KINDS)
    enabled = [kind for kind in known if random.random() < ENABLED_SHARE]
    if not enabled:
        enabled = [random.choice(known)]
    mean_gap_ms = random.choice(pace.mean_gaps_ms)
    return draw_faults(random, targets, duration_ms, enabled, mean_gap_ms, pace.longest_ms)


def check_kinds(kinds: Sequence[str]) -> None:
    """Make sure that all kinds of fault exist.

    Raises:
        UnknownFaultError: one does not.
    """
    for kind in kinds:
        if kind not in CATALOGUE and kind not in SEQUENCES:
            known = ", ".join((*CATALOGUE, *SEQUENCES))
            raise UnknownFaultError(f"no fault {kind!r}; known: {known}")


def draw_faults(
    random: Random,
    targets: Targets,
    duration_ms: int,
    enabled: Sequence[str],
    mean_gap_ms: int,
    longest_ms: Sequence[int],
) -> list[PlannedFault]:
    """Draw faults of the enabled kinds, a mean gap between the starts of two, ordered by time."""
    faults: list[PlannedFault] = []
    at_ms = random.randrange(mean_gap_ms)
    while at_ms < duration_ms:
        kind = random.choice(enabled)
        length_ms = random.randint(SHORTEST_FAULT_MS, random.choice(longest_ms))
        if kind in SEQUENCES:
            faults += [
                PlannedFault(part.at_ms, part.duration_ms, part.kind, part.parameters, kind)
                for part in SEQUENCES[kind].unfold(random, targets, at_ms, length_ms)
                if part.at_ms < duration_ms
            ]
        else:
            parameters = CATALOGUE[kind].draw(random, targets)
            faults.append(PlannedFault(at_ms, length_ms, kind, parameters))
        at_ms += 1 + random.randrange(2 * mean_gap_ms)
    return sorted(faults, key=lambda fault: fault.at_ms)


def schedule_plan(
    faults: Sequence[PlannedFault],
    network: Network,
    timers: TimerQueue,
    duration_ms: int,
    find_leader: Callable[[], str | None] = lambda: None,
    on_strike: Callable[[PlannedFault], None] = lambda _fault: None,
) -> None:
    """Set the timers that inject and undo each fault; none outlasts `duration_ms`.

    `on_strike` is told of each fault that found its target and struck.
    """
    for fault in faults:
        _Scheduled(fault, network, timers, duration_ms, find_leader, on_strike).start()


@attrs.define
class _Scheduled:
    """A fault to come: finds out whom it strikes, so that the same one is healed."""

    fault: PlannedFault
    network: Network
    timers: TimerQueue
    limit_ms: int
    find_leader: Callable[[], str | None]
    on_strike: Callable[[PlannedFault], None]
    former: str | None = None
    waited_ms: int = 0

    def start(self) -> None:
        at_ns = self.fault.at_ms * MILLISECOND
        if REIGN in self.fault.parameters:
            self.timers.after(at_ns, self.watch)
        else:
            self.timers.after(at_ns, self.strike)

    def watch(self) -> None:
        self.former = self.find_leader()
        self.await_new_leader()

    def await_new_leader(self) -> None:
        """Look every few milliseconds whether somebody else leads by now."""
        leader = self.find_leader()
        if leader is None or leader == self.former:
            self.former = leader
            self.waited_ms += LEADER_POLL_MS
            if self.fault.at_ms + self.waited_ms < self.limit_ms:
                self.timers.after(LEADER_POLL_MS * MILLISECOND, self.await_new_leader)
            return
        self.waited_ms += self.fault.parameters[REIGN]
        if self.fault.at_ms + self.waited_ms < self.limit_ms:
            self.timers.after(self.fault.parameters[REIGN] * MILLISECOND, self.strike)

    def strike(self) -> None:
        parameters = self.fault.parameters
        if _aims_at_leader(parameters):
            leader = self.find_leader()
            if leader is None:
                return
            parameters = resolved(parameters, leader)
        self.fault.injector.inject(self.network, parameters)
        self.on_strike(self.fault)
        left_ms = self.limit_ms - self.fault.at_ms - self.waited_ms
        end_ns = min(self.fault.duration_ms, left_ms) * MILLISECOND
        self.timers.after(end_ns, partial(self.fault.injector.undo, self.network, parameters))


def _aims_at_leader(parameters: Parameters) -> bool:
    return any(
        LEADER in value if isinstance(value, list) else value == LEADER
        for value in parameters.values()
    )


def heal_everything(network: Network) -> None:
    """The end of the safety phase: all that was broken is mended, all that stopped started."""
    network.heal()
    for host in network.hosts.values():
        host.clock.offset_ns = 0
        host.clock.drift_ppm = 0
        host.run_smoothly()
        host.resume()
        disk = disk_of(network, host.name)
        if disk is not None:
            disk.heal()
        if not host.up:
            host.restart()
        for name, slot in host.slots.items():
            if slot.actor is None:
                host.restart_actor(name)
