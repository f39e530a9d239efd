"""Snapshots in parts between members: lossy networks, crashes, elections, writes meanwhile."""

from __future__ import annotations

import random  # noqa: TID251  # seeded by each test
from collections.abc import Callable
from typing import Any

import attrs
import msgpack
import pytest

from raftstore.mvcc import Store
from raftstore.raft import Configuration, Message, RaftMonitor, RawNode, RecoveredState, Snapshot
from raftstore.raft.messages import SNAPSHOT
from raftstore.server import Member, MemberConfig
from raftstore.server.bare import BareCluster
from raftstore.server.config import Peer
from raftstore.server.transfer import (
    GIVE_UP_TICKS,
    IDLE_NS,
    REFUSED,
    RESEND_TICKS,
    SNAPSHOT_PART,
    SNAPSHOT_TAKEN,
    SPACING_NS,
    WINDOW_PARTS,
    WRITES_PER_PART,
    Pace,
    SnapshotReceiver,
    SnapshotSender,
)
from raftstore.wire import OP_PUT, WatchCreateRequest, unpack_events

VALUE = b"x" * 20_000
KEYS = 100
Wire = list[Any]
PARTS = KEYS // 4
"""At least so many parts have the state of a cluster that `fill` has filled."""


class Cluster(BareCluster):
    """A cluster whose network does with the parts of snapshots what `fate` says.

    `fate` gets (sender, receiver, wire) and answers how often it arrives. With `shuffle`, the
    messages of a round arrive in any order.
    """

    def __init__(self, seed: int = 0, **settings: Any) -> None:
        limits = {
            "snapshot_entries": 50,
            "catch_up_entries": 5,
            "max_lag_bytes": 0,
            "max_lag_percent": 0,
        } | settings
        self.random = random.Random(seed)
        self.fate: Callable[[int, int, Wire], int] = lambda _sender, _receiver, _wire: 1
        self.shuffle = False
        self.parts = 0
        super().__init__(
            3,
            random.Random,
            monitor=RaftMonitor(),
            configure=lambda config: attrs.evolve(config, **limits),
        )

    def _deliver(self) -> bool:
        wires: list[tuple[int, int, bytes]] = []
        for sender, outbox in self._outboxes.items():
            for receiver, frame in outbox.frames.items():
                for wire in frame:
                    count = 1
                    if wire[0] in (SNAPSHOT_PART, SNAPSHOT_TAKEN):
                        self.parts += wire[0] == SNAPSHOT_PART
                        count = self.fate(sender, receiver, wire)
                    wires += [(sender, receiver, msgpack.packb(wire))] * count
            outbox.frames = {}
        if self.shuffle:
            self.random.shuffle(wires)
        for sender, receiver, data in wires:
            member = self.members.get(receiver)
            if member is not None and (sender, receiver) not in self._cut:
                member.receive_peer(sender, msgpack.unpackb(data))
        return bool(wires)

    def put(self, key: bytes, value: bytes = b"v") -> None:
        answer = self.call(self.leader().id, "put", [key, value, 0, False, False, False])
        assert answer[0] == 0, answer

    def fill(self) -> Member:
        """Cut a follower off and write until only a snapshot can help it; the follower."""
        leader = self.leader()
        late = next(member for member in self.members.values() if member is not leader)
        self.isolate(late.id)
        for number in range(KEYS):
            self.put(b"%d" % number, VALUE)
        assert leader.node.raft.log.first_index > late.node.raft.log.last_index + 1
        self.heal()
        return late

    def hashes(self) -> set[int]:
        return {member.store.space.hash(member.store.revision) for member in self.members.values()}

    def sending(self) -> int:
        return self.leader().statistics()["snapshots_sending"]

    def advance_until(self, reached: Callable[[], bool], ticks: int = 200) -> None:
        for _ in range(ticks):
            if reached():
                return
            self.advance()
        raise AssertionError("it does not come to pass")

    def caught_up(self, late: Member) -> bool:
        return late.store.revision == self.leader().store.revision


def test_a_late_member_gets_the_state_in_parts() -> None:
    cluster = Cluster()
    late = cluster.fill()
    cluster.advance_until(lambda: cluster.caught_up(late), 5)
    assert cluster.parts >= PARTS
    assert late.statistics()["snapshot_parts_received"] == cluster.parts
    assert (len(cluster.hashes()), cluster.sending()) == (1, 0)


@pytest.mark.parametrize("seed", range(5))
def test_lost_doubled_and_overtaking_parts_do_not_matter(seed: int) -> None:
    cluster = Cluster(seed)
    late = cluster.fill()
    cluster.shuffle = True
    cluster.fate = lambda _sender, _receiver, _wire: cluster.random.choice([0, 1, 1, 1, 2, 3])
    cluster.advance_until(lambda: cluster.caught_up(late))
    cluster.fate = lambda _sender, _receiver, _wire: 1
    cluster.put(b"after")
    cluster.advance(RESEND_TICKS + 2)
    assert (len(cluster.hashes()), cluster.sending()) == (1, 0)


def test_what_is_sent_is_the_state_of_its_index_though_writes_and_compactions_continue() -> None:
    cluster = Cluster(max_lag_bytes=1 << 20)
    late = cluster.fill()
    installed: list[tuple[int, int]] = []
    late.store.after_restore.append(
        lambda: installed.append((late.store.revision, late.store.compact_revision))
    )
    at = cluster.leader().store.revision
    cluster.fate = lambda _sender, _receiver, wire: wire[0] == SNAPSHOT_TAKEN or wire[3] < 5
    cluster.advance(1)
    assert cluster.sending() == 1
    for number in range(KEYS):
        cluster.put(b"%d" % number, b"later")
    cluster.call(cluster.leader().id, "compact", [cluster.leader().store.revision, False])
    cluster.fate = lambda _sender, _receiver, _wire: 1
    cluster.advance_until(lambda: cluster.caught_up(late))
    assert installed == [(at, 0)]
    assert len(cluster.hashes()) == 1


def test_a_watch_on_a_restored_member_gets_everything_once() -> None:
    cluster = Cluster()
    late = cluster.leader()
    late = next(member for member in cluster.members.values() if member is not late)
    cluster.put(b"0")
    items: list[list[Any]] = []
    late.watch("client", WatchCreateRequest(b"\0", b"\0", 1).to_wire(), items.append)
    cluster.advance(1)
    cluster.isolate(late.id)
    for number in range(KEYS):
        cluster.put(b"%d" % number, VALUE)
    cluster.heal()
    cluster.advance_until(lambda: cluster.caught_up(late))
    cluster.put(b"after")
    cluster.advance(1)
    assert late.statistics()["snapshot_parts_received"] >= PARTS
    revisions = [event[1][2] for item in items for event in unpack_events(item[5])]
    assert revisions == list(range(2, cluster.leader().store.revision + 1))


def test_a_member_that_crashes_while_it_is_sent_a_snapshot_gets_another() -> None:
    cluster = Cluster()
    late = cluster.fill()
    cluster.fate = lambda _sender, _receiver, wire: wire[0] == SNAPSHOT_TAKEN or wire[3] < 12
    cluster.advance(1)
    assert late.statistics()["snapshot_parts_received"] == 12
    late = cluster.restart(late.id)
    cluster.fate = lambda _sender, _receiver, _wire: 1
    cluster.advance_until(lambda: cluster.caught_up(late))
    assert len(cluster.hashes()) == 1


def test_a_new_leader_sends_its_own_snapshot() -> None:
    cluster = Cluster()
    late = cluster.fill()
    cluster.fate = lambda _sender, _receiver, wire: wire[0] == SNAPSHOT_TAKEN or wire[3] < 12
    cluster.advance(1)
    old = cluster.leader()
    cluster.isolate(old.id)
    cluster.fate = lambda _sender, _receiver, _wire: 1
    cluster.advance(40)
    assert cluster.leader() is not old
    cluster.advance_until(lambda: cluster.caught_up(late))
    cluster.heal()
    cluster.put(b"after")
    cluster.advance(5)
    assert len(cluster.hashes()) == 1
    assert old.statistics()["snapshots_sending"] == 0


def test_a_member_that_answers_nothing_costs_the_leader_a_window() -> None:
    cluster = Cluster()
    late = cluster.fill()
    cluster.fate = lambda _sender, _receiver, wire: wire[0] == SNAPSHOT_PART
    cluster.advance(2)
    leader = cluster.leader()
    assert cluster.parts == WINDOW_PARTS
    cluster.advance(GIVE_UP_TICKS - 4)
    assert leader.statistics()["snapshots_sending"] == 1
    assert cluster.parts <= WINDOW_PARTS * (GIVE_UP_TICKS // RESEND_TICKS + 1)
    cluster.advance(3)
    first = cluster.parts
    cluster.advance(GIVE_UP_TICKS)
    # Given up, and tried again.
    assert (
        WINDOW_PARTS < cluster.parts - first <= WINDOW_PARTS * (GIVE_UP_TICKS // RESEND_TICKS + 1)
    )
    cluster.fate = lambda _sender, _receiver, _wire: 1
    cluster.advance_until(lambda: cluster.caught_up(late))


def test_the_leader_keeps_what_a_member_lacks_after_its_snapshot_within_a_limit() -> None:
    for limit, kept in ((0, False), (1 << 20, True)):
        cluster = Cluster(max_lag_bytes=limit, max_lag_percent=0)
        cluster.fill()
        cluster.fate = lambda _sender, _receiver, wire: wire[0] == SNAPSHOT_TAKEN or wire[3] < 5
        cluster.advance(1)
        leader = cluster.leader()
        sent = leader.node.raft.log.applied
        for number in range(120):
            cluster.put(b"%d" % number, b"later")
        assert (leader.node.raft.log.first_index <= sent + 1) is kept


def test_a_snapshot_in_memory_does_not_keep_alive_what_was_compacted() -> None:
    cluster = Cluster(snapshot_entries=100)
    cluster.leader()
    for number in range(120):
        cluster.put(b"%d" % (number % 10), VALUE)
    before = {number: m.statistics()["snapshot_index"] for number, m in cluster.members.items()}
    cluster.call(cluster.leader().id, "compact", [cluster.leader().store.revision, True])
    cluster.put(b"after")
    cluster.advance(1)
    for number, member in cluster.members.items():
        assert member.statistics()["snapshot_index"] > before[number] > 0


def test_what_was_compacted_is_let_go_of_without_further_writes() -> None:
    cluster = Cluster(snapshot_entries=100)
    leader = cluster.leader()
    many = [[OP_PUT, [b"%d" % number, b"v", 0, False, False, False]] for number in range(100)]
    for _ in range(100):
        assert cluster.call(leader.id, "txn", [[], many, []])[0] == 0
    assert cluster.call(leader.id, "compact", [leader.store.revision, False])[0] == 0
    cluster.advance(20)
    for member in cluster.members.values():
        assert not member.store.space.unswept
        # Nor does the snapshot on the disk refer to it.
        _, recovered = cluster.disks[member.id].open()
        assert recovered.snapshot.data.log_base == member.store.space.log_base


# -- the two ends by themselves -----------------------------------------------------------------


class Wires:
    """A transport that keeps what is sent."""

    def __init__(self) -> None:
        self.sent: list[Wire] = []

    def send_peer(self, member_id: int, wire: Wire) -> None:
        assert member_id in (1, 2, 3)
        self.sent.append(wire)

    def take(self) -> list[Wire]:
        sent, self.sent = self.sent, []
        return sent


def _message(term: int = 2) -> Message:
    store = Store()
    for number in range(KEYS):
        store.apply_wire("put", [b"%d" % number, VALUE, 0, False, False, False])
    snapshot = Snapshot(7, 1, Configuration.of_voters((1, 2, 3)), store.view())
    return Message(SNAPSHOT, 2, 1, term, snapshot=snapshot)


@pytest.fixture(name="node")
def _node() -> RawNode:
    config = MemberConfig(1, tuple(Peer(number) for number in (1, 2, 3)))
    return RawNode(config.raft(), RecoveredState(), random.Random(1), Snapshot)


@pytest.fixture(name="wires")
def _wires() -> Wires:
    return Wires()


def test_the_window_bounds_what_is_packed(wires: Wires, node: RawNode) -> None:
    sender = SnapshotSender(wires, 0, Pace(lambda: 0))
    sender.begin(_message())
    first = wires.take()
    assert [part[3] for part in first] == list(range(WINDOW_PARTS))
    sender.answered(2, [SNAPSHOT_TAKEN, first[0][1], 3], node)
    assert [part[3] for part in wires.take()] == [WINDOW_PARTS, WINDOW_PARTS + 1, WINDOW_PARTS + 2]
    sender.answered(2, [SNAPSHOT_TAKEN, first[0][1], 2], node)
    sender.answered(3, [SNAPSHOT_TAKEN, first[0][1], 9], node)
    sender.answered(2, [SNAPSHOT_TAKEN, first[0][1] - 1, 9], node)
    assert wires.take() == []


def test_while_there_are_writes_parts_leave_one_by_one(wires: Wires, node: RawNode) -> None:
    now_ns = 10 * IDLE_NS
    sender = SnapshotSender(wires, 0, Pace(lambda: now_ns))
    sender.resume(6)
    sender.resume(7)
    sender.begin(_message())
    (first,) = wires.take()
    for place in range(1, 5):
        sender.answered(2, [SNAPSHOT_TAKEN, first[1], place], node)
        sender.resume(7 + place)
        assert wires.take() == []
        now_ns += SPACING_NS
        sender.resume(7 + place)
        assert [part[3] for part in wires.take()] == [place]
    # No client writes any more: as fast as answers come.
    now_ns += IDLE_NS
    sender.resume(11)
    assert len(wires.take()) == WINDOW_PARTS - 1


def test_parts_leave_in_proportion_to_what_is_written(wires: Wires, node: RawNode) -> None:
    sender = SnapshotSender(wires, 0, Pace(lambda: 10 * IDLE_NS))
    sender.resume(6)
    sender.resume(7)
    sender.begin(_message())
    (first,) = wires.take()
    written = ((WRITES_PER_PART - 1, 0), (WRITES_PER_PART, 1), (4 * WRITES_PER_PART, 3))
    for taken, (entries, parts) in enumerate(written, 1):
        sender.resume(6 + entries)
        assert len(wires.take()) == parts
        sender.answered(2, [SNAPSHOT_TAKEN, first[1], taken], node)
        assert wires.take() == []


def test_to_a_member_of_the_same_program_versions_go_by_reference(
    wires: Wires, node: RawNode
) -> None:
    handed: list[Wire] = []

    def hand_over(_member: int, part: Wire) -> bool:
        handed.append(part)
        return True

    message = _message()
    assert message.snapshot is not None
    written = [kv for piece in message.snapshot.data.parts() for kv in piece][-1]
    sender = SnapshotSender(wires, 0, Pace(lambda: 0), hand_over)
    receiver = SnapshotReceiver(wires)
    sender.begin(message)
    complete = None
    while complete is None:
        part = handed.pop(0)
        receiver.take(1, part, 2)
        complete = receiver.load(1)
        sender.answered(2, wires.take()[0], node)
    assert complete.snapshot is not None
    loaded = complete.snapshot.data.take_loaded()
    assert loaded.space.live[written[0]] is written


def test_repeated_answers_tell_of_a_loss_before_the_time_is_over(
    wires: Wires, node: RawNode
) -> None:
    sender = SnapshotSender(wires, 0, Pace(lambda: 0))
    sender.begin(_message())
    number = wires.take()[0][1]
    for _ in range(3):
        sender.answered(2, [SNAPSHOT_TAKEN, number, 0], node)
    assert [part[3] for part in wires.take()] == [0]


def test_a_member_that_has_forgotten_a_transfer_refuses_it(wires: Wires, node: RawNode) -> None:
    sender = SnapshotSender(wires, 0, Pace(lambda: 0))
    sender.begin(_message())
    parts = wires.take()
    sender.answered(2, [SNAPSHOT_TAKEN, parts[0][1], WINDOW_PARTS], node)
    late = wires.take()[0]
    receiver = SnapshotReceiver(wires)
    receiver.take(1, parts[1], 2)
    assert wires.take() == []  # it may have overtaken the first one
    receiver.take(1, late, 2)
    assert wires.take() == [[SNAPSHOT_TAKEN, late[1], REFUSED]]
    receiver.take(1, parts[0], 2)
    assert wires.take() == [[SNAPSHOT_TAKEN, late[1], REFUSED]]
    sender.answered(2, [SNAPSHOT_TAKEN, late[1], REFUSED], node)
    assert len(sender) == 0


def test_parts_of_an_older_term_and_damaged_parts_are_refused(wires: Wires) -> None:
    sender = SnapshotSender(wires, 0, Pace(lambda: 0))
    sender.begin(_message(term=2))
    parts = wires.take()
    receiver = SnapshotReceiver(wires)
    receiver.take(1, parts[0], 3)
    assert wires.take() == [[SNAPSHOT_TAKEN, parts[0][1], REFUSED]]
    receiver = SnapshotReceiver(wires)
    for part, data in ((parts[0], parts[0][4]), (parts[1], b"\xc1")):
        receiver.take(1, [*part[:4], data, False], 2)
        assert receiver.load(1) is None
    assert wires.take()[-1] == [SNAPSHOT_TAKEN, parts[0][1], REFUSED]
    assert receiver.receiving is None


def test_a_transfer_of_a_newer_term_takes_the_place_of_another(wires: Wires) -> None:
    older, newer = (
        SnapshotSender(wires, 0, Pace(lambda: 0)),
        SnapshotSender(wires, 0, Pace(lambda: 0)),
    )
    older.begin(_message(term=2))
    first = wires.take()
    newer.begin(_message(term=3))
    second = wires.take()
    receiver = SnapshotReceiver(wires)
    receiver.take(1, first[0], 2)
    receiver.take(3, second[0], 2)
    receiver.load(1)
    wires.take()
    receiver.take(1, first[1], 2)
    assert wires.take() == [[SNAPSHOT_TAKEN, first[1][1], REFUSED]]
    receiver.take(3, second[1], 2)
    receiver.load(1)
    assert wires.take() == [[SNAPSHOT_TAKEN, second[1][1], 2]]


def test_what_is_not_sent_any_further_is_dropped(wires: Wires) -> None:
    sender = SnapshotSender(wires, 0, Pace(lambda: 0))
    sender.begin(_message())
    receiver = SnapshotReceiver(wires)
    receiver.take(1, wires.take()[0], 2)
    for _ in range(2 * GIVE_UP_TICKS):
        assert receiver.receiving is not None
        receiver.tick()
    assert receiver.receiving is None


def test_no_snapshot_is_made_while_one_of_the_leader_waits_for_the_disk() -> None:
    cluster = BareCluster(1, random.Random, configure=lambda c: attrs.evolve(c, snapshot_entries=5))
    member = cluster.leader()
    for number in range(3):
        assert cluster.call(1, "put", [b"%d" % number, b"", 0, False, False, False])[0] == 0
    made = member._snapshots.count
    member.node.raft.log.restore(Snapshot(100, 2, Configuration((1,)), b""))
    member._snapshots._interval_entries = 1
    member._snapshots.advance(member.node)
    assert member._snapshots.count == made
