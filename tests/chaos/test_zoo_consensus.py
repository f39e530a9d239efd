"""Defects of the consensus, each led to its harm by the shortest schedule; the sound build passes.

The campaigns of the zoo find the same by chance. Here nothing is left to it, so that a check which
goes blind shows in a test that takes no time.
"""

from __future__ import annotations

import random  # noqa: TID251  # seeded by each test
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import attrs
import pytest

from k8sactors.chaos.store.check import check_states
from k8sactors.chaos.store.record import RecordingMonitor
from k8sactors.chaos.zoo.bugs import BUGS
from raftstore.raft import (
    ChangeKind,
    Entry,
    Message,
    RaftMonitor,
    Role,
    simple_change,
)
from raftstore.raft import messages as kinds
from raftstore.server.bare import BareCluster
from tests.raft.conftest import Network

BOTH = pytest.mark.parametrize("defective", [False, True])
UNGUARDED = {"pre_vote": False, "check_quorum": False}


def build(number: int, *, defective: bool) -> AbstractContextManager[None]:
    return BUGS[number].switched_on() if defective else nullcontext()


# Bug 2: one change of the members at a time


def two_leaders_by_overlapping_changes(network: Network) -> None:
    """1 and two new members commit by five, while 2 and 3 still count to three without them.

    Each change alone moves one voter, so that majorities meet; two at once do not (Ongaro, raft-dev
    2015-07-10).
    """
    network.settle()
    network.elect(1)
    network.side = lambda node: node in {1, 2}
    for joiner in (4, 5):
        network.join(joiner)
        network.propose_change(1, simple_change(ChangeKind.ADD_VOTER, joiner))
    # 2 gets the changes, but is cut off before it hears that they are committed.
    step = network.step

    def without_commits(message: Message) -> None:
        if message.kind != kinds.COMMIT:
            step(message)

    network.step = without_commits  # type: ignore[method-assign]
    network.settle()
    network.step = step  # type: ignore[method-assign]
    network.side = lambda node: node in {1, 4, 5}
    network.tick(5)
    network.propose(1)
    network.settle()
    network.side = lambda node: node in {2, 3}
    for _ in range(10):
        network.nodes[2].campaign()
        network.settle()
    if network.nodes[2].raft.role is Role.LEADER:
        network.propose(2)
        network.settle()


def record_applied(network: Network) -> dict[int, dict[int, Entry]]:
    """What each node applies from now on, by index."""
    applied: dict[int, dict[int, Entry]] = {}
    apply_changes = network.apply_changes

    def record(node_id: int, entries: list[Entry]) -> None:
        applied.setdefault(node_id, {}).update({entry.index: entry for entry in entries})
        apply_changes(node_id, entries)

    network.apply_changes = record  # type: ignore[method-assign]
    return applied


def split(applied: dict[int, dict[int, Entry]]) -> list[int]:
    """The indices at which nodes 1 and 2 have applied different entries."""
    return [
        index
        for index in applied[1]
        if applied[2].get(index, applied[1][index]) != applied[1][index]
    ]


@BOTH
def test_overlapping_changes_let_two_leaders_commit_different_entries(*, defective: bool) -> None:
    network = Network(3, founded=True, **UNGUARDED)
    network.monitor = RaftMonitor(record_only=True)
    applied = record_applied(network)
    with build(2, defective=defective):
        two_leaders_by_overlapping_changes(network)
    assert bool(split(applied)) is defective
    seen = {violation.check for violation in network.monitor.violations}
    assert seen == ({"leader-completeness", "state-machine-safety"} if defective else set())


# Bugs 5 and 6: reads that miss what was committed before them


def read_at_a_deposed_leader(network: Network) -> None:
    network.elect(1)
    network.side = lambda node: node == 1
    network.elect(2)
    assert network.propose(2)
    network.settle()
    network.read(1)
    network.settle()


def read_at_a_leader_that_has_committed_nothing_yet(network: Network) -> None:
    """The entry of term 1 is committed, as 1 knows, but 2 does not; 3 confirms only that it leads.

    No member syncs what 2 has appended, so that its own term has nothing committed.
    """
    network.elect(1)
    network.propose(1)
    step = network.step

    def without_commits(message: Message) -> None:
        message.commit = min(message.commit, 1)
        step(message)

    network.step = without_commits  # type: ignore[method-assign]
    network.settle()
    network.step = step  # type: ignore[method-assign]
    assert network.nodes[1].raft.log.committed > network.nodes[2].raft.log.committed
    network.side = lambda node: node == 1
    network.nodes[2].campaign()
    for _ in range(20):
        if network.nodes[2].raft.role is Role.LEADER:
            break
        for node_id in (2, 3):
            network.sync(node_id)
            network.begin(node_id)
        messages, network.in_flight = network.in_flight, []
        for message in messages:
            network.step(message)
    assert network.nodes[2].raft.role is Role.LEADER
    network.sync(2)
    network.in_flight = []
    network.read(2)
    # The appends of the new leader are slow, its heartbeats are not.
    step = network.step

    def without_appends(message: Message) -> None:
        if message.kind != kinds.APPEND:
            step(message)

    network.step = without_appends  # type: ignore[method-assign]
    network.settle()
    network.step = step  # type: ignore[method-assign]
    network.tick(3)


@BOTH
@pytest.mark.parametrize(
    ("number", "schedule"),
    [(5, read_at_a_deposed_leader), (6, read_at_a_leader_that_has_committed_nothing_yet)],
)
def test_a_read_misses_what_was_committed_before_it_only_when_defective(
    number: int, schedule: Callable[[Network], None], *, defective: bool
) -> None:
    network = Network(3, **UNGUARDED)
    with build(number, defective=defective):
        if defective:
            with pytest.raises(AssertionError, match="a read may miss"):
                schedule(network)
        else:
            schedule(network)


# Bug 9: the applied index apart from the data


SNAPSHOT_ENTRIES = 8


def put(cluster: BareCluster, count: int) -> None:
    for _ in range(count):
        leader = cluster.leader()
        key = b"k%d" % leader.store.revision
        cluster.call(leader.id, "put", [key, b"v", 0, False, False, False])
    cluster.advance(1)


def snapshot_while_entries_wait(before: int) -> set[str]:
    """A follower's disk is slow: entries are committed there before it applies them.

    After so many entries `before` its snapshot is due meanwhile, and later its power fails. What
    the judges say about the states in the end.
    """
    monitor = RecordingMonitor(lambda: 0)
    cluster = BareCluster(
        3,
        random.Random,
        monitor=monitor,
        configure=lambda c: attrs.evolve(c, snapshot_entries=SNAPSHOT_ENTRIES, catch_up_entries=1),
    )
    leader = cluster.leader()
    put(cluster, before)
    follower = next(number for number in cluster.members if number != leader.id)
    disk = cluster.disks[follower]
    waiting: list[Callable[[], None]] = []
    disk.use_timer(lambda _delay, callback: waiting.append(callback), 1)
    put(cluster, 3)
    callbacks, waiting[:] = waiting[:], []
    for callback in callbacks:
        callback()
    # Some of those are applied now, together with a write that takes its time.
    put(cluster, 3)
    disk.sync_latency_ns = 0
    for callback in waiting:
        callback()
    cluster.settle()
    cluster.restart(follower)
    put(cluster, 1)
    assert not monitor.violations
    stores = [member.store for member in cluster.members.values()]
    return {finding.check for finding in check_states(monitor.committed_log(), stores, 0)}


@BOTH
def test_a_member_restarts_without_some_entries_only_when_defective(*, defective: bool) -> None:
    with build(9, defective=defective):
        found = [snapshot_while_entries_wait(before) for before in range(SNAPSHOT_ENTRIES)]
    assert set().union(*found) == ({"exact-state", "state-equality"} if defective else set())
