"""Which pods stand behind a Service, and at which addresses and ports.

Shared by the Endpoints and the EndpointSlice controller, which differ only in how they write the
answer down.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from k8sactors.client import SharedInformer, object_key
from k8sactors.controllers.machinery.controller_ref_manager import labels_of
from k8sactors.controllers.machinery.pods import is_finished, is_ready
from k8sactors.controllers.machinery.selector_index import (
    SELECTOR_INDEX,
    label_values,
    selector_value,
)

Object = dict[str, Any]
LABEL_INDEX = "label"
HEADLESS_LABEL = "service.kubernetes.io/headless"
NO_CLUSTER_IP = "None"


def selector_index(service: Object) -> str | None:
    """Index value of a Service that selects pods."""
    selector: dict[str, str] | None = service["spec"].get("selector")
    return selector_value(service["metadata"]["namespace"], selector) if selector else None


def has_endpoints(service: Object) -> bool:
    """Whether the controllers, and not the user, decide which endpoints the Service has."""
    spec = service["spec"]
    return bool(spec.get("selector")) and spec.get("type") != "ExternalName"


def is_headless(service: Object) -> bool:
    """Whether the Service has no address of its own."""
    return bool(service["spec"].get("clusterIP") == NO_CLUSTER_IP)


def endpoint_labels(service: Object) -> dict[str, str]:
    """The labels of the objects that list the Service's endpoints."""
    labels = dict(service["metadata"].get("labels") or {})
    labels.pop(HEADLESS_LABEL, None)
    if is_headless(service):
        labels[HEADLESS_LABEL] = ""
    return labels


def pods_of(service: Object, pods: SharedInformer) -> list[Object]:
    """The pods that the selector matches, by name."""
    namespace = service["metadata"]["namespace"]
    selector: dict[str, str] = service["spec"]["selector"]
    buckets = [
        pods.by_index(LABEL_INDEX, f"{namespace}/{key}={value}") for key, value in selector.items()
    ]
    wanted = selector.items()
    found = [pod for pod in min(buckets, key=len) if wanted <= labels_of(pod).items()]
    found.sort(key=lambda pod: pod["metadata"]["name"])
    return found


def has_address(pod: Object, *, include_terminating: bool) -> bool:
    """Whether the pod may be listed: it has an IP, has not ended, and is not about to."""
    if is_finished(pod) or not (pod.get("status") or {}).get("podIP"):
        return False
    return include_terminating or "deletionTimestamp" not in pod["metadata"]


def addresses_of(pod: Object) -> list[str]:
    """All IPs of the pod."""
    status = pod["status"]
    several = [each["ip"] for each in status.get("podIPs") or () if each.get("ip")]
    return several or [status["podIP"]]


def target_reference(pod: Object) -> Object:
    """The reference from an endpoint to its pod."""
    metadata = pod["metadata"]
    return {
        "kind": "Pod",
        "namespace": metadata["namespace"],
        "name": metadata["name"],
        "uid": metadata["uid"],
    }


def hostname_of(pod: Object, service: Object) -> str | None:
    """The name that DNS gives the pod within the Service's domain."""
    spec = pod["spec"]
    hostname: str | None = spec.get("hostname")
    return hostname if spec.get("subdomain") == service["metadata"]["name"] else None


def target_port(service_port: Object, pod: Object) -> int | None:
    """The pod's port number; None when a named port does not exist there."""
    target = service_port.get("targetPort") or service_port["port"]
    if isinstance(target, int):
        return target
    protocol = service_port.get("protocol", "TCP")
    spec = pod["spec"]
    sidecars = [
        each for each in spec.get("initContainers") or () if each.get("restartPolicy") == "Always"
    ]
    for container in [*spec["containers"], *sidecars]:
        for port in container.get("ports") or ():
            if port.get("name") == target and port.get("protocol", "TCP") == protocol:
                return int(port["containerPort"])
    return int(target) if target.isdigit() else None


def ports_of(service: Object, pod: Object, *, keep_empty_name: bool) -> list[Object]:
    """The endpoint ports that the pod offers for the Service."""
    ports = []
    for service_port in service["spec"].get("ports") or ():
        number = target_port(service_port, pod)
        if number is None:
            continue
        port: Object = {"port": number, "protocol": service_port.get("protocol", "TCP")}
        name = service_port.get("name") or ""
        if name or keep_empty_name:
            port["name"] = name
        if service_port.get("appProtocol"):
            port["appProtocol"] = service_port["appProtocol"]
        ports.append(port)
    return ports


def _what_matters(pod: Object) -> tuple[Any, ...]:
    spec = pod["spec"]
    status = pod.get("status") or {}
    return (
        status.get("podIP"),
        status.get("podIPs"),
        is_ready(pod),
        is_finished(pod),
        "deletionTimestamp" in pod["metadata"],
        spec.get("nodeName"),
        spec.get("hostname"),
        spec.get("subdomain"),
        labels_of(pod),
    )


class PodFollower:
    """Enqueues the Services that a pod's change concerns."""

    def __init__(
        self, pods: SharedInformer, services: SharedInformer, enqueue: Callable[[str], None]
    ) -> None:
        self._services = services
        self._enqueue = enqueue
        pods.add_index(LABEL_INDEX, label_values)
        services.add_index(SELECTOR_INDEX, selector_index)
        pods.add_handler(on_add=self._changed, on_update=self._updated, on_delete=self._changed)

    def _updated(self, old: Object, new: Object) -> None:
        if _what_matters(old) == _what_matters(new):
            return
        self._changed(new)
        if labels_of(old) != labels_of(new):
            self._changed(old)

    def _changed(self, pod: Object) -> None:
        labels = labels_of(pod).items()
        for value in label_values(pod):
            for service in self._services.by_index(SELECTOR_INDEX, value):
                if service["spec"]["selector"].items() <= labels:
                    self._enqueue(object_key(service))
