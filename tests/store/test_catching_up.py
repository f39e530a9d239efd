"""A member that is far behind catches up in small pieces, while clients write."""

from __future__ import annotations

import random  # noqa: TID251  # seeded by each test
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from itertools import pairwise
from typing import Any

import attrs
import pytest
import trio
from trio.testing import MockClock

from raftstore.client import StoreClient
from raftstore.mvcc import keyspace
from raftstore.mvcc.snapshot import CHUNK_VERSIONS, Part, StateLoader
from raftstore.raft import Entry, Ready, Snapshot
from raftstore.raft.log import RaftLog
from raftstore.server import Member, MemberConfig, log_sizes, snapshots
from raftstore.server.backlog import BATCHES_AT_ONCE, MOST_SLICES, Backlog
from raftstore.server.bare import BareCluster
from raftstore.server.local import LocalCluster
from raftstore.server.local_member import APPLIED_AT_ONCE
from raftstore.server.log_sizes import LogSizes
from raftstore.server.transfer import WINDOW_PARTS
from raftstore.units import MILLISECOND

VALUE = b"x" * 20_000
KEYS = 400
PARTS = KEYS // 4
WRITERS = 20


def _small(config: MemberConfig) -> MemberConfig:
    return attrs.evolve(config, snapshot_entries=50, catch_up_entries=5, max_lag_bytes=1 << 30)


@attrs.define
class Writing:
    """Tasks that write one key after the other, and how that goes."""

    client: StoreClient
    acknowledged: int = 0
    times_s: list[float] = attrs.Factory(list)
    failures: list[Exception] = attrs.Factory(list)

    async def run(self, number: int) -> None:
        while True:
            await self.client.put(b"w%d" % number, b"v")
            self.acknowledged += 1
            self.times_s.append(trio.current_time())

    @property
    def longest_gap_s(self) -> float:
        return max(after - before for before, after in pairwise(self.times_s))


@asynccontextmanager
async def _writing(cluster: LocalCluster) -> AsyncIterator[Writing]:
    writing = Writing(cluster.client())
    async with trio.open_nursery() as nursery:
        for number in range(WRITERS):
            nursery.start_soon(writing.run, number)
        yield writing
        nursery.cancel_scope.cancel()


async def _caught_up(cluster: LocalCluster, late: int, limit_s: float = 120) -> None:
    with trio.fail_after(limit_s):
        leader = cluster.members[await cluster.wait_leader()]
        while cluster.members[late].store.revision + 2 * WRITERS < leader.store.revision:  # noqa: ASYNC110 - no event tells
            await trio.sleep(0.001)


async def _filled_without_one(cluster: LocalCluster) -> int:
    """Fill all members but one, which has next to nothing; its id."""
    leader = await cluster.wait_leader()
    late = next(number for number in cluster.members if number != leader)
    cluster.kill(late)
    # Not heard of for long, it is not waited for: no log is kept for it.
    await trio.sleep(3)
    client = cluster.client()
    for number in range(KEYS):
        await client.put(b"%d" % number, VALUE)
    return late


def _cluster(configure: Callable[[MemberConfig], MemberConfig] = _small) -> LocalCluster:
    return LocalCluster(sync_latency_ns=MILLISECOND, configure=configure)


def _run(test: Callable[[], Any]) -> None:
    trio.run(test, clock=MockClock(autojump_threshold=0))


def test_writes_continue_between_the_parts_of_a_snapshot(monkeypatch: pytest.MonkeyPatch) -> None:
    acknowledged: list[int] = []
    writing: Writing
    feed = StateLoader.feed

    def counted(loader: StateLoader, part: Part) -> None:
        acknowledged.append(writing.acknowledged)
        feed(loader, part)

    monkeypatch.setattr(StateLoader, "feed", counted)

    async def run() -> None:
        nonlocal writing
        async with _cluster() as cluster:
            late = await _filled_without_one(cluster)
            async with _writing(cluster) as writing:
                leader = cluster.members[await cluster.wait_leader()]
                changes = leader.statistics()["leader_changes"]
                member = cluster.start(late)
                await _caught_up(cluster, late)
                assert leader.is_leader
                assert leader.statistics()["leader_changes"] == changes
                assert member.statistics()["snapshot_parts_received"] >= PARTS
                assert writing.longest_gap_s < 0.02

    _run(run)
    assert len(acknowledged) >= PARTS
    progress = [
        after - before
        for before, after in zip(acknowledged, acknowledged[WINDOW_PARTS:], strict=False)
    ]
    assert min(progress) >= WRITERS


def test_a_leader_that_dies_in_the_middle_leaves_nothing_undone() -> None:
    async def run() -> None:
        async with _cluster() as cluster:
            late = await _filled_without_one(cluster)
            leader = await cluster.wait_leader()
            member = cluster.start(late)
            with trio.fail_after(10):
                while member.statistics()["snapshot_parts_received"] < PARTS // 2:  # noqa: ASYNC110 - no event tells
                    await trio.sleep(0.0001)
            assert member.store.revision == 1
            cluster.kill(leader)
            # The third alone with the empty one: together they are a quorum.
            await cluster.wait_leader()
            client = cluster.client()
            await client.put(b"after", b"v")
            await _caught_up(cluster, late)
            cluster.start(leader)
            await cluster.wait_applied(KEYS + 2)
            assert len({m.store.space.hash(KEYS + 2) for m in cluster.members.values()}) == 1

    _run(run)


def test_compactions_while_a_snapshot_is_sent_change_nothing_of_it() -> None:
    async def run() -> None:
        async with _cluster() as cluster:
            late = await _filled_without_one(cluster)
            async with _writing(cluster) as writing:
                member = cluster.start(late)
                received = 0
                while member.store.revision == 1:
                    received = member.statistics()["snapshot_parts_received"]
                    revision = cluster.members[await cluster.wait_leader()].store.revision
                    await writing.client.compact(revision)
                    await trio.sleep(0.005)
                assert received >= PARTS // 2
                await _caught_up(cluster, late)
            await trio.sleep(1)
            revisions = {m.store.revision for m in cluster.members.values()}
            assert len(revisions) == 1
            assert len({m.store.space.hash(*revisions) for m in cluster.members.values()}) == 1

    _run(run)


def test_a_backlog_is_applied_in_small_pieces_while_writes_continue(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    backlog = 4_000
    applied: list[tuple[int, int]] = []
    late = 0
    writing: Writing | None = None
    apply = Member._apply

    def counted(member: Member, entries: list[Entry]) -> None:
        if member.id == late and writing is not None:
            applied.append((len(entries), writing.acknowledged))
        apply(member, entries)

    monkeypatch.setattr(Member, "_apply", counted)

    async def run() -> None:
        nonlocal late, writing
        async with _cluster(lambda config: config) as cluster:
            leader = await cluster.wait_leader()
            late = next(number for number in cluster.members if number != leader)
            cluster.isolate(late)
            client = cluster.client()

            async def fill(first: int) -> None:
                for number in range(first, backlog, 100):
                    await client.put(b"%d" % number, b"v")

            async with trio.open_nursery() as nursery:
                for first in range(100):
                    nursery.start_soon(fill, first)
            async with _writing(cluster) as writing:
                await trio.sleep(0.01)
                cluster.network.heal()
                await _caught_up(cluster, late)
                assert writing.longest_gap_s < 0.02
            assert cluster.members[late].statistics()["snapshot_parts_received"] == 0

    _run(run)
    assert sum(count for count, _ in applied) >= backlog
    late_pieces = [count for count, _ in applied if count > WRITERS]
    assert len(late_pieces) > MOST_SLICES
    assert max(late_pieces) <= APPLIED_AT_ONCE * BATCHES_AT_ONCE
    assert sorted(late_pieces)[len(late_pieces) // 2] <= 2 * APPLIED_AT_ONCE


def _entries(sizes: list[int]) -> list[Entry]:
    return [Entry(1, index, 0, b"x" * size) for index, size in enumerate(sizes, 1)]


@pytest.mark.parametrize("seed", range(20))
def test_the_bytes_of_the_log_are_known_without_looking_at_all_of_it(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    chance = random.Random(seed)
    monkeypatch.setattr(log_sizes, "NOTED_ENTRIES", chance.choice([1, 7, 50, 1000]))
    sizes = [chance.randrange(100) for _ in range(300)]
    entries = _entries(sizes)
    log = RaftLog(Snapshot(), entries)
    known = LogSizes()
    rest = entries
    while rest:
        count = chance.randrange(1, 40)
        batch, rest = rest[:count], rest[count:]
        assert known.add(batch) == sum(len(entry.data) for entry in batch)
        last = batch[-1].index
        log.committed = log.applied = last
        if chance.random() < 0.3 and last - 5 > log.offset:
            log.compact(chance.randrange(log.offset + 1, last - 4))
        end = chance.randrange(log.offset, last + 1)
        start = chance.randrange(end + 1)
        limit = chance.randrange(3000)
        first = max(start, log.offset)
        expected = next(
            index for index in range(first, max(end, first) + 1) if sum(sizes[index:end]) <= limit
        )
        assert known.bounded(log, end, start, limit) == expected


def test_a_log_that_is_no_longer_needed_goes_bit_by_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshots, "RELEASED_AT_ONCE", 10)
    cluster = BareCluster(
        3,
        random.Random,
        configure=lambda config: attrs.evolve(config, snapshot_entries=50, catch_up_entries=5),
    )
    leader = cluster.leader()
    released: list[int] = []
    compact = leader.node.compact

    def counted(index: int) -> None:
        released.append(index - leader.node.raft.log.offset)
        compact(index)

    monkeypatch.setattr(leader.node, "compact", counted)
    late = next(member for member in cluster.members.values() if member is not leader)
    cluster.isolate(late.id)
    for number in range(200):
        assert cluster.call(leader.id, "put", [b"%d" % number, b"", 0, False, False, False])[0] == 0
    kept = len(leader.node.raft.log.entries)
    # Not heard of for long, it is not waited for any more.
    cluster.advance(40)
    for number in range(60):
        assert cluster.call(leader.id, "put", [b"%d" % number, b"", 0, False, False, False])[0] == 0
    assert len(leader.node.raft.log.entries) < 70 < kept
    assert sum(released) > 10 * 10
    assert max(released) == 10


def test_a_part_holds_a_bounded_number_of_versions_however_small() -> None:
    cluster = BareCluster(1, random.Random)
    leader = cluster.leader()
    for number in range(3 * CHUNK_VERSIONS):
        assert cluster.call(1, "put", [b"%d" % number, b"", 0, False, False, False])[0] == 0
    _, *parts = leader.store.view().parts()
    assert [len(part) for part in parts] == [CHUNK_VERSIONS] * 3


def test_one_that_is_behind_gets_level_with_a_thousand_writers() -> None:
    """They write without a pause: what it applies in a turn must grow with what there is."""
    writers, most_puts = 1_000, 60_000

    async def run() -> None:
        async with LocalCluster() as cluster:
            leader = cluster.members[await cluster.wait_leader()]
            late = next(number for number in cluster.members if number != leader.id)
            client = cluster.client()
            puts = 0

            async def write(number: int) -> None:
                nonlocal puts
                while True:
                    await client.put(b"%d" % number, b"v")
                    puts += 1

            def behind() -> int:
                return leader.store.revision - cluster.members[late].store.revision

            cluster.isolate(late)
            async with trio.open_nursery() as nursery:
                for number in range(writers):
                    nursery.start_soon(write, number)
                while behind() < 5 * writers:  # noqa: ASYNC110 - no event tells
                    await trio.sleep(0.001)
                cluster.network.heal()
                while behind() > 3 * writers:
                    assert puts < most_puts, "it never gets level"
                    await trio.sleep(0.001)
                nursery.cancel_scope.cancel()

    # On real time: a clock that jumps stands still while there is always something to do.
    trio.run(run)


def test_the_state_before_a_snapshot_is_let_go_of_bit_by_bit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(keyspace, "PIECE_VERSIONS", 10)
    cluster = BareCluster(
        3,
        random.Random,
        configure=lambda config: attrs.evolve(
            config, snapshot_entries=50, catch_up_entries=5, max_lag_bytes=0, max_lag_percent=0
        ),
    )
    leader = cluster.leader()
    late = next(member for member in cluster.members.values() if member is not leader)

    def fill() -> None:
        for number in range(300):
            fields = [b"%d" % number, b"%d" % number, 0, False, False, False]
            assert cluster.call(leader.id, "put", fields)[0] == 0

    fill()
    cluster.isolate(late.id)
    fill()
    cluster.heal()
    of_late = late._snapshots
    resume, tick, installed = of_late.resume, of_late.tick, of_late.installed
    pieces: list[int] = []
    freed: list[int] = []

    def noted(step: Callable[..., None], *arguments: Any) -> None:
        before = len(of_late._former)
        step(*arguments)
        freed.append(before - len(of_late._former))

    def noted_install(snapshot: Snapshot) -> None:
        installed(snapshot)
        pieces.append(len(of_late._former))

    monkeypatch.setattr(of_late, "resume", partial(noted, resume))
    monkeypatch.setattr(of_late, "tick", partial(noted, tick))
    monkeypatch.setattr(of_late, "installed", noted_install)
    cluster.advance(20)
    assert late.store.revision == leader.store.revision
    # The versions of 300 keys by key, and the log.
    assert pieces == [30 + 1]
    assert sum(freed) == pieces[0]
    assert max(freed) <= snapshots.FREED_PER_TICK


def _ready(entries: list[Entry]) -> Ready:
    return Ready([], entries, [], [], [], None, None, None, must_sync=False)


def test_slices_of_a_backlog_grow_until_the_distance_shrinks() -> None:
    log = RaftLog(Snapshot())
    backlog = Backlog(10)
    entries = _entries([1] * 100)
    sizes = []
    for distance in (1000, 990, 980, 940, 900, 880):
        log.leader_commit = distance
        assert backlog.take_up(_ready(entries), log)
        applied: list[Entry] = []
        first = len(backlog.next_slice())
        sizes.append(first)
        applied += entries[:first]
        while backlog.ready is not None:
            applied += backlog.next_slice()
        assert applied == entries
    assert sizes == [10, 20, 40, 40, 40, 80]
    log.leader_commit = 0
    assert not backlog.take_up(_ready(_entries([1] * 10 * BATCHES_AT_ONCE)), log)
    assert backlog.take_up(_ready(entries), log)
    assert len(backlog.next_slice()) == 10
    assert not Backlog(0).take_up(_ready(entries), log)
