"""Carrying out faults: each begins and ends by a timer, and all can be healed at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import attrs

from k8sactors.fabric import Network
from k8sactors.faults.disks import disk_of
from k8sactors.faults.fault import REIGN, aims_at_leader, resolved
from k8sactors.faults.parameters import Parameters
from k8sactors.faults.plan import PlannedFault
from k8sactors.simulation import MILLISECOND, TimerQueue

LEADER_POLL_MS = 20
UNLIMITED_MS = 1 << 52
"""The duration of a fault that lasts until it is healed."""


def schedule_plan(
    faults: Sequence[PlannedFault],
    network: Network,
    timers: TimerQueue,
    duration_ms: int,
    find_leader: Callable[[], str | None] = lambda: None,
    on_strike: Callable[[PlannedFault], None] = lambda _fault: None,
) -> list[Strike]:
    """Set the timers that inject and heal each fault; none outlasts `duration_ms`.

    `on_strike` is told of each fault that found its target and struck.
    """
    strikes = [
        Strike(fault, network, timers, duration_ms, find_leader, on_strike) for fault in faults
    ]
    for strike in strikes:
        strike.start()
    return strikes


@attrs.define
class Strike:
    """One fault to come: finds its target when it strikes, so that the same one is healed."""

    fault: PlannedFault
    network: Network
    timers: TimerQueue
    limit_ms: int
    find_leader: Callable[[], str | None]
    on_strike: Callable[[PlannedFault], None] = lambda _fault: None
    # With the names of the hosts that were struck; None before.
    parameters: Parameters | None = None
    ended: bool = False
    _former: str | None = None
    _waited_ms: int = 0

    def start(self) -> None:
        """Set the timer."""
        at_ns = self.fault.at_ms * MILLISECOND
        waits = REIGN in self.fault.parameters
        self.timers.after(at_ns, self._watch if waits else self.strike)

    def strike(self) -> None:
        """Begin now, unless it has ended, or the leader is meant and there is none."""
        if self.ended:
            return
        parameters = self.fault.parameters
        if aims_at_leader(parameters):
            leader = self.find_leader()
            if leader is None:
                return
            parameters = resolved(parameters, leader)
        self.parameters = parameters
        self.fault.fault.inject(self.network, parameters)
        self.on_strike(self.fault)
        left_ms = self.limit_ms - self.fault.at_ms - self._waited_ms
        duration_ms = min(self.fault.duration_ms, left_ms)
        if duration_ms < UNLIMITED_MS:
            self.timers.after(duration_ms * MILLISECOND, self.heal)

    def heal(self) -> None:
        """End it, once; what has not begun will not."""
        if not self.ended and self.parameters is not None:
            self.fault.fault.heal(self.network, self.parameters)
        self.ended = True

    def _watch(self) -> None:
        self._former = self.find_leader()
        self._await_new_leader()

    def _await_new_leader(self) -> None:
        """Look every few milliseconds whether another member leads by now."""
        leader = self.find_leader()
        if leader is None or leader == self._former:
            self._former = leader
            self._waited_ms += LEADER_POLL_MS
            if self.fault.at_ms + self._waited_ms < self.limit_ms:
                self.timers.after(LEADER_POLL_MS * MILLISECOND, self._await_new_leader)
            return
        reign_ms: int = self.fault.parameters[REIGN]
        self._waited_ms += reign_ms
        if self.fault.at_ms + self._waited_ms < self.limit_ms:
            self.timers.after(reign_ms * MILLISECOND, self.strike)


def heal_everything(network: Network, strikes: Iterable[Strike] = ()) -> list[str]:
    """Restore network, clocks, disks, hosts and processes; tells what was not well, a line each.

    This is the end of a campaign's safety phase, and the `heal` of a scenario.

    Args:
        network: with all its hosts.
        strikes: end first, and strike no more; a clock that is right is not stepped back later.
    """
    for strike in strikes:
        strike.heal()
    network.heal()
    healed = ["network healed"]
    for host in network.hosts.values():
        if host.clock.offset_ns or host.clock.drift_ppm:
            healed.append(f"set the clock of {host.name}")
        host.clock.offset_ns = 0
        host.clock.drift_ppm = 0
        host.run_smoothly()
        if host.paused:
            healed.append(f"resumed host {host.name}")
        host.resume()
        disk = disk_of(network, host.name)
        if disk is not None:
            disk.heal()
        if not host.up:
            host.restart()
            healed.append(f"restarted host {host.name}")
        for name, slot in host.slots.items():
            if slot.actor is None:
                host.restart_actor(name)
                healed.append(f"restarted {host.name}/{name}")
    return healed
