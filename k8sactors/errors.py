"""Errors of building and running a cluster.

ClusterError
├── ImpossibleClusterError  the specification contradicts itself; `problems` lists every reason
├── NotReadyError           the cluster did not come up in the time allowed
├── StoreUnreachableError   a store that is no part of the cluster cannot be used
└── WaitTimeoutError        what was waited for did not happen in the time allowed
"""

from collections.abc import Sequence


class ClusterError(Exception):
    """Root of the cluster's errors."""


class ImpossibleClusterError(ClusterError):
    """The specification describes a cluster that cannot exist."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = list(problems)
        super().__init__("this cluster cannot be built: " + "; ".join(self.problems))


class NotReadyError(ClusterError):
    """The control plane or the nodes did not become ready in time."""


class StoreUnreachableError(ClusterError):
    """A real store does not answer, or holds another cluster; the message says what to do."""


class WaitTimeoutError(ClusterError):
    """A condition did not come true within its limit of virtual time."""
