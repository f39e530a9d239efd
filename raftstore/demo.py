"""A guided tour of the store: each step does one thing and says what came of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import attrs
import trio

from raftstore.client import StoreClient
from raftstore.errors import RaftStoreError, UnknownOutcomeError
from raftstore.server.local import LocalCluster
from raftstore.wire import COMPARE_MOD, EQUAL, Compare, PutRequest, WatchCreateRequest

WATCHED_PUTS = 5
STEP_TIMEOUT_S = 60.0
REQUEST_TIMEOUT_NS = 2_000_000_000


@attrs.define
class Step:
    """One step, and how it went."""

    name: str
    ok: bool
    seconds: float
    detail: str


class StepFailedError(RaftStoreError):
    """A step found something other than it should."""


class Demo:
    """The tour through a cluster of `members`."""

    def __init__(self, members: int, seed: int) -> None:
        self._members = members
        self._seed = seed
        self.steps: list[Step] = []
        self._killed = 0

    @property
    def ok(self) -> bool:
        """Whether every step went well."""
        return bool(self.steps) and all(step.ok for step in self.steps)

    async def run(self, on_step: Callable[[Step], None]) -> None:
        """Take all steps, or those up to the first that fails."""
        async with LocalCluster(self._members, seed=self._seed) as cluster:
            self._cluster = cluster
            tour: list[tuple[str, Callable[[StoreClient], Awaitable[str]]]] = [
                ("elect a leader", self._elect),
                ("put and get", self._put_and_get),
                ("watch a prefix", self._watch),
                ("compare and put", self._compare),
                ("kill the leader", self._kill_leader),
                ("restart it", self._restart),
                ("compare all members", self._compare_members),
            ]
            for name, action in tour:
                step = await self._take(name, action)
                self.steps.append(step)
                on_step(step)
                if not step.ok:
                    return

    async def _take(self, name: str, action: Callable[[StoreClient], Awaitable[str]]) -> Step:
        begin_s = trio.current_time()
        try:
            with trio.fail_after(STEP_TIMEOUT_S):
                detail, ok = await action(self._cluster.client()), True
        except (RaftStoreError, trio.TooSlowError) as error:
            detail, ok = f"{type(error).__name__}: {error}", False
        return Step(name, ok, round(trio.current_time() - begin_s, 6), detail)

    async def _elect(self, _client: StoreClient) -> str:
        leader = await self._cluster.wait_leader()
        term = self._cluster.members[leader].node.raft.term
        return f"member-{leader} leads {self._members} member(s) in term {term}"

    async def _put_and_get(self, client: StoreClient) -> str:
        first = await client.put(b"/demo/greeting", b"hello")
        await client.put(b"/demo/greeting", b"hello again")
        now = await client.get(b"/demo/greeting")
        then = await client.get(b"/demo/greeting", revision=first.header.revision)
        if now is None or then is None or (now.value, then.value) != (b"hello again", b"hello"):
            raise StepFailedError(f"read {now} and {then}")
        return (
            f"{now.value.decode()!r} at revision {now.mod_revision} (version {now.version}); "
            f"at revision {then.mod_revision} still {then.value.decode()!r}"
        )

    async def _watch(self, client: StoreClient) -> str:
        begin = (await client.status()).header.revision + 1
        seen: list[Any] = []
        with client.events(WatchCreateRequest(b"/demo/w", b"/demo/x", begin)) as stream:
            for number in range(WATCHED_PUTS):
                await client.put(b"/demo/w%d" % number, b"x")
            async for events, _ in stream:
                seen += events
                if len(seen) >= WATCHED_PUTS:
                    break
        revisions = [event[1][2] for event in seen]
        if revisions != list(range(begin, begin + WATCHED_PUTS)):
            raise StepFailedError(f"events of revisions {revisions}")
        return f"{len(seen)} events, revisions {revisions[0]} to {revisions[-1]}, none twice"

    async def _compare(self, client: StoreClient) -> str:
        revision = (await client.put(b"/demo/lock", b"free")).header.revision
        outcomes: list[bool] = []

        async def compete(number: int) -> None:
            compare = Compare(EQUAL, COMPARE_MOD, b"/demo/lock", revision)
            put = PutRequest(b"/demo/lock", b"%d" % number)
            outcomes.append((await client.txn([compare], [put])).succeeded)

        async with trio.open_nursery() as nursery:
            for number in range(10):
                nursery.start_soon(compete, number)
        if outcomes.count(True) != 1:
            raise StepFailedError(
                f"{outcomes.count(True)} of 10 transactions on one revision succeeded"
            )
        return "of 10 transactions on one revision 1 succeeded"

    async def _kill_leader(self, client: StoreClient) -> str:
        await client.put(b"/demo/before", b"kept")
        self._killed = await self._cluster.wait_leader()
        self._cluster.kill(self._killed)
        begin_s = trio.current_time()
        if self._members == 1:
            return f"member-{self._killed} is dead, and with it the only copy that answers"
        doubtful = 0
        while True:
            try:
                await client.put(b"/demo/after", b"new", timeout_ns=REQUEST_TIMEOUT_NS)
                break
            except UnknownOutcomeError:
                doubtful += 1
        gap_s = trio.current_time() - begin_s
        if await client.get(b"/demo/before") is None:
            raise StepFailedError("an acknowledged write is lost")
        leader = await self._cluster.wait_leader()
        return (
            f"member-{self._killed} died; member-{leader} acknowledged the next write after "
            f"{gap_s:.3f} s; nothing lost, {doubtful} write(s) of unknown outcome"
        )

    async def _restart(self, client: StoreClient) -> str:
        member = self._cluster.start(self._killed)
        await self._cluster.wait_leader()
        revision = (await client.put(b"/demo/done", b"yes")).header.revision
        await self._cluster.wait_applied(revision)
        assert member.store.revision >= revision
        return f"member-{self._killed} recovered from its disk up to revision {revision}"

    async def _compare_members(self, _client: StoreClient) -> str:
        members = self._cluster.members.values()
        revision = max(member.store.revision for member in members)
        await self._cluster.wait_applied(revision)
        hashes = sorted({member.store.space.hash(revision) for member in members})
        if len(hashes) != 1:
            raise StepFailedError(f"hashes differ: {hashes}")
        return f"hash {hashes[0]:#010x} on all {len(members)} at revision {revision}"
