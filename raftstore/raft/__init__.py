"""Consensus as a pure state machine: message in, Ready out."""

from .config import RaftConfig, RecoveredState, founding_state
from .configuration import (
    LEAVE_JOINT,
    ChangeKind,
    ConfChange,
    Configuration,
    MemberChange,
    Transition,
    founding,
    simple_change,
)
from .errors import (
    CompactedError,
    ConfigurationError,
    InvariantViolationError,
    ProposalDroppedError,
    RaftError,
    UnavailableError,
    UncommittedLimitError,
)
from .invariants import RaftMonitor
from .messages import NO_MEMBER, Entry, EntryKind, HardState, Message, MessageKind, Snapshot
from .rawnode import RawNode, Ready, SoftState
from .state import ReadState, Role

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
