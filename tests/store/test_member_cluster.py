"""Members over a network without an event loop: what clients may rely on under failures."""

from __future__ import annotations

import random  # noqa: TID251  # seeded by each test
from collections.abc import Callable
from typing import Any

import attrs
import pytest

from raftstore.raft import InvariantViolationError, Message, RaftMonitor
from raftstore.raft.messages import HEARTBEAT
from raftstore.raft.raft import Raft
from raftstore.server import Member, MemberConfig
from raftstore.server.bare import BareCluster, _take
from raftstore.wire import unpack_events

Answer = list[Any]


def put(key: bytes, value: bytes = b"v", lease: int = 0) -> tuple[str, list[Any]]:
    return "put", [key, value, lease, False, False, False]


def get(key: bytes, *, serializable: bool = False) -> tuple[str, list[Any]]:
    return "range", [key, b"", 0, 0, 0, 0, serializable, False, False, 0, 0, 0, 0]


def everything() -> tuple[str, list[Any]]:
    return "range", [b"\0", b"\0", 0, 0, 0, 0, True, False, False, 0, 0, 0, 0]


def value_in(answer: Answer) -> bytes | None:
    assert answer[0] == 0, answer
    kvs = answer[1][1]
    return kvs[0][4] if kvs else None


class Scene(BareCluster):
    """A cluster, and the requests that were made of it."""

    def __init__(
        self, size: int = 3, configure: Callable[[MemberConfig], MemberConfig] = lambda c: c
    ) -> None:
        super().__init__(size, random.Random, monitor=RaftMonitor(), configure=configure)

    def ask(self, member_id: int, request: tuple[str, list[Any]]) -> list[Answer]:
        """Hand a request in without carrying anything yet; the answer will stand in the list."""
        answers: list[Answer] = []
        self.members[member_id].receive_client("client", *request, answers.append)
        return answers

    def do(self, member_id: int, request: tuple[str, list[Any]]) -> Answer:
        return self.call(member_id, *request)

    def followers(self) -> list[int]:
        leader = self.leader().id
        return [peer.id for peer in self.peers if peer.id != leader]

    def same_state(self) -> None:
        states = {repr(self.do(number, everything())[1][1:]) for number in self.members}
        assert len(states) == 1


@pytest.fixture
def scene() -> Scene:
    return Scene()


def test_a_write_through_any_member_is_read_at_any_member(scene: Scene) -> None:
    scene.leader()
    for member_id in (1, 2, 3):
        key = b"k%d" % member_id
        assert scene.do(member_id, put(key, key))[0] == 0
        for reader in (1, 2, 3):
            assert value_in(scene.do(reader, get(key))) == key
    scene.same_state()


def test_one_member_alone_works_and_recovers() -> None:
    scene = Scene(1)
    scene.leader()
    assert scene.do(1, put(b"a", b"1"))[0] == 0
    scene.restart(1)
    scene.leader()
    assert value_in(scene.do(1, get(b"a"))) == b"1"


def test_waiting_writes_are_one_append(scene: Scene) -> None:
    leader = scene.leader()
    syncs = scene.disks[leader.id].sync_count
    answers = [scene.ask(leader.id, put(b"k%d" % n)) for n in range(100)]
    scene.settle()
    assert all(answer[0][0] == 0 for answer in answers)
    assert scene.disks[leader.id].sync_count == syncs + 1
    revisions = [answer[0][1][0][2] for answer in answers]
    assert revisions == list(range(2, 102))


def test_what_was_acknowledged_survives_the_loss_of_the_leader(scene: Scene) -> None:
    for round_number in range(6):
        leader = scene.leader()
        key = b"k%d" % round_number
        assert scene.do(leader.id, put(key, key))[0] == 0
        scene.kill(leader.id)
        other = scene.leader()
        assert value_in(scene.do(other.id, get(key))) == key
        scene.start(leader.id)
    scene.advance(5)
    scene.same_state()


def test_what_was_acknowledged_survives_a_power_cut_of_all(scene: Scene) -> None:
    leader = scene.leader()
    assert scene.do(leader.id, put(b"a", b"1"))[0] == 0
    for number in (1, 2, 3):
        scene.kill(number)
    for number in (1, 2, 3):
        scene.start(number)
    assert value_in(scene.do(scene.leader().id, get(b"a"))) == b"1"


def test_an_unsynced_tail_is_lost_and_was_never_acknowledged(scene: Scene) -> None:
    leader = scene.leader()
    waiting: list[Callable[[], None]] = []
    for disk in scene.disks.values():
        disk.use_timer(lambda _delay, callback: waiting.append(callback), 1)
    answers = scene.ask(leader.id, put(b"a"))
    scene.settle()
    assert not answers
    for number in (1, 2, 3):
        scene.kill(number)
        assert scene.disks[number].lost_records >= 1
        scene.disks[number].sync_latency_ns = 0
    for number in (1, 2, 3):
        scene.start(number)
    assert value_in(scene.do(scene.leader().id, get(b"a"))) is None


def test_a_slow_disk_delays_the_answer_and_nothing_else(scene: Scene) -> None:
    leader = scene.leader()
    waiting: list[Callable[[], None]] = []
    for disk in scene.disks.values():
        disk.use_timer(lambda _delay, callback: waiting.append(callback), 1)
    answers = [scene.ask(leader.id, put(b"k%d" % n)) for n in range(10)]
    for _ in range(10):
        scene.settle()
        callbacks, waiting[:] = waiting[:], []
        for callback in callbacks:
            callback()
    scene.settle()
    assert all(answer[0][0] == 0 for answer in answers)
    assert not scene.monitor.violations


def test_the_monitor_sees_an_answer_before_the_disk_has_synced(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Member, "sync_disk", lambda _member, on_synced: on_synced())
    with pytest.raises(InvariantViolationError, match="persist-before-reply"):
        Scene().leader()


def test_a_late_follower_gets_a_snapshot_and_continues() -> None:
    scene = Scene(
        configure=lambda c: attrs.evolve(
            c, snapshot_entries=50, catch_up_entries=5, max_lag_bytes=0, max_lag_percent=0
        )
    )
    leader = scene.leader()
    late = scene.followers()[0]
    scene.isolate(late)
    for number in range(200):
        scene.do(leader.id, put(b"k%d" % (number % 20), b"%d" % number))
    assert leader.node.raft.log.first_index > 100
    scene.heal()
    scene.advance(5)
    assert scene.members[late].store.revision == leader.store.revision
    scene.do(leader.id, put(b"after"))
    scene.restart(late)
    scene.advance(3)
    scene.same_state()


def test_a_member_recovers_from_snapshot_and_log() -> None:
    scene = Scene(
        configure=lambda c: attrs.evolve(
            c, snapshot_entries=50, catch_up_entries=5, max_lag_bytes=0, max_lag_percent=0
        )
    )
    leader = scene.leader()
    for number in range(130):
        scene.do(leader.id, put(b"k%d" % (number % 20), b"%d" % number))
    before = scene.do(leader.id, everything())[1][1]
    for number in (1, 2, 3):
        scene.kill(number)
    for number in (1, 2, 3):
        scene.start(number)
    assert scene.do(scene.leader().id, everything())[1][1] == before
    assert len(scene.disks[1]._records) < 150


def test_a_deposed_leader_answers_no_linearizable_read(scene: Scene) -> None:
    old = scene.leader()
    scene.do(old.id, put(b"a", b"old"))
    scene.isolate(old.id)
    stale = scene.ask(old.id, get(b"a"))
    others = [number for number in (1, 2, 3) if number != old.id]
    for _ in range(40):
        scene.advance()
        new = [n for n in others if scene.members[n].is_leader]
        if new:
            break
    scene.do(new[0], put(b"a", b"new"))
    scene.heal()
    scene.advance(100)
    assert not stale or stale[0][0] != 0 or value_in(stale[0]) == b"new"
    assert value_in(scene.do(old.id, get(b"a"))) == b"new"


@pytest.mark.covers("ST-06")
def test_members_talk_all_the_time_and_replace_a_leader_that_is_cut_off(scene: Scene) -> None:
    old = scene.leader()
    term = old.node.raft.term
    heard: dict[int, int] = {}
    for member in scene.members.values():
        step = member.node.step

        def count(message: Message, step: Callable[[Message], None] = step) -> None:
            if message.kind == HEARTBEAT:
                heard[message.to] = heard.get(message.to, 0) + 1
            step(message)

        member.node.step = count  # type: ignore[method-assign]
    scene.advance(20)
    assert heard == dict.fromkeys(scene.followers(), 20)
    scene.isolate(old.id)
    scene.advance(60)
    new = next(m for m in scene.members.values() if m is not old and m.is_leader)
    assert new.node.raft.term > term
    scene.heal()
    scene.advance(20)
    assert scene.leader() is new
    assert not old.is_leader
    assert old.node.raft.leader == new.id


def test_a_serializable_read_needs_no_other_member(scene: Scene) -> None:
    leader = scene.leader()
    scene.do(leader.id, put(b"a", b"1"))
    scene.isolate(leader.id)
    assert value_in(scene.do(leader.id, get(b"a", serializable=True))) == b"1"


def test_without_a_quorum_writes_end_in_an_error(scene: Scene) -> None:
    leader = scene.leader()
    scene.isolate(leader.id)
    proposed = scene.ask(leader.id, put(b"a"))
    scene.advance(40)
    refused = scene.ask(leader.id, put(b"b"))
    scene.advance(80)
    assert proposed[0][1].startswith("etcdserver: request timed out")
    assert refused == [["Unavailable", "etcdserver: no leader"]]


def test_a_write_overwritten_by_the_next_leader_is_known_not_to_have_happened(scene: Scene) -> None:
    old = scene.leader()
    scene.isolate(old.id)
    lost = scene.ask(old.id, put(b"lost"))
    scene.settle()
    for _ in range(30):
        scene.advance()
    new = next(m for m in scene.members.values() if m.is_leader)
    scene.do(new.id, put(b"kept"))
    scene.heal()
    scene.advance(5)
    assert lost == [["Unavailable", "etcdserver: leader changed"]]
    assert value_in(scene.do(old.id, get(b"lost"))) is None


def test_requests_beyond_the_limits_are_refused() -> None:
    scene = Scene(configure=lambda c: attrs.evolve(c, max_pending_requests=1))
    leader = scene.leader()
    large = scene.do(leader.id, put(b"a", b"x" * (2 << 20)))
    assert large == ["InvalidArgument", "etcdserver: request is too large"]
    many = ["txn", [[], [[2, put(b"k%d" % n)[1]] for n in range(129)], []]]
    assert scene.do(leader.id, tuple(many))[1] == "etcdserver: too many operations in txn request"
    scene.ask(leader.id, put(b"a"))
    assert scene.ask(leader.id, put(b"b"))[0][1] == "etcdserver: too many requests"
    assert scene.do(leader.id, ("put", [b"a"]))[0] == "InvalidArgument"
    assert scene.do(leader.id, ("conquer", []))[0] == "Unimplemented"


def test_watchers_get_one_item_per_batch_and_follow_their_member(scene: Scene) -> None:
    leader = scene.leader()
    follower = scene.followers()[0]
    items: list[list[Any]] = []
    watch_id = scene.members[follower].watch(
        "client", [b"k", b"l", 0, False, [], False], items.append
    )
    scene.settle()
    items.clear()
    for number in range(10):
        scene.ask(leader.id, put(b"k%d" % number))
    scene.settle()
    assert len(items) == 1
    assert [event[1][0] for event in unpack_events(items[0][5])] == [b"k%d" % n for n in range(10)]
    scene.members[follower].cancel_watch("client", watch_id)
    scene.settle()
    assert items[-1][3] is True
    scene.members[follower].close_client("client")


def test_a_lease_that_is_not_renewed_ends_with_its_keys(scene: Scene) -> None:
    leader = scene.leader()
    granted = scene.do(leader.id, ("lease_grant", [2, 0]))
    lease = granted[1][1]
    scene.do(leader.id, put(b"a", lease=lease))
    follower = scene.followers()[0]
    for _ in range(5):
        scene.advance(10)
        renewed = scene.do(follower, ("lease_keep_alive", [lease]))
        assert renewed[1][2] == 2
    assert value_in(scene.do(leader.id, get(b"a"))) == b"v"
    scene.advance(25)
    assert value_in(scene.do(leader.id, get(b"a"))) is None
    assert scene.do(follower, ("lease_keep_alive", [lease]))[1][2] == 0


def test_a_lease_survives_a_change_of_leader_with_its_full_time(scene: Scene) -> None:
    leader = scene.leader()
    lease = scene.do(leader.id, ("lease_grant", [3, 0]))[1][1]
    scene.do(leader.id, put(b"a", lease=lease))
    scene.advance(25)
    scene.kill(leader.id)
    new = scene.leader()
    scene.advance(10)
    assert value_in(scene.do(new.id, get(b"a"))) == b"v"
    scene.advance(40)
    assert value_in(scene.do(new.id, get(b"a"))) is None


def test_a_proposal_that_is_doubled_on_its_way_is_carried_out_once(scene: Scene) -> None:
    follower = scene.followers()[0]
    leader = scene.leader()
    first, second = (scene.ask(follower, put(b"a", value)) for value in (b"1", b"2"))
    scene.members[follower].finish_batch()
    frames = [frame for _, frame in _take(scene._outboxes[follower])]
    assert len(frames) == 1
    for wire in [*frames[0], *frames[0]]:
        leader.receive_peer(follower, wire)
    scene.settle()
    assert [answers[0][1][0][2] for answers in (first, second)] == [2, 3]
    assert leader.store.revision == 3
    for wire in frames[0]:
        leader.receive_peer(follower, wire)
    scene.settle()
    assert leader.store.revision == 3


def test_a_paused_leader_that_learns_of_its_successor_ends_no_lease(scene: Scene) -> None:
    """It wakes, finds a lease over by its own reckoning, and is deposed before it can say so."""
    old = scene.leader()
    lease = scene.do(old.id, ("lease_grant", [3, 0]))[1][1]
    scene.do(old.id, put(b"a", lease=lease))
    paused = scene.members.pop(old.id)
    new = scene.leader()
    scene.advance(20)
    assert scene.do(new.id, ("lease_keep_alive", [lease]))[1][2] == 3
    scene.advance(20)
    assert scene.do(new.id, ("lease_keep_alive", [lease]))[1][2] == 3
    scene.members[old.id] = paused
    paused.tick()
    new.tick()
    new.finish_batch()
    assert paused.is_leader
    scene._deliver()
    assert not paused.is_leader
    scene.settle()
    scene.advance(5)
    assert value_in(scene.do(new.id, get(b"a"))) == b"v"
    assert scene.do(old.id, ("lease_keep_alive", [lease]))[1][2] == 3


def test_leadership_moves_on_request(scene: Scene) -> None:
    leader = scene.leader()
    target = scene.followers()[0]
    assert scene.do(target, ("move_leader", [leader.id])) == [
        "FailedPrecondition",
        "etcdserver: not leader",
    ]
    assert scene.do(leader.id, ("move_leader", [target]))[0] == 0
    assert scene.leader().id == target


def test_members_tell_about_themselves(scene: Scene) -> None:
    leader = scene.leader()
    scene.do(leader.id, put(b"a"))
    status = scene.do(leader.id, ("status", []))[1]
    assert status[3] == leader.id
    assert status[6] == leader.node.raft.log.applied
    members = scene.do(leader.id, ("member_list", [False]))[1][1]
    assert [member[0] for member in members] == [1, 2, 3]
    hashes = {scene.do(number, ("hash_kv", [0]))[1][1] for number in (1, 2, 3)}
    assert len(hashes) == 1
    assert leader.statistics()["role"] == "leader"


def test_the_stale_read_is_seen_when_a_leader_answers_without_a_quorum(
    monkeypatch: pytest.MonkeyPatch, scene: Scene
) -> None:
    monkeypatch.setattr(Raft, "read_needs_no_quorum", lambda _raft: True)
    old = scene.leader()
    scene.do(old.id, put(b"a", b"old"))
    scene.isolate(old.id)
    # The others elect a successor while the old leader still believes in itself.
    successor = scene.members[next(n for n in (1, 2, 3) if n != old.id)]
    monkeypatch.setattr(Raft, "in_leader_lease", lambda _raft, _message: False)
    for _ in range(3):
        successor.node.campaign()
        scene.settle()
    assert old.is_leader
    assert successor.is_leader
    scene.do(successor.id, put(b"a", b"new"))
    assert value_in(scene.do(old.id, get(b"a"))) == b"old"


def start_the_dead(scene: Scene) -> None:
    for peer in scene.peers:
        if peer.id not in scene.members:
            scene.start(peer.id)


def storm(scene: Scene, chance: random.Random) -> dict[bytes, list[Answer]]:
    """Writes amid kills, cuts and restarts; the answers by key."""
    answers: dict[bytes, list[Answer]] = {}
    for step in range(300):
        number = chance.choice((1, 2, 3))
        action = chance.random()
        if action < 0.03 and len(scene.members) == 3:
            scene.kill(number)
        elif action < 0.06:
            scene.isolate(number)
        elif action < 0.12:
            scene.heal()
        elif action < 0.2:
            start_the_dead(scene)
        elif action < 0.5:
            scene.advance(chance.randrange(1, 8))
        elif number in scene.members:
            key = b"k%d" % step
            answers[key] = scene.ask(number, put(key, key))
            scene.settle()
    return answers


def small(config: MemberConfig) -> MemberConfig:
    """Limits that make every mechanism work within a short run."""
    return attrs.evolve(config, snapshot_entries=20, catch_up_entries=3, max_entries_per_message=1)


@pytest.mark.parametrize("seed", range(10))
def test_acknowledged_writes_survive_random_kills_and_cuts(seed: int) -> None:
    scene = Scene(configure=small)
    answers = storm(scene, random.Random(seed))
    scene.heal()
    start_the_dead(scene)
    leader = scene.leader()
    scene.advance(100)
    scene.same_state()
    outcomes = {key: answer[0] for key, answer in answers.items() if answer}
    kept = [key for key, outcome in outcomes.items() if outcome[0] == 0]
    assert kept
    for key in kept:
        assert value_in(scene.do(leader.id, get(key))) == key
    for key, outcome in outcomes.items():
        if outcome[1] in ("etcdserver: no leader", "etcdserver: leader changed"):
            assert value_in(scene.do(leader.id, get(key))) is None
