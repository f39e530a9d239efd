"""Errors of building and running a cluster.

ClusterError
├── DataDirectoryError      the directory for the state of a served cluster cannot be used
├── ImpossibleClusterError  the specification contradicts itself; `problems` lists every reason
├── NotReadyError           the cluster did not come up in the time allowed
├── NotServedError          the cluster cannot be served over HTTP here
└── WaitTimeoutError        what was waited for did not happen in the time allowed
"""

from __future__ import annotations

from collections.abc import Sequence

# A message names this many of many things.
NAMED_IN_MESSAGE = 5


def few_of(items: Sequence[str], separator: str = ", ") -> str:
    """The first of many names or reasons, and how many more there are."""
    text = separator.join(items[:NAMED_IN_MESSAGE])
    more = len(items) - NAMED_IN_MESSAGE
    return f"{text} and {more} more" if more > 0 else text


class ClusterError(Exception):
    """Root of the cluster's errors."""


class DataDirectoryError(ClusterError):
    """It is in use, holds something else, or cannot be read or written."""


class ImpossibleClusterError(ClusterError):
    """The specification describes a cluster that cannot exist."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = list(problems)
        super().__init__("this cluster cannot be built: " + few_of(self.problems, "; "))


class NotReadyError(ClusterError):
    """The control plane or the nodes did not become ready in time."""


class NotServedError(ClusterError):
    """Its time is virtual, or packages that serving needs are not installed."""


class WaitTimeoutError(ClusterError):
    """A condition did not come true within its limit of virtual time."""
