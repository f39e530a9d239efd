"""A store in a dict, a context without a network, and API servers on top of them."""

from __future__ import annotations

import heapq
import itertools
import random  # noqa: TID251 - a seeded stream stands in for the simulation's
from bisect import bisect_left
from collections.abc import Callable, Sequence
from typing import Any

import msgpack
import pytest

from k8sactors.actors import Message, Stream
from k8sactors.actors.stream import CREDIT, STOP
from k8sactors.api import codec, errors, protocol
from k8sactors.api.effects import KeyState
from k8sactors.api.protocol import AUTHENTICATE, EVENTS, REQUEST, WATCH, request
from k8sactors.api.scheme import Scheme
from k8sactors.api.user import UserInfo
from k8sactors.apiserver import APIServer, APIServerConfig
from k8sactors.apiserver.errors import CompactedError, StoreError, StoreUnavailableError
from k8sactors.apiserver.store import Committed, Page, StoreEvent

EPOCH_NS = 1_735_689_600_000_000_000


class Watch:
    def __init__(self, memory: MemoryStore, prefix: bytes, on_events: Any, on_cancel: Any) -> None:
        self.memory, self.prefix = memory, prefix
        self.on_events, self.on_cancel = on_events, on_cancel
        self.position = 0
        self.paused = False

    def close(self) -> None:
        self.memory.watches.pop(self, None)


class MemoryStore:
    """All keys with their history; answers are delivered by `World.run`."""

    def __init__(self) -> None:
        self.revision = 1
        self.history: list[StoreEvent] = []
        self.state: dict[bytes, KeyState] = {}
        self.watches: dict[Watch, None] = {}
        self.compacted = 0
        self.failure: StoreError | None = None
        self.lose_answers: StoreError | None = None
        self.commits = 0
        self.reads = 0
        self.leases = 0
        self.answers: list[Callable[[], None]] = []

    def handle(self) -> Handle:
        return Handle(self)

    def apply(self, guards: Any, writes: Any) -> bool:
        for key, revision in guards:
            state = self.state.get(key)
            if (state.mod_revision if state else 0) != revision:
                return False
        if writes:
            self.revision += 1
        for key, value, lease in writes:
            if value is None:
                if self.state.pop(key, None) is not None:
                    self.history.append(StoreEvent(key, None, self.revision))
            else:
                self.state[key] = KeyState(key, value, self.revision, lease)
                self.history.append(StoreEvent(key, value, self.revision, lease))
        return True

    def at(self, revision: int) -> dict[bytes, KeyState]:
        if not revision:
            return self.state
        state: dict[bytes, KeyState] = {}
        for event in self.history:
            if event.mod_revision > revision:
                break
            if event.value is None:
                state.pop(event.key, None)
            else:
                state[event.key] = KeyState(event.key, event.value, event.mod_revision, event.lease)
        return state


class Handle:
    """One API server's client of the store."""

    def __init__(self, memory: MemoryStore) -> None:
        self.memory = memory

    def _later(self, on_error: Any, answer: Callable[[], None]) -> None:
        failure = self.memory.failure
        if failure is not None:
            self.memory.answers.append(lambda: on_error(failure))
        else:
            self.memory.answers.append(answer)

    def commit(
        self, guards: Any, writes: Any, reads: Sequence[bytes], on_done: Any, on_error: Any
    ) -> None:
        memory = self.memory

        def answer() -> None:
            memory.commits += 1
            succeeded = memory.apply(guards, writes)
            found = [] if succeeded else [memory.state.get(key) for key in reads]
            if memory.lose_answers is not None:
                on_error(memory.lose_answers)
            else:
                on_done(Committed(succeeded, memory.revision, found))

        self._later(on_error, answer)

    def read(self, key: bytes, on_done: Any, on_error: Any) -> None:
        memory = self.memory

        def answer() -> None:
            memory.reads += 1
            on_done(memory.state.get(key), memory.revision)

        self._later(on_error, answer)

    def scan(
        self, start: bytes, end: bytes, *, revision: int, limit: int, on_done: Any, on_error: Any
    ) -> None:
        memory = self.memory

        def answer() -> None:
            if revision and revision < memory.compacted:
                on_error(CompactedError(memory.compacted))
                return
            state = memory.at(revision)
            keys = sorted(key for key in state if start <= key < end)
            chosen = keys[:limit] if limit else keys
            page = [state[key] for key in chosen]
            on_done(Page(memory.revision, page, len(keys) > len(chosen), len(keys)))

        self._later(on_error, answer)

    def current_revision(self, on_done: Any, on_error: Any) -> None:
        self._later(on_error, lambda: on_done(self.memory.revision))

    def watch(self, prefix: bytes, start_revision: int, on_events: Any, on_cancel: Any) -> Watch:
        memory = self.memory
        watch = Watch(memory, prefix, on_events, on_cancel)
        revisions = [event.mod_revision for event in memory.history]
        watch.position = bisect_left(revisions, start_revision)
        memory.watches[watch] = None
        return watch

    def grant_lease(self, ttl_seconds: int, on_done: Any, on_error: Any) -> None:
        del ttl_seconds
        self.memory.leases += 1
        lease = self.memory.leases
        self._later(on_error, lambda: on_done(lease))

    def compact(self, revision: int, on_done: Any, on_error: Any) -> None:
        def answer() -> None:
            self.memory.compacted = revision
            on_done()

        self._later(on_error, answer)

    def close(self) -> None:
        pass


class Timer:
    def __init__(self, callback: Callable[[], None]) -> None:
        self.callback: Callable[[], None] | None = callback

    def cancel(self) -> None:
        self.callback = None


class Clock:
    def __init__(self) -> None:
        self.now = 0
        self.timers: list[tuple[int, int, Timer]] = []
        self.numbers = itertools.count()

    def after(self, delay_ns: int, callback: Callable[[], None]) -> Timer:
        timer = Timer(callback)
        heapq.heappush(self.timers, (self.now + delay_ns, next(self.numbers), timer))
        return timer


class Context:
    def __init__(self, clock: Clock, name: str) -> None:
        self.clock = clock
        self.random = random.Random(name)
        self.logged: list[str] = []
        self.log = self

    def error(self, text: str, **fields: Any) -> None:
        self.logged.append(f"{text}: {fields.get('request')}")

    def now_ns(self) -> int:
        return self.clock.now

    def wall_ns(self) -> int:
        return EPOCH_NS + self.clock.now

    def after(self, delay_ns: int, callback: Callable[[], None], *, slack_ns: int = 0) -> Timer:
        del slack_ns
        return self.clock.after(delay_ns, callback)


class Peer:
    """The client's end of a connection."""

    def __init__(self, received: dict[int, list[Any]] | None = None) -> None:
        self.received: dict[int, list[Any]] = {} if received is None else received
        self.closed = False
        self.close_reason = ""
        # A client that does not read returns no credit.
        self.stalled = False
        self.streams: dict[int, Stream] = {}
        self.ended_streams: list[int] = []

    def close(self, reason: str = "") -> None:
        self.closed = True
        self.close_reason = reason

    def send(self, kind: str, payload: Any, cause: int = 0) -> int:
        data = msgpack.unpackb(msgpack.packb(payload))
        if kind == STOP:
            data = [["ERROR", *data[1]]] if data[1] is not None else []
        self.received.setdefault(cause, []).append(data)
        if kind == EVENTS and not self.stalled:
            self.read(cause, len(payload) or 1)
        return 0

    def read(self, number: int, weight: int) -> None:
        """Return credit for what a watch has sent."""
        self.streams[-number].receive(Message(CREDIT, 0, -number, weight, None, "test"))

    def accept_stream(self, message_id: int, **settings: Any) -> Stream:
        stream = self.streams[-message_id] = Stream(self, -message_id, **settings)
        return stream

    def break_(self, reason: str) -> None:
        for stream in self.streams.values():
            stream.break_(reason)

    def forget_stream(self, key: int) -> None:
        self.ended_streams.append(key)


class Answer:
    """What a request led to."""

    def __init__(self, payload: list[Any]) -> None:
        self.payload = payload
        self.code: int = payload[0]
        self.revision: int = payload[1]

    @property
    def obj(self) -> dict[str, Any]:
        return codec.decode(self.payload[2], self.revision)

    @property
    def items(self) -> list[dict[str, Any]]:
        return [codec.decode(data, revision) for revision, data in self.payload[2]]

    @property
    def names(self) -> list[str]:
        return [item["metadata"]["name"] for item in self.items]

    @property
    def status(self) -> dict[str, Any]:
        status: dict[str, Any] = codec.decode_value(self.payload[2])
        return status


class OpenedWatch:
    def __init__(self, world: World, server: APIServer, number: int) -> None:
        self.world, self.server, self.number = world, server, number

    @property
    def messages(self) -> list[list[Any]]:
        self.world.run()
        return self.world.peer.received.get(self.number, [])

    @property
    def raw(self) -> list[Any]:
        return [item for message in self.messages for item in message]

    @property
    def events(self) -> list[tuple[str, str]]:
        """Type and name of each event; type and code of an error."""
        shown = []
        for kind, revision, data in self.raw:
            if kind == "ERROR":
                shown.append((kind, str(revision)))
            else:
                shown.append((kind, codec.decode(data, revision)["metadata"].get("name", "")))
        return shown

    @property
    def objects(self) -> list[dict[str, Any]]:
        return [codec.decode(data, revision) for _, revision, data in self.raw]

    def cancel(self) -> None:
        stop = Message(STOP, 0, -self.number, ["cancelled", None], None, "test")
        self.world.peer.streams[-self.number].receive(stop)


class World:
    """A store, a clock, and API servers."""

    def __init__(self) -> None:
        self.memory = MemoryStore()
        self.clock = Clock()
        self.peer: Any = Peer()
        self.peers: dict[tuple[APIServer, str], Any] = {}
        self.servers: list[APIServer] = []
        self.numbers = itertools.count(1)

    def add_server(self, scheme: Scheme | None = None, **settings: Any) -> APIServer:
        settings.setdefault("service_account_must_exist", False)
        server = APIServer(
            APIServerConfig(**settings),
            open_store=lambda _context, _config: self.memory.handle(),
            scheme=scheme,
        )
        server.ctx = Context(self.clock, f"apiserver-{len(self.servers)}")  # type: ignore[assignment]
        self.servers.append(server)
        server.on_start()
        return server

    @property
    def server(self) -> APIServer:
        return self.servers[0]

    def run(self) -> None:
        """Deliver answers and events until nothing is left."""
        memory = self.memory
        busy = True
        while busy:
            busy = False
            while memory.answers:
                busy = True
                answers, memory.answers = memory.answers, []
                for answer in answers:
                    answer()
            for watch in list(memory.watches):
                if watch in memory.watches and not watch.paused:
                    news = memory.history[watch.position :]
                    if news:
                        busy = True
                        watch.position = len(memory.history)
                        watch.on_events(news, news[-1].mod_revision)

    def advance(self, seconds: float) -> None:
        end = self.clock.now + int(seconds * 1_000_000_000)
        self.run()
        while self.clock.timers and self.clock.timers[0][0] <= end:
            when, _, timer = heapq.heappop(self.clock.timers)
            self.clock.now = when
            if timer.callback is not None:
                timer.callback()
            self.run()
        self.clock.now = end

    def submit(
        self,
        verb: str,
        resource: str,
        namespace: str | None = None,
        name: str | None = None,
        *,
        subresource: str | None = None,
        body: Any = None,
        server: APIServer | None = None,
        user: str | UserInfo = "test",
        stated: UserInfo | None = None,
        **options: Any,
    ) -> int:
        number = next(self.numbers)
        data = None if body is None else codec.encode_value(body)
        payload = request(verb, resource, namespace, name, subresource, data, options, stated)
        chosen = server or self.server
        peer = self.connect(chosen, UserInfo(user) if isinstance(user, str) else user)
        chosen.on_message(Message(REQUEST, number, 0, payload, peer, "test"))
        return number

    def ask(self, payload: list[Any], user: UserInfo) -> Answer:
        """The answer to a payload as it is."""
        number = next(self.numbers)
        peer = self.connect(self.server, user)
        self.server.on_message(Message(REQUEST, number, 0, payload, peer, "test"))
        self.run()
        return Answer(self.peer.received[number][0])

    def connect(self, server: APIServer, user: UserInfo) -> Any:
        """The connection of a user, who presents credentials with its first use."""
        peer = self.peers.get((server, str(user)))
        if peer is None:
            peer = self.peers[server, str(user)] = Peer(self.peer.received)
            self.present(server, peer, user.to_wire())
        return peer

    def present(self, server: APIServer, peer: Any, credentials: Any) -> None:
        server.on_message(Message(AUTHENTICATE, 0, 0, credentials, peer, "test"))

    def do(self, *args: Any, **kwargs: Any) -> Answer:
        number = self.submit(*args, **kwargs)
        self.run()
        received = self.peer.received.get(number, [])
        assert len(received) == 1, f"expected one answer, got {received}"
        return Answer(received[0])

    def answer(self, number: int) -> Answer | None:
        received = self.peer.received.get(number)
        return Answer(received[0]) if received else None

    def watch(
        self,
        resource: str,
        namespace: str | None = None,
        server: APIServer | None = None,
        stated: UserInfo | None = None,
        **options: Any,
    ) -> OpenedWatch:
        number = next(self.numbers)
        chosen = server or self.server
        payload = protocol.watch(resource, namespace, options, stated)
        chosen.on_message(Message(WATCH, number, 0, payload, self.peer, "test"))
        self.run()
        return OpenedWatch(self, chosen, number)


def config_map(name: str, **fields: Any) -> dict[str, Any]:
    metadata = {"name": name, **fields.pop("metadata", {})}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, **fields}


def pod(name: str, *, node: str = "", **metadata: Any) -> dict[str, Any]:
    spec: dict[str, Any] = {"containers": [{"name": "c", "image": "registry.example/app:1"}]}
    if node:
        spec["nodeName"] = node
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, **metadata},
        "spec": spec,
    }


def service(name: str, **spec: Any) -> dict[str, Any]:
    spec.setdefault("ports", [{"port": 80}])
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}


def deployment(name: str, replicas: int = 1) -> dict[str, Any]:
    labels = {"app": name}
    container = {"name": "c", "image": "registry.example/app:1"}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        },
    }


class Make:
    config_map = staticmethod(config_map)
    pod = staticmethod(pod)
    service = staticmethod(service)
    deployment = staticmethod(deployment)
    unavailable = StoreUnavailableError
    errors = errors


@pytest.fixture
def world() -> World:
    world = World()
    world.add_server()
    world.run()
    return world


@pytest.fixture
def empty_world() -> World:
    return World()


@pytest.fixture
def make() -> type[Make]:
    return Make
