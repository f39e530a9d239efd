"""What the defects of the zoo do, each shown by the part that it breaks: with it, and without."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from types import SimpleNamespace
from typing import Any, cast

import pytest

from k8sactors.chaos.zoo.bugs import BUGS
from raftstore.mvcc import Store, WatchHub
from raftstore.raft import Message, RaftConfig, RawNode, ReadState, RecoveredState
from raftstore.raft.messages import VOTE, VOTE_RESPONSE
from raftstore.server import MemberConfig
from raftstore.server.proposals import Proposals
from raftstore.server.reads import ReadQueue
from raftstore.server.requests import Request, RequestKeys
from raftstore.wire import WatchCreateRequest, WatchResponse

BOTH = pytest.mark.parametrize("defective", [False, True])
START = 2


def build(number: int, *, defective: bool) -> AbstractContextManager[None]:
    return BUGS[number].switched_on() if defective else nullcontext()


class Last:
    """A source of randomness that always gives the longest election timeout."""

    def randrange(self, _start: int, stop: int, /) -> int:
        return stop - 1


def put(store: Store, count: int) -> None:
    for _ in range(count):
        store.apply_wire("put", [b"k", b"", 0, False, False, False])


def watch(hub: WatchHub) -> None:
    hub.create(WatchCreateRequest(b"k", b"", START).to_wire(), "sink")


def items(hub: WatchHub) -> list[WatchResponse]:
    return [WatchResponse.from_wire(item) for _, item in hub.collect()]


def revisions(hub: WatchHub) -> list[int]:
    return [event.kv.mod_revision for item in items(hub) for event in item.decode_events()]


@BOTH
def test_a_vote_of_an_older_term_elects_only_a_defective_candidate(*, defective: bool) -> None:
    with build(4, defective=defective):
        config = RaftConfig(1, (1, 2, 3), pre_vote=False)
        node = RawNode(config, RecoveredState(), Last(), snapshot_source=_no_snapshot)
        for _ in range(2):
            node.campaign()
            ready = node.ready()
            asked = [message for message in ready.messages if message.kind == VOTE]
            node.advance(ready)
        assert [message.term for message in asked] == [2, 2]
        for sender in (2, 3):
            vote = Message(VOTE_RESPONSE, 1, term=1)
            vote.sender = sender
            node.step(vote)
        assert (node.raft.leader == 1) is defective


def _no_snapshot() -> Any:
    raise AssertionError("no member asks for a snapshot")


@BOTH
def test_a_late_answer_confirms_a_newer_read_only_under_a_reused_name(*, defective: bool) -> None:
    told: list[str] = []
    names: list[bytes] = []

    def read_index(context: bytes) -> bool:
        names.append(context)
        return True

    node = cast("RawNode", SimpleNamespace(read_index=read_index))
    with build(7, defective=defective):
        queue = ReadQueue(RequestKeys(1, 1), lambda op, _: [op], 10)
        for op in ("older", "newer"):
            queue.add(Request(op, [], lambda answer: told.append(answer[0]), 0, 0))
            queue.ask(node, 0)
        queue.confirm([ReadState(5, names[0])])
        queue.serve(5)
    assert told == (["older", "newer"] if defective else ["older"])


@BOTH
def test_a_restored_watch_replays_old_revisions_only_when_defective(*, defective: bool) -> None:
    with build(10, defective=defective):
        store, ahead = Store(), Store()
        hub = WatchHub(store)
        put(ahead, 5)
        put(store, 3)
        watch(hub)
        assert revisions(hub) == [2, 3, 4]
        store.restore(ahead.snapshot())
        assert revisions(hub) == ([2, 3, 4, 5, 6] if defective else [5, 6])


@BOTH
def test_a_watch_of_compacted_history_skips_it_only_when_defective(*, defective: bool) -> None:
    with build(11, defective=defective):
        store = Store()
        hub = WatchHub(store)
        put(store, 5)
        store.apply_wire("compact", [5, True])
        watch(hub)
        told = items(hub)
        assert any(item.compact_revision == 5 for item in told) is not defective
        sent = [event.kv.mod_revision for item in told for event in item.decode_events()]
        assert sent == ([5, 6] if defective else [])


@BOTH
def test_a_deposed_leader_passes_revocations_on_only_when_defective(*, defective: bool) -> None:
    passed_on: list[bytes] = []
    node = cast("RawNode", SimpleNamespace(propose=passed_on.extend))
    with build(12, defective=defective):
        proposals = Proposals(RequestKeys(1, 1), MemberConfig(id=1, peers=()))
        proposals.submit("lease_revoke", [7], _ignore, deadline_ns=0)
        proposals.speak_as_leader(0)
        proposals.propose(node, leading=False)
    assert bool(passed_on) is defective


def _ignore(_payload: list[Any]) -> None:
    """No client asked."""


def test_without_pre_vote_and_check_quorum_every_member_goes_without() -> None:
    config = MemberConfig(id=1, peers=())
    assert config.raft().pre_vote
    assert config.raft().check_quorum
    with build(13, defective=True):
        assert not config.raft().pre_vote
        assert not config.raft().check_quorum
