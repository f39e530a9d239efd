"""The network: finds the recipient's mailbox, and everything that can happen on the way.

Failure model. A process that dies resets its connections at once. A host that loses power, or a cut
link, says nothing: the other end notices after `connection_timeout_ns`. Frames of a connection
cross in order and are never lost while it lives; datagrams promise nothing.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from functools import partial

import attrs
import trio

import k8sactors.simulation as simulation_module
from k8sactors.actors import CLOSE, ActorLife, encode_frame
from k8sactors.fabric.errors import DuplicateNameError, UnknownHostError
from k8sactors.fabric.host import Crash, Host
from k8sactors.fabric.link import LONGEST_QUEUE_NS, MAX_HELD_FRAMES, RETRANSMISSION_NS, Path
from k8sactors.simulation import SECOND, Random, Simulation

CONNECTION_TIMEOUT_NS = 15 * SECOND
REORDER_DELAY_FACTOR = 4


@attrs.define
class ConnectionRecord:
    """Both ends of a connection, and when the last frame of each direction arrives."""

    client: str
    server: str
    last_arrival_ns: dict[str, int] = attrs.field(factory=dict)
    closed_ends: dict[str, None] = attrs.field(factory=dict)

    def other(self, end: str) -> str:
        """The address at the other end."""
        return self.server if end == self.client else self.client


def host_of(address: str) -> str:
    """The host part of an address."""
    return address.partition("/")[0]


class Network:
    """All hosts, the paths between them and the connections that cross."""

    def __init__(
        self,
        simulation: Simulation,
        nursery: trio.Nursery,
        latency_ns: Callable[[Host, Host], int],
    ) -> None:
        self.hosts: dict[str, Host] = {}
        self.crashes: list[Crash] = []
        self.on_crash: list[Callable[[Crash], None]] = []
        self.connection_timeout_ns = CONNECTION_TIMEOUT_NS
        self.dropped_datagrams = 0
        self.messages = 0
        self._simulation = simulation
        self._now_ns = simulation.now_ns
        self._at = simulation.timers.at
        self._record = simulation.trace.record
        self._nursery = nursery
        self._default_latency_ns = latency_ns
        self._lives: dict[str, ActorLife] = {}
        self._paths: dict[tuple[str, str], Path] = {}
        # The same paths by the addresses of actors, once they have sent each other something.
        self._routes: dict[tuple[str, str], Path] = {}
        # Frames under way over steady paths, by the instant at which they arrive.
        self._under_way: dict[int, list[tuple[str, int, bytes]]] = {}
        self._connections: dict[int, ConnectionRecord] = {}
        self._by_address: dict[str, dict[int, None]] = {}
        self._last_connection_id = 0
        self._random: Random = simulation.random("fabric")

    # Hosts and paths

    def add_host(self, name: str, zone: str = "") -> Host:
        """Add a machine, powered on.

        Raises:
            DuplicateNameError: a host of that name exists.
        """
        if name in self.hosts:
            raise DuplicateNameError(f"there is a host called {name} already")
        host = self.hosts[name] = Host(name, zone, self, self._simulation)
        return host

    def host(self, name: str) -> Host:
        """The host of that name.

        Raises:
            UnknownHostError: there is none.
        """
        host = self.hosts.get(name)
        if host is None:
            raise UnknownHostError(f"no host {name}; there are: {', '.join(self.hosts)}")
        return host

    def path(self, source: str, target: str) -> Path:
        """The way from one host to another; change it with `degrade` and `cut`."""
        path = self._paths.get((source, target))
        if path is None:
            latency_ns = 0
            if source != target:
                latency_ns = self._default_latency_ns(self.host(source), self.host(target))
            path = self._paths[source, target] = Path(source, target, latency_ns)
            path.update(self._simulation.now_ns())
        return path

    def degrade(  # the parameters are the fault catalogue's
        self,
        a: str,
        b: str,
        *,
        delay_ns: int = 0,
        jitter_ns: int = 0,
        loss: float = 0.0,
        duplicate: float = 0.0,
        reorder: float = 0.0,
    ) -> None:
        """Make both directions between two hosts worse; the delay is added to the latency."""
        for source, target in ((a, b), (b, a)):
            path = self.path(source, target)
            base_ns = self._default_latency_ns(self.host(source), self.host(target))
            path.latency_ns = base_ns + delay_ns
            path.jitter_ns = jitter_ns
            path.loss = loss
            path.duplicate = duplicate
            path.reorder = reorder
            self._update(path)

    def cut(self, a: str, b: str, *, one_way: bool = False) -> None:
        """Cut the link between two hosts, or only the direction from `a` to `b`."""
        for source, target in ((a, b),) if one_way else ((a, b), (b, a)):
            path = self.path(source, target)
            if source != target and not path.cut:
                path.cut = True
                path.cut_generation += 1
                self._update(path)
                self._expire_later(path, path.cut_generation)

    def partition(self, groups: Sequence[Iterable[str]]) -> None:
        """Cut every link between hosts of different groups."""
        listed = [list(group) for group in groups]
        for index, group in enumerate(listed):
            for other in listed[index + 1 :]:
                for a in group:
                    for b in other:
                        self.cut(a, b)

    def mend(self, a: str, b: str) -> None:
        """Undo a cut between two hosts; frames held back are delivered in order."""
        for source, target in ((a, b), (b, a)):
            path = self.path(source, target)
            if path.cut:
                path.cut = False
                self._send_held(path)

    def hold(self, a: str, b: str, *, one_way: bool = False) -> None:
        """Keep back everything between two hosts, or only from `a` to `b`, until `release`."""
        for source, target in ((a, b),) if one_way else ((a, b), (b, a)):
            path = self.path(source, target)
            if source != target:
                path.hold = True
                self._update(path)

    def release(self, a: str, b: str) -> None:
        """Undo a hold between two hosts; what was kept back sets out in order."""
        for source, target in ((a, b), (b, a)):
            path = self.path(source, target)
            if path.hold:
                path.hold = False
                self._send_held(path)

    def throttle(self, a: str, b: str, bytes_per_s: int = 0) -> None:
        """Limit the bandwidth of both directions between two hosts; 0: no limit."""
        for source, target in ((a, b), (b, a)):
            if source != target:
                path = self.path(source, target)
                path.bytes_per_s = bytes_per_s
                self._update(path)

    def reset_connections(self, name: str) -> None:
        """Break every connection from and to the actors of a host; both ends are told."""
        for slot in self.host(name).slots.values():
            for connection_id in list(self._by_address.get(slot.address, ())):
                self._break(connection_id, "", "connection reset by peer")

    def heal(self) -> None:
        """Remove every cut, hold, limit and degradation."""
        for path in list(self._paths.values()):
            self.mend(path.source, path.target)
            if path.source != path.target:
                self.release(path.source, path.target)
                self.throttle(path.source, path.target)
                self.degrade(path.source, path.target)

    # What actors use

    def new_connection(self, client: str, server: str) -> int:
        """Register a connection; failures surface when its first frame is carried."""
        self._last_connection_id = connection_id = self._last_connection_id + 1
        self._connections[connection_id] = ConnectionRecord(client, server)
        self._by_address.setdefault(client, {})[connection_id] = None
        self._by_address.setdefault(server, {})[connection_id] = None
        return connection_id

    def connection_gone(self, connection_id: int, end: str) -> None:
        """One end has closed; the record goes when both have."""
        record = self._connections.get(connection_id)
        if record is not None:
            record.closed_ends[end] = None
            if len(record.closed_ends) > 1 or record.client == record.server:
                self._forget(connection_id, record)

    def transmit(self, sender: str, recipient: str, connection_id: int, frame: bytes) -> None:
        """Carry a frame from one actor to another."""
        path = self._routes.get((sender, recipient))
        if path is None:
            source, target = host_of(sender), host_of(recipient)
            if target not in self.hosts:
                if connection_id:
                    self._refuse(connection_id, sender, recipient, "no such host")
                return
            path = self._routes[sender, recipient] = self.path(source, target)
        if path.plain:
            self._arrive(recipient, connection_id, frame)
        elif path.steady:
            when_ns = max(self._now_ns() + path.latency_ns, path.last_arrival_ns)
            path.last_arrival_ns = when_ns
            batch = self._under_way.get(when_ns)
            if batch is None:
                self._under_way[when_ns] = [(recipient, connection_id, frame)]
                self._at(when_ns, partial(self._arrive_together, when_ns))
            else:
                batch.append((recipient, connection_id, frame))
        else:
            self._carry(path, recipient, connection_id, frame)

    def record(self, frame: bytes) -> None:
        """Called by actors for every frame they take up: it becomes part of the trace."""
        self._record(self._now_ns(), frame)

    # What hosts use

    def start_task(self, async_fn: Callable[..., Awaitable[object]], *args: object) -> None:
        """Run a supervisor's task."""
        self._nursery.start_soon(async_fn, *args)

    def attach(self, address: str, life: ActorLife) -> None:
        """An actor starts to listen."""
        self._lives[address] = life

    def detach(self, address: str, *, reset: bool) -> None:
        """An actor is gone; `reset`: its host is up and resets the actor's connections."""
        self._lives.pop(address, None)
        if reset:
            self._break_all(address, "connection reset by peer")

    def host_died(self, host: Host) -> None:
        """Power is off: the other ends notice after the connection timeout."""
        doomed = [
            (connection_id, slot.address)
            for slot in host.slots.values()
            for connection_id in self._by_address.get(slot.address, ())
        ]

        def expire() -> None:
            for connection_id, dead_end in doomed:
                self._break(connection_id, dead_end, "connection timed out")

        self._simulation.timers.after(self.connection_timeout_ns, expire)

    def host_booted(self, host: Host) -> None:
        """A rebooted host answers packets of its former connections with a reset."""
        for slot in host.slots.values():
            self._break_all(slot.address, "connection reset by peer")

    def report_crash(self, crash: Crash) -> None:
        """An actor raised."""
        self.crashes.append(crash)
        for listener in self.on_crash:
            listener(crash)

    def statistics(self) -> dict[str, int]:
        """Counts of hosts, actors, connections, crashes and lost datagrams."""
        return {
            "hosts": len(self.hosts),
            "actors": len(self._lives),
            "connections": len(self._connections),
            "crashes": len(self.crashes),
            "dropped_datagrams": self.dropped_datagrams,
        }

    # The way of a frame

    def _send_held(self, path: Path) -> None:
        held, path.held = path.held, []
        for connection_id, recipient, frame in held:
            self._carry(path, recipient, connection_id, frame)
        self._update(path)

    def _carry(self, path: Path, recipient: str, connection_id: int, frame: bytes) -> None:
        if path.hold and (connection_id or not path.cut):
            if len(path.held) < MAX_HELD_FRAMES:
                path.held.append((connection_id, recipient, frame))
            elif connection_id:
                self._break(connection_id, "", "connection timed out")
            else:
                self.dropped_datagrams += 1
        elif connection_id:
            self._carry_connection(path, recipient, connection_id, frame)
        else:
            self._carry_datagram(path, recipient, frame)

    def _carry_connection(
        self, path: Path, recipient: str, connection_id: int, frame: bytes
    ) -> None:
        if path.cut:
            path.held.append((connection_id, recipient, frame))
            return
        delay_ns = path.latency_ns
        if path.jitter_ns:
            delay_ns += self._random.randrange(path.jitter_ns)
        if path.bytes_per_s:
            delay_ns += path.queue_ns(self._now_ns(), len(frame))
        while path.loss and self._random.random() < path.loss:
            delay_ns += RETRANSMISSION_NS
        when_ns = self._simulation.now_ns() + delay_ns
        record = self._connections.get(connection_id)
        if record is None:
            return
        when_ns = max(when_ns, record.last_arrival_ns.get(recipient, 0))
        record.last_arrival_ns[recipient] = when_ns
        path.last_arrival_ns = max(path.last_arrival_ns, when_ns)
        self._simulation.timers.at(when_ns, lambda: self._arrive(recipient, connection_id, frame))

    def _carry_datagram(self, path: Path, recipient: str, frame: bytes) -> None:
        if path.cut or (path.loss and self._random.random() < path.loss):
            self.dropped_datagrams += 1
            return
        queue_ns = 0
        if path.bytes_per_s:
            if path.free_ns > self._now_ns() + LONGEST_QUEUE_NS:
                self.dropped_datagrams += 1
                return
            queue_ns = path.queue_ns(self._now_ns(), len(frame))
        copies = 2 if path.duplicate and self._random.random() < path.duplicate else 1
        for _ in range(copies):
            delay_ns = queue_ns + path.latency_ns
            if path.jitter_ns:
                delay_ns += self._random.randrange(path.jitter_ns)
            if path.reorder and self._random.random() < path.reorder:
                delay_ns += self._random.randrange(
                    REORDER_DELAY_FACTOR * max(path.latency_ns, RETRANSMISSION_NS // 100)
                )
            self._simulation.timers.after(
                delay_ns, partial(self._arrive_datagram, path, recipient, frame)
            )

    def _arrive_datagram(self, path: Path, recipient: str, frame: bytes) -> None:
        """What is on the way when the link is cut is lost with it."""
        if path.cut:
            self.dropped_datagrams += 1
        else:
            self._arrive(recipient, 0, frame)

    def _arrive_together(self, when_ns: int) -> None:
        for recipient, connection_id, frame in self._under_way.pop(when_ns):
            self._arrive(recipient, connection_id, frame)

    def _arrive(self, recipient: str, connection_id: int, frame: bytes) -> None:
        if connection_id and connection_id not in self._connections:
            return  # broken while the frame was under way
        life = self._lives.get(recipient)
        if life is None:
            if connection_id:
                host = self.hosts[host_of(recipient)]
                record = self._connections.get(connection_id)
                if record is not None:
                    sender = record.other(recipient)
                    if host.up:
                        self._refuse(connection_id, sender, recipient, "connection refused")
                    else:
                        self._time_out(connection_id, recipient)
            return
        if not life.mailbox.put(frame, droppable=not connection_id):
            if connection_id:
                self._break(connection_id, "", "receive window exceeded")
            else:
                self.dropped_datagrams += 1

    # Broken connections

    def _forget(self, connection_id: int, record: ConnectionRecord) -> None:
        del self._connections[connection_id]
        for end in (record.client, record.server):
            self._by_address[end].pop(connection_id, None)

    def _tell(self, end: str, connection_id: int, other: str, reason: str) -> None:
        life = self._lives.get(end)
        if life is not None:
            life.mailbox.put(encode_frame(other, end, connection_id, [(CLOSE, 0, 0, reason)]))

    def _break(self, connection_id: int, silent_end: str, reason: str) -> None:
        """Forget a connection and tell its ends, except the one that is dead."""
        record = self._connections.get(connection_id)
        if record is None:
            return
        self._forget(connection_id, record)
        for end in (record.client, record.server):
            if end != silent_end and end not in record.closed_ends:
                self._tell(end, connection_id, record.other(end), reason)

    def _break_all(self, address: str, reason: str) -> None:
        for connection_id in list(self._by_address.get(address, ())):
            record = self._connections[connection_id]
            path = self.path(host_of(address), host_of(record.other(address)))
            if path.cut:
                self._time_out(connection_id, address)
            else:
                delay_ns = path.latency_ns
                self._later(delay_ns, connection_id, address, reason)

    def _later(self, delay_ns: int, connection_id: int, dead_end: str, reason: str) -> None:
        if delay_ns:
            self._simulation.timers.after(
                delay_ns, lambda: self._break(connection_id, dead_end, reason)
            )
        else:
            self._break(connection_id, dead_end, reason)

    def _refuse(self, connection_id: int, sender: str, recipient: str, reason: str) -> None:
        path = self._paths.get((host_of(recipient), host_of(sender)))
        delay_ns = path.latency_ns if path is not None else 0
        self._later(delay_ns, connection_id, recipient, reason)

    def _time_out(self, connection_id: int, dead_end: str) -> None:
        self._later(self.connection_timeout_ns, connection_id, dead_end, "connection timed out")

    def _cut_expired(self, path: Path, generation: int) -> None:
        """The cut lasted for the connection timeout: every connection across it is lost."""
        if not path.cut or path.cut_generation != generation:
            return
        for connection_id, record in list(self._connections.items()):
            ends = {host_of(record.client), host_of(record.server)}
            if ends == {path.source, path.target}:
                self._break(connection_id, "", "connection timed out")
        path.held.clear()
        self._expire_later(path, generation)

    def _expire_later(self, path: Path, generation: int) -> None:
        self._simulation.timers.after(
            self.connection_timeout_ns, lambda: self._cut_expired(path, generation)
        )

    def _update(self, path: Path) -> None:
        now_ns = self._simulation.now_ns()
        path.update(now_ns)
        if path.last_arrival_ns > now_ns:
            self._simulation.timers.at(
                path.last_arrival_ns + 1, lambda: path.update(self._simulation.now_ns())
            )


@asynccontextmanager
async def open_fabric(
    default_latency_ns: int = 0,
    *,
    latency_ns: Callable[[Host, Host], int] | None = None,
) -> AsyncIterator[Network]:
    """A network inside the running simulation; all its actors stop when the block ends.

    Args:
        default_latency_ns: one-way delay between any two hosts (0 within a host).
        latency_ns: a function of two hosts instead.
    """
    simulation = simulation_module.current()
    with simulation_module.unwrap_groups():
        async with trio.open_nursery() as nursery:
            delay = latency_ns or (lambda _source, _target: default_latency_ns)
            network = Network(simulation, nursery, delay)
            try:
                yield network
            finally:
                for host in network.hosts.values():
                    host.shut_down()
                nursery.cancel_scope.cancel()
