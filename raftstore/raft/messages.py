"""What members say to each other and what they persist: plain data, cheap to build and to pack.

On the wire a message is one positional list. Entries are named tuples, so msgpack packs them as
they are.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any, Final, NamedTuple

import attrs

from raftstore.raft.configuration import Configuration

# Members are numbered from 1; 0 stands for no member: no vote given, no leader known.
NO_MEMBER: Final = 0


class EntryKind(IntEnum):
    """What an entry holds."""

    NORMAL = 0
    # The entry by which a new leader commits everything before it (Raft section 8).
    EMPTY = 1
    # An encoded `ConfChange` (Raft section 6).
    CONF_CHANGE = 2


class Entry(NamedTuple):
    """One slot of the replicated log."""

    term: int
    index: int  # type: ignore[assignment]  # Raft's own word; the tuple is never searched
    kind: int
    data: bytes


class HardState(NamedTuple):
    """What must survive a crash besides the log (Raft figure 2, persistent state)."""

    term: int = 0
    vote: int = NO_MEMBER
    commit: int = 0


class Snapshot(NamedTuple):
    """The state machine after `index`, which replaces the log up to there (Raft section 7)."""

    index: int = 0  # type: ignore[assignment]  # Raft's own word; the tuple is never searched
    term: int = 0
    # The members after `index`.
    configuration: Configuration = Configuration()
    # The state itself, in whatever form the environment keeps and carries it.
    data: Any = b""


class MessageKind(IntEnum):
    """The names of the messages, for transcripts and traces."""

    PROPOSE = 1
    APPEND = 2
    APPEND_RESPONSE = 3
    # An append without entries that only moves the commit index. Answered only when it does not
    # fit.
    COMMIT = 4
    VOTE = 5
    VOTE_RESPONSE = 6
    PRE_VOTE = 7
    PRE_VOTE_RESPONSE = 8
    HEARTBEAT = 9
    HEARTBEAT_RESPONSE = 10
    SNAPSHOT = 11
    TRANSFER_LEADER = 12
    TIMEOUT_NOW = 13
    READ_INDEX = 14
    READ_INDEX_RESPONSE = 15


# Plain integers: comparing them is what `step` does most.
PROPOSE: Final = 1
APPEND: Final = 2
APPEND_RESPONSE: Final = 3
COMMIT: Final = 4
VOTE: Final = 5
VOTE_RESPONSE: Final = 6
PRE_VOTE: Final = 7
PRE_VOTE_RESPONSE: Final = 8
HEARTBEAT: Final = 9
HEARTBEAT_RESPONSE: Final = 10
SNAPSHOT: Final = 11
TRANSFER_LEADER: Final = 12
TIMEOUT_NOW: Final = 13
READ_INDEX: Final = 14
READ_INDEX_RESPONSE: Final = 15

# The kind of an entry, as a plain integer as well.
CONF_CHANGE: Final = 2

# Most messages of these kinds have nothing to say in the fields behind `commit`.
_SHORT: Final = frozenset((COMMIT, APPEND_RESPONSE, HEARTBEAT, HEARTBEAT_RESPONSE))

_new_tuple: Final = tuple.__new__

# Context of a vote request that the old leader itself asked for. It overrides the leader's lease.
CAMPAIGN_TRANSFER: Final = b"transfer"


@attrs.define
class Message:
    """One message between members; the meaning of a field depends on `kind`, as in etcd's raft.

    `index` and `log_term` name the entry before `entries` in an append, the last entry of a
    candidate in a vote request, and the acknowledged (or rejected) index in an append response.
    Requests for votes and refusals name in `commit` and `reject_hint` an entry that the sender
    knows to be committed: index and term.
    """

    kind: int
    to: int
    sender: int = NO_MEMBER
    term: int = 0
    log_term: int = 0
    index: int = 0
    commit: int = 0
    entries: list[Entry] = attrs.Factory(list)
    reject: bool = False
    reject_hint: int = 0
    context: bytes = b""
    snapshot: Snapshot | None = None

    def to_wire(self) -> list[Any]:
        """The positional form, ready for msgpack; defaults at the end are left out."""
        if self.kind in _SHORT and not (self.context or self.reject):
            return [
                self.kind,
                self.to,
                self.sender,
                self.term,
                self.log_term,
                self.index,
                self.commit,
            ]
        return [
            self.kind,
            self.to,
            self.sender,
            self.term,
            self.log_term,
            self.index,
            self.commit,
            self.entries,
            self.reject,
            self.reject_hint,
            self.context,
            self.snapshot,
        ]

    @classmethod
    def from_wire(cls, wire: list[Any]) -> Message:
        """Rebuild a message from its positional form.

        Sequences may have become lists on the way.
        """
        message = cls(*wire)
        if message.entries:
            message.entries = [_new_tuple(Entry, fields) for fields in message.entries]
        if message.snapshot is not None:
            index, term, configuration, data = message.snapshot
            members = Configuration.from_wire([*configuration])
            message.snapshot = Snapshot(index, term, members, data)
        return message
