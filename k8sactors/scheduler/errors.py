"""What can go wrong in the scheduler.

SchedulerError
├── ConfigurationError        a profile names an unknown plugin, or its plugins cannot work together
├── CacheError                the cache was told something that contradicts what it knows
└── UnschedulableError        this pod cannot be placed now
    ├── NoNodesAvailableError     the cluster has no node at all
    └── FitError                  every node was refused (see diagnosis.py)
"""

from __future__ import annotations

__all__ = [
    "CacheError",
    "ConfigurationError",
    "NoNodesAvailableError",
    "SchedulerError",
    "UnschedulableError",
]


class SchedulerError(Exception):
    """Root of the scheduler's errors."""


class ConfigurationError(SchedulerError):
    """A profile names an unknown plugin, or its plugins cannot work together."""


class CacheError(SchedulerError):
    """The cache was told something that contradicts what it knows."""


class UnschedulableError(SchedulerError):
    """The pod cannot be placed now; the message is what its condition and event say."""


class NoNodesAvailableError(UnschedulableError):
    """The cluster has no node at all."""

    def __init__(self) -> None:
        super().__init__("no nodes available to schedule pods")
