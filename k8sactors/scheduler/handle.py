"""What plugins may reach: the cache, the queue's nominations, and the way to the API server."""

from collections.abc import Callable
from typing import Any, Protocol

import attrs

from k8sactors.scheduler.cache import Cache
from k8sactors.scheduler.framework.status import Status
from k8sactors.scheduler.nominations import Nominations
from k8sactors.scheduler.podinfo import PodInfo
from k8sactors.scheduler.waiting import WaitingPods

__all__ = ["ApiAccess", "Handle"]


class ApiAccess(Protocol):
    """The writes that plugins need; answers come through callbacks."""

    def bind(self, pod: PodInfo, node_name: str, done: Callable[[Status | None], None]) -> None:
        """POST the binding."""

    def delete_pod(self, pod: PodInfo, message: str) -> None:
        """Delete a victim of preemption gracefully, and say why in its status and in an event."""


@attrs.define
class Handle:
    """Given to every plugin factory."""

    cache: Cache
    api: ApiAccess | None = None
    """None where nothing is ever bound: in tests and explanations."""
    nominations: Nominations = attrs.Factory(Nominations)
    waiting: WaitingPods = attrs.Factory(WaitingPods)
    extras: dict[str, Any] = attrs.Factory(dict)
    """For user plugins: whatever the embedding program wants to pass in."""
