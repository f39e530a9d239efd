"""What an actor sees of the world: its clock, its random stream, its connections."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Protocol

import structlog
import trio

from k8sactors.actors.codec import OPEN, encode_frame
from k8sactors.actors.connection import Connection
from k8sactors.actors.mailbox import Mailbox
from k8sactors.simulation import HostClock, Random, ScheduledTimer, Simulation, Timer, TimerQueue


class HostView(Protocol):
    """What an actor may know of the host it runs on."""

    @property
    def name(self) -> str:
        """The host's name."""

    @property
    def zone(self) -> str:
        """The failure zone it stands in."""

    @property
    def boots(self) -> int:
        """How many times it has been powered on."""

    @property
    def clock(self) -> HostClock:
        """The host's clock."""

    @property
    def disk(self) -> dict[str, Any]:
        """State that survives the host's death, by owner."""


class Network(Protocol):
    """What carries frames."""

    def transmit(self, sender: str, recipient: str, connection_id: int, frame: bytes) -> None:
        """Take a frame for delivery."""

    def new_connection(self, client: str, server: str) -> int:
        """Register a connection and return its id."""

    def connection_gone(self, connection_id: int, end: str) -> None:
        """One end has closed."""


class _DriftingTimer(ScheduledTimer):
    """A timer on a clock that runs at a wrong speed: asks the clock again until its time is up."""

    __slots__ = ("_clock", "_due_ns", "_fire", "_inner", "_timers")

    def __init__(
        self, clock: HostClock, timers: TimerQueue, delay_ns: int, fire: Callable[[], None]
    ) -> None:
        super().__init__(0, fire, {})
        self._clock = clock
        self._timers = timers
        self._fire = fire
        self._due_ns = clock.now_ns() + delay_ns
        self._inner = self._arm()

    def _arm(self) -> Timer:
        left_ns = max(0, self._due_ns - self._clock.now_ns())
        return self._timers.after(self._clock.to_global_ns(left_ns), self._look)

    def _look(self) -> None:
        if self._clock.now_ns() < self._due_ns:
            self._inner = self._arm()
        else:
            self._fire()

    def cancel(self) -> None:
        """Make sure that the callback does not run."""
        self._inner.cancel()


class Context:
    """Bound to one life of one actor; a restarted actor gets a new one."""

    def __init__(
        self,
        address: str,
        host: HostView,
        network: Network,
        simulation: Simulation,
        mailbox: Mailbox,
    ) -> None:
        self.address = address
        self.host = host
        self.simulation = simulation
        self.random: Random = simulation.random(f"actor/{address}")
        self.last_message_id = 0
        self.connections: dict[int, Connection] = {}
        self.alive = True
        self.in_turn = False
        self.due: list[Callable[[], None]] = []
        self._network = network
        self._mailbox = mailbox
        self._clock = host.clock
        # The host's clocks themselves, without a step in between: every request reads them.
        # Monotonic:
        self.now_ns: Callable[[], int] = host.clock.now_ns
        # Since the Unix epoch:
        self.wall_ns: Callable[[], int] = host.clock.wall_ns
        self._timers = simulation.timers
        self._dirty: list[Connection] = []
        self._datagrams: dict[str, list[tuple[str, int, int, Any]]] = {}
        self._nursery: trio.Nursery | None = None
        self._log: Any = None

    @property
    def log(self) -> Any:
        """A structlog logger that knows the actor, the host and the virtual time."""
        if self._log is None:
            self._log = structlog.get_logger().bind(actor=self.address, host=self.host.name)
        return self._log

    def after(self, delay_ns: int, callback: Callable[[], None], *, slack_ns: int = 0) -> Timer:
        """Run `callback` in a turn of this actor, `delay_ns` from now on the host's clock.

        `slack_ns` allows up to that much lateness, so that timers of many actors coincide.
        Dropped when the actor dies.
        """

        def fire() -> None:
            if self.alive:
                self.due.append(callback)
                self._mailbox.wake()

        if self._clock.drift_ppm:
            return _DriftingTimer(self._clock, self._timers, delay_ns, fire)
        return self._timers.after(delay_ns, fire, slack_ns)

    def connect(self, address: str, on_close: Callable[[str], None] | None = None) -> Connection:
        """Open a connection; it can be used at once. A failure arrives as `on_close(reason)`."""
        connection_id = self._network.new_connection(self.address, address)
        connection = Connection(self, connection_id, address, on_close)
        self.connections[connection_id] = connection
        connection.send(OPEN, None)
        return connection

    def datagram(self, address: str, kind: str, payload: Any) -> None:
        """Send a message that may be lost, duplicated or overtaken."""
        self.last_message_id += 1
        message = (kind, self.last_message_id, 0, payload)
        waiting = self._datagrams.get(address)
        if waiting is None:
            self._datagrams[address] = [message]
            if not self.in_turn:
                self._mailbox.wake()
        else:
            waiting.append(message)

    def spawn_task(self, async_fn: Callable[..., Awaitable[object]], *args: object) -> None:
        """Run async code next to the reactor; it dies with the actor, and its error crashes it."""
        assert self._nursery is not None, "the actor has not started"
        self._nursery.start_soon(async_fn, *args)

    # Called by connections and by the actor's loop.

    def bind_nursery(self, nursery: trio.Nursery) -> None:
        """Give `spawn_task` its nursery."""
        self._nursery = nursery

    def mark_dirty(self, connection: Connection) -> None:
        """A connection's outbox became non-empty: flush it at the end of the turn."""
        self._dirty.append(connection)
        if not self.in_turn:
            self._mailbox.wake()

    def forget(self, connection: Connection) -> None:
        """A connection closed."""
        if self.connections.pop(connection.id, None) is not None:
            self._network.connection_gone(connection.id, self.address)

    def flush_connection(self, connection: Connection) -> None:
        """Send what one connection has queued."""
        messages = connection.outbox
        if messages:
            connection.outbox = []
            frame = encode_frame(self.address, connection.peer, connection.id, messages)
            self._network.transmit(self.address, connection.peer, connection.id, frame)

    def flush(self) -> None:
        """Send one frame per destination with everything queued in this turn."""
        if self._dirty:
            dirty, self._dirty = self._dirty, []
            for connection in dirty:
                self.flush_connection(connection)
        if self._datagrams:
            datagrams, self._datagrams = self._datagrams, {}
            for address, messages in datagrams.items():
                frame = encode_frame(self.address, address, 0, messages)
                self._network.transmit(self.address, address, 0, frame)
