"""Consensus as a pure state machine: message in, Ready out."""

from .config import RaftConfig, RecoveredState
from .errors import (
    CompactedError,
    InvariantViolationError,
    ProposalDroppedError,
    RaftError,
    UnavailableError,
)
from .invariants import RaftMonitor
from .messages import NO_MEMBER, Entry, EntryKind, HardState, Message, MessageKind, Snapshot
from .rawnode import RawNode, Ready, SoftState
from .state import ReadState, Role

__all__ = [
    "NO_MEMBER",
    "CompactedError",
    "Entry",
    "EntryKind",
    "HardState",
    "InvariantViolationError",
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
    "UnavailableError",
]
