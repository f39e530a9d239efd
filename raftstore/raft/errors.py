"""The errors of the consensus package.

RaftError
├── ProposalDroppedError    the proposal was not taken; nothing was appended, so it is safe to retry
│   └── UncommittedLimitError   too many bytes wait for their commit: the quorum may be out of reach
├── ConfigurationError      the members cannot be changed in this way; nothing was appended
├── CompactedError          the entry was compacted away: only a snapshot has its effect
├── UnavailableError        the entry is not in the log (yet)
└── InvariantViolationError a safety rule of Raft does not hold: always a defect, never a fault
"""

from __future__ import annotations


class RaftError(Exception):
    """Base of all errors of this package."""


class ProposalDroppedError(RaftError):
    """There is no leader, leadership is moving, or too much is uncommitted already."""


class UncommittedLimitError(ProposalDroppedError):
    """The leader holds as many uncommitted bytes as it may (`RaftConfig.max_uncommitted_bytes`)."""


class ConfigurationError(RaftError):
    """No voter would be left, two voters would change at once, and the like."""


class CompactedError(RaftError):
    """The log no longer holds the asked index."""


class UnavailableError(RaftError):
    """The log does not hold the asked index yet."""


class InvariantViolationError(RaftError):
    """A safety property of Raft (figure 3 of the paper) was seen broken."""

    def __init__(self, check: str, message: str) -> None:
        super().__init__(f"{check}: {message}")
        self.check = check
