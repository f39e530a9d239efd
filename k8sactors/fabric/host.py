"""A host: a set of actors that share fate, a disk and a clock; and their supervisor.

Supervision follows OTP's one-for-one: an actor that raises is started again from its factory after
a back-off that doubles (1 s to 60 s) and starts over once it has stayed up for a minute. An actor
that crashes more than `MAX_RESTARTS` times without such a minute stays down. Each crash is recorded
with its actor, instant and cause.
"""

from __future__ import annotations

import traceback
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

import attrs
import trio

from k8sactors.actors import Actor, ActorLife, Context, Mailbox, Network
from k8sactors.fabric.errors import DuplicateNameError, UnknownHostError
from k8sactors.simulation import SECOND, HostClock, Simulation, Timer

BACKOFF_FIRST_NS = 1 * SECOND
BACKOFF_LAST_NS = 60 * SECOND
HEALTHY_AFTER_NS = 60 * SECOND
MAX_RESTARTS = 20

ActorFactory = Callable[[], Actor]


@attrs.frozen
class Crash:
    """An actor raised: where, when (virtual nanoseconds) and why."""

    actor: str
    time_ns: int
    cause: str
    traceback: str


class ActorSlot:
    """A named place on a host: the factory of its actor, and the current life if there is one."""

    def __init__(self, name: str, address: str, factory: ActorFactory) -> None:
        self.name = name
        self.address = address
        self.factory = factory
        self.life: ActorLife | None = None
        self.started_ns = 0
        self.restarts = 0
        self.backoff_ns = BACKOFF_FIRST_NS
        self.pending_restart: Timer | None = None
        self.wanted = True

    @property
    def actor(self) -> Actor | None:
        """The living actor."""
        return self.life.actor if self.life is not None else None


class HostNetwork(Network, Protocol):
    """What a host needs of the network that it is part of."""

    def record(self, frame: bytes) -> None:
        """Add a delivered frame to the trace."""

    def start_task(self, async_fn: Callable[..., Awaitable[object]], *args: object) -> None:
        """Run async code for the time of the network."""

    def attach(self, address: str, life: ActorLife) -> None:
        """An actor can be reached."""

    def detach(self, address: str, *, reset: bool) -> None:
        """An actor is gone; `reset`: its connections are reset at once."""

    def host_died(self, host: Host) -> None:
        """A host has lost its power."""

    def host_booted(self, host: Host) -> None:
        """A host has power again."""

    def report_crash(self, crash: Crash) -> None:
        """An actor has raised."""


class Host:
    """A machine. Kill it and all its actors stop at once; its disk and its name remain."""

    def __init__(self, name: str, zone: str, network: HostNetwork, simulation: Simulation) -> None:
        self.name = name
        self.zone = zone
        self.clock = HostClock(simulation)
        self.disk: dict[str, Any] = {}
        self.up = True
        self.boots = 1
        self.power_cuts_ns: list[int] = []
        self.on_power_off: list[Callable[[], None]] = []
        self.slots: dict[str, ActorSlot] = {}
        self._network = network
        self._simulation = simulation
        self._resumed: trio.Event | None = None
        self._stutter: Timer | None = None

    def __repr__(self) -> str:
        return f"Host({self.name!r}, zone={self.zone!r}, up={self.up})"

    # Actors

    def spawn(self, name: str, factory: ActorFactory) -> None:
        """Start the actor that `factory` makes, now and after every crash or restart.

        Raises:
            DuplicateNameError: the host has an actor of that name.
        """
        if name in self.slots:
            raise DuplicateNameError(f"{self.name} already runs an actor called {name}")
        slot = ActorSlot(name, f"{self.name}/{name}", factory)
        self.slots[name] = slot
        if self.up:
            self._start(slot)

    def remove(self, name: str) -> None:
        """Stop an actor in an orderly way and forget it."""
        slot = self._slot(name)
        self._stop(slot, orderly=True)
        del self.slots[name]

    def actor(self, name: str) -> Actor | None:
        """The living actor of that name, for tests and reports only."""
        slot = self.slots.get(name)
        return slot.actor if slot is not None else None

    def kill_actor(self, name: str) -> None:
        """Kill one process: no clean-up, its connections are reset, it stays down."""
        slot = self._slot(name)
        slot.wanted = False
        self._stop(slot, orderly=False)

    def restart_actor(self, name: str) -> None:
        """Start a process again (killing it first if it lives)."""
        slot = self._slot(name)
        self._stop(slot, orderly=False)
        slot.wanted = True
        slot.restarts = 0
        slot.backoff_ns = BACKOFF_FIRST_NS
        if self.up:
            self._start(slot)

    # The machine

    def kill(self) -> None:
        """Power off: all actors stop, no peer is told, unsynced writes are lost."""
        if not self.up:
            return
        self.up = False
        self.power_cuts_ns.append(self._simulation.now_ns())
        self.resume()
        for slot in self.slots.values():
            self._stop(slot, orderly=False)
        for callback in self.on_power_off:
            callback()
        self._network.host_died(self)

    def restart(self) -> None:
        """Power on (a running host is killed first): every actor starts from its factory."""
        self.kill()
        self.up = True
        self.boots += 1
        self._network.host_booted(self)
        for slot in self.slots.values():
            slot.wanted = True
            slot.restarts = 0
            slot.backoff_ns = BACKOFF_FIRST_NS
            self._start(slot)

    def shut_down(self) -> None:
        """Stop all actors at the end of a run."""
        for slot in self.slots.values():
            slot.wanted = False
            self._stop(slot, orderly=False)

    def pause(self) -> None:
        """Freeze all actors; what is sent to them waits."""
        if self.up and self._resumed is None:
            self._resumed = trio.Event()

    def resume(self) -> None:
        """Let a paused host continue."""
        if self._resumed is not None:
            self._resumed.set()
            self._resumed = None

    def stutter(self, run_ns: int, stall_ns: int) -> None:
        """Make the host slow: it runs for a while, stands still for a while, and so on."""
        self.run_smoothly()

        def stall() -> None:
            self.pause()
            self._stutter = self._simulation.timers.after(stall_ns, run)

        def run() -> None:
            self.resume()
            self._stutter = self._simulation.timers.after(run_ns, stall)

        stall()

    def run_smoothly(self) -> None:
        """End a stutter."""
        if self._stutter is not None:
            self._stutter.cancel()
            self._stutter = None
            self.resume()

    @property
    def paused(self) -> bool:
        """Whether the host is frozen."""
        return self._resumed is not None

    # Supervision

    def _slot(self, name: str) -> ActorSlot:
        slot = self.slots.get(name)
        if slot is None:
            known = ", ".join(self.slots) or "none"
            raise UnknownHostError(f"{self.name} has no actor {name}; it has: {known}")
        return slot

    def _start(self, slot: ActorSlot) -> None:
        slot.pending_restart = None
        mailbox = Mailbox()
        context = Context(slot.address, self, self._network, self._simulation, mailbox)
        life = ActorLife(
            slot.factory(), context, mailbox, lambda: self._resumed, self._network.record
        )
        slot.life = life
        slot.started_ns = self._simulation.now_ns()
        self._network.attach(slot.address, life)
        self._network.start_task(self._supervise, slot, life)

    def _stop(self, slot: ActorSlot, *, orderly: bool) -> None:
        if slot.pending_restart is not None:
            slot.pending_restart.cancel()
            slot.pending_restart = None
        life, slot.life = slot.life, None
        if life is not None:
            life.stop(orderly=orderly)
            self._network.detach(slot.address, reset=self.up)

    async def _supervise(self, slot: ActorSlot, life: ActorLife) -> None:
        try:
            await life.run()
        except Exception as error:  # noqa: BLE001 - a supervisor catches whatever its actor raised
            if slot.life is life:
                self._crashed(slot, error)

    def _crashed(self, slot: ActorSlot, error: Exception) -> None:
        now_ns = self._simulation.now_ns()
        self._network.report_crash(
            Crash(
                actor=slot.address,
                time_ns=now_ns,
                cause=f"{type(error).__name__}: {error}",
                traceback="".join(traceback.format_exception(error)),
            )
        )
        self._stop(slot, orderly=False)
        if now_ns - slot.started_ns >= HEALTHY_AFTER_NS:
            slot.restarts = 0
            slot.backoff_ns = BACKOFF_FIRST_NS
        slot.restarts += 1
        if slot.restarts > MAX_RESTARTS:
            slot.wanted = False
            return

        def restart() -> None:
            if self.up and slot.wanted and slot.life is None:
                self._start(slot)

        slot.pending_restart = self._simulation.timers.after(slot.backoff_ns, restart)
        slot.backoff_ns = min(2 * slot.backoff_ns, BACKOFF_LAST_NS)
