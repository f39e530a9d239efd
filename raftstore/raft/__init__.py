"""Consensus as a pure state machine: message in, Ready out.

A program holds a `RawNode`. The algorithm behind it is one object whose class is built in layers,
one concern per file, each class on top of the one below it:

    RawNode       rawnode      Ready and advance: what the environment has to carry out
      | holds
    Raft          raft         dispatch of messages by term and role
      | is an
    Election      election     timeouts, PreVote, votes, CheckQuorum, transfer of leadership
    Membership    membership   joint configurations, learners
    Reads         reads        ReadIndex
    Lease         lease        reads within the leader's lease
    Replication   replication  append, count, commit, snapshots
    RaftState     state        variables of the paper's figure 2, outbox, changes of role
      | holds
      |-- RaftLog          log            the entries since the last snapshot
      |-- Progress         progress       what each follower has, and what is on its way
      `-- Configuration    configuration  who votes; `quorum` says what a majority of them is

`RaftMonitor` (invariants) watches all members of a run from outside.
"""

from __future__ import annotations

from raftstore.raft.config import RaftConfig, RecoveredState, founding_state
from raftstore.raft.configuration import (
    LEAVE_JOINT,
    ChangeKind,
    ConfChange,
    Configuration,
    MemberChange,
    Transition,
    founding,
    simple_change,
)
from raftstore.raft.errors import (
    CompactedError,
    ConfigurationError,
    InvariantViolationError,
    ProposalDroppedError,
    RaftError,
    UnavailableError,
    UncommittedLimitError,
)
from raftstore.raft.invariants import RaftMonitor
from raftstore.raft.messages import (
    NO_MEMBER,
    Entry,
    EntryKind,
    HardState,
    Message,
    MessageKind,
    Snapshot,
)
from raftstore.raft.rawnode import RawNode, Ready, SoftState
from raftstore.raft.state import ReadState, Role

__all__ = [
    "LEAVE_JOINT",
    "NO_MEMBER",
    "ChangeKind",
    "CompactedError",
    "ConfChange",
    "Configuration",
    "ConfigurationError",
    "Entry",
    "EntryKind",
    "HardState",
    "InvariantViolationError",
    "MemberChange",
    "Message",
    "MessageKind",
    "ProposalDroppedError",
    "RaftConfig",
    "RaftError",
    "RaftMonitor",
    "RawNode",
    "ReadState",
    "Ready",
    "RecoveredState",
    "Role",
    "Snapshot",
    "SoftState",
    "Transition",
    "UnavailableError",
    "UncommittedLimitError",
    "founding",
    "founding_state",
    "simple_change",
]
