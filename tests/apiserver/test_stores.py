"""The same cases for both stores of an API server: the replicated one and the one in memory."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import pytest
import trio

from k8sactors import fabric, simulation
from k8sactors.actors import Actor, Future
from k8sactors.api.effects import Guard, KeyState, Write
from k8sactors.apiserver import APIServerConfig
from k8sactors.apiserver.errors import CompactedError, StoreUnavailableError, UnknownOutcomeError
from k8sactors.apiserver.store import Committed, Page, Store, StoreEvent
from k8sactors.apiserver.store_client import open_raft_store
from k8sactors.store.member import StoreHost
from k8sactors.store.memory import MemoryStore
from raftstore.server import MemberConfig
from raftstore.server.config import Peer

A, B, C = b"/registry/things/a", b"/registry/things/b", b"/registry/things/c"
END = b"/registry/things0"


class Watched:
    """What a watch has delivered."""

    def __init__(self, store: Store, start_revision: int) -> None:
        self.events: list[StoreEvent] = []
        self.revision = 0
        self.errors: list[Exception] = []
        self.running = store.watch(
            b"/registry/things/", start_revision, self._arrived, self.errors.append
        )

    def _arrived(self, events: Any, revision: int) -> None:
        self.events += events
        self.revision = revision


class Asker:
    """A store's operations as awaitables."""

    def __init__(self, store: Store) -> None:
        self.store = store

    async def commit(
        self, guards: list[Guard], writes: list[Write], reads: list[bytes] | None = None
    ) -> Committed:
        future: Future[Committed] = Future()
        self.store.commit(guards, writes, reads or [], future.set_result, future.set_error)
        return await future.wait()

    async def put(self, key: bytes, value: bytes) -> int:
        return (await self.commit([], [Write(key, value)])).revision

    async def read(self, key: bytes) -> tuple[KeyState | None, int]:
        future: Future[Any] = Future()
        self.store.read(key, lambda *found: future.set_result(found), future.set_error)
        return await future.wait()

    async def scan(self, *, revision: int = 0, limit: int = 0) -> Page:
        future: Future[Page] = Future()
        self.store.scan(
            A,
            END,
            revision=revision,
            limit=limit,
            on_done=future.set_result,
            on_error=future.set_error,
        )
        return await future.wait()

    async def revision(self) -> int:
        future: Future[int] = Future()
        self.store.current_revision(future.set_result, future.set_error)
        return await future.wait()

    async def lease(self, ttl_seconds: int) -> int:
        future: Future[int] = Future()
        self.store.grant_lease(ttl_seconds, future.set_result, future.set_error)
        return await future.wait()

    async def compact(self, revision: int) -> None:
        future: Future[None] = Future()
        self.store.compact(revision, lambda: future.set_result(None), future.set_error)
        await future.wait()


Case = Callable[[Asker], Awaitable[None]]


class Runner(Actor):
    def __init__(self, open_store: Callable[[Any], Store], case: Case, done: trio.Event) -> None:
        self.open_store = open_store
        self.case = case
        self.done = done

    async def main(self) -> None:
        await self.case(Asker(self.open_store(self.ctx)))
        self.done.set()


def raft_opener(network: Any) -> Callable[[Any], Store]:
    addresses = {number: f"cp-{number}/etcd" for number in (1, 2, 3)}
    peers = tuple(Peer(number, address) for number, address in addresses.items())
    for number in addresses:
        member = partial(StoreHost, MemberConfig(id=number, peers=peers), addresses, 0)
        network.add_host(f"cp-{number}").spawn("etcd", member)
    config = APIServerConfig(store_endpoints=tuple(addresses.values()))
    return lambda context: open_raft_store(context, config)


def memory_opener(_network: Any) -> Callable[[Any], Store]:
    memory = MemoryStore(simulation.current())
    return lambda context: memory.open(context.address, context, APIServerConfig())


@pytest.fixture(params=[raft_opener, memory_opener], ids=["raft", "memory"])
def run(request: Any) -> Callable[[Case], None]:
    def run_case(case: Case) -> None:
        async def main() -> None:
            done = trio.Event()
            async with fabric.open_fabric(default_latency_ns=100_000) as network:
                runner = partial(Runner, request.param(network), case, done)
                network.add_host("client").spawn("runner", runner)
                with trio.fail_after(300):
                    while not done.is_set():
                        await trio.sleep(0.01)
                        assert not network.crashes, network.crashes

        simulation.run(main)

    return run_case


def test_each_write_transaction_is_one_revision(run: Any) -> None:
    async def case(store: Asker) -> None:
        before = await store.revision()
        first = await store.put(A, b"1")
        both = await store.commit([], [Write(B, b"2"), Write(C, b"3")])
        assert (first, both.revision) == (before + 1, before + 2)
        assert await store.revision() == before + 2
        page = await store.scan()
        assert [tuple(item) for item in page.items] == [
            (A, b"1", first, 0),
            (B, b"2", both.revision, 0),
            (C, b"3", both.revision, 0),
        ]

    run(case)


def test_a_failed_guard_writes_nothing_and_shows_what_is_there(run: Any) -> None:
    async def case(store: Asker) -> None:
        made = await store.commit([Guard(A, 0)], [Write(A, b"1")])
        assert made.succeeded
        again = await store.commit([Guard(A, 0)], [Write(A, b"2"), Write(B, b"2")], [A, B])
        assert not again.succeeded
        assert list(again.found) == [KeyState(A, b"1", made.revision), None]
        assert again.revision == made.revision
        changed = await store.commit([Guard(A, made.revision)], [Write(A, None)])
        assert changed.succeeded
        assert (await store.read(A))[0] is None

    run(case)


def test_pages_and_past_revisions_of_a_range(run: Any) -> None:
    async def case(store: Asker) -> None:
        await store.put(A, b"1")
        middle = await store.put(B, b"2")
        await store.commit([], [Write(A, None)])
        await store.put(C, b"3")
        now = await store.scan()
        assert ([item.key for item in now.items], now.more, now.total) == ([B, C], False, 2)
        page = await store.scan(revision=middle, limit=1)
        assert ([item.key for item in page.items], page.more, page.total) == ([A], True, 2)

    run(case)


def test_a_watch_gets_every_change_from_its_revision_on_in_order(run: Any) -> None:
    async def case(store: Asker) -> None:
        first = await store.put(A, b"1")
        await store.put(A, b"2")
        watched = Watched(store.store, first + 1)
        await store.commit([], [Write(A, None), Write(B, b"3")])
        last = await store.put(b"/registry/other", b"4")
        await trio.sleep(1)
        assert [(event.key, event.value) for event in watched.events] == [
            (A, b"2"),
            (A, None),
            (B, b"3"),
        ]
        assert [event.mod_revision for event in watched.events] == [first + 1, first + 2, first + 2]
        assert watched.revision <= last
        watched.running.close()
        await store.put(A, b"5")
        await trio.sleep(1)
        assert len(watched.events) == 3

    run(case)


def test_what_is_compacted_cannot_be_read_or_watched(run: Any) -> None:
    async def case(store: Asker) -> None:
        old = await store.put(A, b"1")
        await store.put(A, b"2")
        current = await store.put(A, b"3")
        await store.compact(current)
        with pytest.raises(CompactedError):
            await store.scan(revision=old)
        watched = Watched(store.store, old)
        await trio.sleep(1)
        [error] = watched.errors
        assert isinstance(error, CompactedError)
        assert error.compact_revision == current
        assert [item.value for item in (await store.scan()).items] == [b"3"]

    run(case)


def test_keys_go_with_their_lease(run: Any) -> None:
    async def case(store: Asker) -> None:
        lease = await store.lease(5)
        await store.commit([], [Write(A, b"1", lease), Write(B, b"2")])
        watched = Watched(store.store, await store.revision() + 1)
        await trio.sleep(3)
        assert [item.lease for item in (await store.scan()).items] == [lease, 0]
        await trio.sleep(10)
        assert [item.key for item in (await store.scan()).items] == [B]
        assert [(event.key, event.value) for event in watched.events] == [(A, None)]

    run(case)


def test_a_memory_store_fails_as_it_is_told() -> None:
    async def main() -> None:
        async with fabric.open_fabric() as network:
            memory = MemoryStore(simulation.current())
            done = trio.Event()

            async def case(store: Asker) -> None:
                memory.unavailable = True
                with pytest.raises(StoreUnavailableError):
                    await store.put(A, b"1")
                memory.unavailable = False
                assert (await store.read(A))[0] is None
                memory.loses_answers = True
                with pytest.raises(UnknownOutcomeError):
                    await store.put(A, b"1")
                state = (await store.read(A))[0]
                assert state is not None
                assert state.value == b"1"

            def opened(context: Any) -> Store:
                return memory.open("x", context, APIServerConfig())

            network.add_host("client").spawn("runner", lambda: Runner(opened, case, done))
            with trio.fail_after(10):
                while not done.is_set():
                    await trio.sleep(0.01)
                    assert not network.crashes, network.crashes

    simulation.run(main)
