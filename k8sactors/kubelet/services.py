"""What the parts of a kubelet need of each other, as Protocols: each is tested by itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

from k8sactors.kubelet import pod_spec
from k8sactors.kubelet.volumes import VolumeManager
from k8sactors.runtime.cri import CRI
from k8sactors.simulation import Clock


class ReportedPod(Protocol):
    """A pod on the node, as far as the kubelet reports it."""

    @property
    def uid(self) -> str:
        """The pod's uid."""
        ...

    @property
    def pod(self) -> pod_spec.Pod:
        """The object as last seen."""
        ...

    @property
    def over(self) -> bool:
        """Whether nothing of the pod runs any more, for good."""
        ...

    @property
    def failure(self) -> tuple[str, str] | None:
        """Reason and message if the node has ended the pod by itself."""
        ...

    def status(self) -> dict[str, Any]:
        """The pod's status now."""
        ...


class NodeServices(Protocol):
    """The kubelet, as its pod workers see it."""

    clock: Clock
    cri: CRI
    volumes: VolumeManager
    host_ip: str
    network_ready: bool
    # Images known to be on the node, with their identities.
    local_images: dict[str, str]

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

    def object_data(self, namespace: str, resource: str, name: str) -> Mapping[str, str]:
        """The data of a ConfigMap or Secret that was looked for; empty if it was not found."""
        ...

    def resize(self, worker: ReportedPod) -> tuple[str, str] | None:
        """Give a pod what it asks for now; reason and message if that is not possible (now)."""
        ...

    def status_changed(self, worker: ReportedPod) -> None:
        """The pod's status has to be computed and reported."""
        ...

    def worker_ended(self, worker: ReportedPod) -> None:
        """Nothing of the pod runs any more, and its end was asked for."""
        ...
