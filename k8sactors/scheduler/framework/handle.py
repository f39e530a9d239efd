"""What plugins may reach: cache, nominations, held pods, listers, and the way to the API server."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import attrs

from k8sactors.client import InformerFactory, Lister
from k8sactors.scheduler.cache import Cache
from k8sactors.scheduler.errors import ConfigurationError
from k8sactors.scheduler.framework.status import Status
from k8sactors.scheduler.framework.waiting_pods import WaitingPods
from k8sactors.scheduler.nominations import Nominations
from k8sactors.scheduler.podinfo import PodInfo

__all__ = ["ApiAccess", "Handle"]


class ApiAccess(Protocol):
    """The writes that plugins need; answers come through callbacks."""

    def bind(self, pod: PodInfo, node_name: str, done: Callable[[Status | None], None]) -> None:
        """POST the binding."""

    def evict(self, victim: PodInfo, message: str, failed: Callable[[], None]) -> None:
        """Delete a victim of preemption gracefully, and say why in its status and in an event."""

    def change(
        self,
        resource: str,
        obj: dict[str, Any],
        patch: dict[str, Any],
        done: Callable[[Status | None], None],
    ) -> None:
        """Change an object of any resource by a merge patch, unless it has changed since `obj`."""


def _no_queue(_pod: PodInfo) -> None:
    """Without a scheduling queue no pod waits for another attempt."""


def _no_timers(_delay_ns: int, _callback: Callable[[], None], /) -> object:
    """Without a scheduler no time passes."""
    return None


@attrs.define
class Handle:
    """Given to every plugin when it is built."""

    cache: Cache
    # None where nothing is ever written: in tests and explanations.
    api: ApiAccess | None = None
    # None where there is no API server to follow.
    informers: InformerFactory | None = None
    # Tries a pod again that was found unschedulable, as soon as its back-off allows.
    retry: Callable[[PodInfo], None] = _no_queue
    # Runs a callback in the scheduler's turn after so many nanoseconds.
    after: Callable[[int, Callable[[], None]], object] = _no_timers
    nominations: Nominations = attrs.Factory(Nominations)
    waiting: WaitingPods = attrs.Factory(WaitingPods)

    def lister(self, resource: str) -> Lister:
        """The objects of a resource, `persistentvolumeclaims` for instance, read from memory.

        The scheduler follows the resource from then on and places no pod before the first full
        list has come, so a plugin asks for its listers when it is built.

        Raises:
            ConfigurationError: there is no API server to follow.
        """
        if self.informers is None:
            raise ConfigurationError(f"there is no API server to list {resource} from")
        informer = self.informers.informer(resource)
        informer.start()
        return informer.lister
