"""Single members, as if they had lived, and the messages that others send them."""

from __future__ import annotations

from typing import Any

from raftstore.raft import Entry, HardState, Message, RaftConfig, RecoveredState, Snapshot
from raftstore.raft import messages as kinds
from raftstore.raft.raft import Raft


class FixedRng:
    def randrange(self, start: int, stop: int, /) -> int:
        del stop
        return start


def entry(term: int, index: int, data: bytes = b"") -> Entry:
    return Entry(term, index, 0, data)


def node_with(
    entries: list[Entry], *, term: int = 0, vote: int = 0, commit: int = 0, **settings: Any
) -> Raft:
    recovered = RecoveredState(HardState(term, vote, commit), Snapshot(), entries)
    return Raft(RaftConfig(1, (1, 2, 3), **settings), recovered, FixedRng(), Snapshot)


def vote(term: int, index: int, log_term: int, *, sender: int = 2, **fields: Any) -> Message:
    return Message(kinds.VOTE, 1, sender, term, log_term, index, **fields)


def append(term: int, index: int, log_term: int, entries: list[Entry], commit: int = 0) -> Message:
    return Message(kinds.APPEND, 1, 2, term, log_term, index, commit, entries)


def leader_with(entries: list[Entry], *, term: int = 0, **settings: Any) -> Raft:
    """Member 1, elected in the term after `term`."""
    raft = node_with(entries, term=term, **settings)
    raft.become_candidate()
    raft.become_leader()
    return raft


def answer(raft: Raft, sender: int, index: int, *, term: int | None = None, **fields: Any) -> None:
    """A follower answers an append."""
    term = raft.term if term is None else term
    raft.step(Message(kinds.APPEND_RESPONSE, raft.id, sender, term, index=index, **fields))


def persist(raft: Raft) -> None:
    """The disk of a leader has synced its log."""
    raft.log.stable_to(raft.log.last_index, raft.log.last_term)
    raft.acknowledge_own()


def taken(raft: Raft, kind: int) -> list[Message]:
    """The messages of a kind that wait to be sent; they are gone afterwards."""
    everything = raft.messages + raft.messages_after_persist
    raft.messages, raft.messages_after_persist = [], []
    return [message for message in everything if message.kind == kind]
