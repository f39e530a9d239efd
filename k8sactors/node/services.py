"""What a pod worker needs of its kubelet, as a Protocol: workers are tested without one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from k8sactors.node.cri import CRI
from k8sactors.node.engine import Clock

if TYPE_CHECKING:
    from k8sactors.node.pod_worker import PodWorker


class NodeServices(Protocol):
    """The kubelet, as its pod workers see it."""

    clock: Clock
    cri: CRI
    host_ip: str
    network_ready: bool
    local_images: dict[str, str]  # images known to be on the node, with their identities

    def record_event(self, pod: Mapping[str, Any], kind: str, reason: str, message: str) -> None:
        """Tell the users something about a pod; kind is Normal or Warning."""
        ...

    def require_objects(
        self,
        namespace: str,
        references: Iterable[tuple[str, str]],
        on_done: Callable[[str], None],
    ) -> None:
        """Look for ConfigMaps and Secrets (resource, name); the answer is "" or what is wrong."""
        ...

    def status_changed(self, worker: PodWorker) -> None:
        """The pod's status has to be computed and reported."""
        ...

    def worker_ended(self, worker: PodWorker) -> None:
        """Nothing of the pod runs any more, and its end was asked for."""
        ...
