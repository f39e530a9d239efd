"""Endpoints controller: for each Service with a selector, one Endpoints object with all addresses.

Ready pods stand under `addresses`, others under `notReadyAddresses`; pods that offer different port
numbers for the same port name come in subsets of their own.
"""

from __future__ import annotations

from typing import Any

import attrs

from k8sactors.api.errors import StatusError
from k8sactors.api.meta import split_key
from k8sactors.client import is_not_found
from k8sactors.controllers.machinery.api_errors import is_namespace_terminating
from k8sactors.controllers.machinery.controller import Controller, ManagerContext, Object
from k8sactors.controllers.machinery.options import ControllerOptions
from k8sactors.controllers.machinery.pods import is_ready
from k8sactors.controllers.machinery.service_pods import (
    PodFollower,
    endpoint_labels,
    has_address,
    has_endpoints,
    hostname_of,
    is_headless,
    pods_of,
    ports_of,
    target_reference,
)

MAX_ADDRESSES = 1000
OVER_CAPACITY = "endpoints.kubernetes.io/over-capacity"


@attrs.frozen
class EndpointsOptions(ControllerOptions):
    """How many keys are reconciled at the same time."""

    concurrent_endpoint_syncs: int = 5


class EndpointsController(Controller):
    """Keeps the Endpoints of Services."""

    name = "endpoints-controller"
    aliases = ("endpoint",)
    service_account = "endpoint-controller"
    options_type = EndpointsOptions
    options: EndpointsOptions
    component = "endpoint-controller"

    def __init__(self, manager: ManagerContext) -> None:
        super().__init__(manager)
        self.workers = self.options.concurrent_endpoint_syncs
        self._services = self.watch_own("services")
        self._endpoints = self.informer("endpoints")
        self._endpoints.add_handler(on_delete=self.enqueue)
        self._pods = self.informer("pods")
        PodFollower(self._pods, self._services, self.queue.add)

    def start(self) -> None:
        """Also look at Endpoints whose Service went away while no manager led."""
        for each in self._endpoints.lister.list():
            self.enqueue(each)
        super().start()

    async def reconcile(self, key: str) -> None:
        """Write the Endpoints of one Service, if they are not what they should be."""
        service = self._services.lister.get_by_key(key)
        current = self._endpoints.lister.get_by_key(key)
        if service is None:
            if current is not None and not _is_foreign(current):
                await self._remove(key)
            return
        if not has_endpoints(service):
            return
        wanted = self._wanted(service, current)
        if current is None:
            await self._write("create", service, wanted)
        elif (
            current.get("subsets") != wanted.get("subsets")
            or (current["metadata"].get("labels") or {}) != wanted["metadata"]["labels"]
            or (current["metadata"].get("annotations") or {}) != wanted["metadata"]["annotations"]
        ):
            await self._write("update", service, wanted)

    async def _remove(self, key: str) -> None:
        namespace, name = split_key(key)
        try:
            await self.client.delete("endpoints", name, namespace)
        except StatusError as error:
            if not is_not_found(error):
                raise

    async def _write(self, verb: str, service: Object, wanted: Object) -> None:
        metadata = service["metadata"]
        try:
            if verb == "create":
                await self.client.create("endpoints", wanted)
            else:
                await self.client.update("endpoints", wanted)
        except StatusError as error:
            if is_namespace_terminating(error):
                return
            what = f"{metadata['namespace']}/{metadata['name']}: {error.message}"
            reason = f"FailedTo{verb.capitalize()}Endpoint"
            self.recorder.event(
                service, "Warning", reason, f"Failed to {verb} endpoint for service {what}"
            )
            raise

    def _wanted(self, service: Object, current: Object | None) -> Object:
        metadata = service["metadata"]
        labels = endpoint_labels(service)
        subsets, truncated = self._subsets(service)
        base = current["metadata"] if current else _new_metadata(metadata)
        annotations = dict(base.get("annotations") or {})
        annotations.pop(OVER_CAPACITY, None)
        if truncated:
            annotations[OVER_CAPACITY] = "truncated"
        wanted: Object = {
            "apiVersion": "v1",
            "kind": "Endpoints",
            "metadata": {**base, "labels": labels, "annotations": annotations},
        }
        if subsets:
            wanted["subsets"] = subsets
        return wanted

    def _subsets(self, service: Object) -> tuple[list[Object], bool]:
        tolerate_unready = bool(service["spec"].get("publishNotReadyAddresses"))
        groups: dict[tuple[Any, ...], Object] = {}
        listed = 0
        truncated = False
        for pod in pods_of(service, self._pods):
            if not has_address(pod, include_terminating=tolerate_unready):
                continue
            ports = ports_of(service, pod, keep_empty_name=False)
            if not ports and not (is_headless(service) and not service["spec"].get("ports")):
                continue
            if listed == MAX_ADDRESSES:
                truncated = True
                break
            listed += 1
            key = tuple((p.get("name", ""), p["port"], p["protocol"]) for p in ports)
            group = groups.setdefault(key, {"ports": ports, "ready": [], "unready": []})
            up = tolerate_unready or is_ready(pod)
            group["ready" if up else "unready"].append(_address(pod, service))
        return [_subset(group) for _, group in sorted(groups.items())], truncated


def _subset(group: Object) -> Object:
    subset = {
        "addresses": sorted(group["ready"], key=_by_ip),
        "notReadyAddresses": sorted(group["unready"], key=_by_ip),
        "ports": group["ports"],
    }
    return {name: value for name, value in subset.items() if value}


def _by_ip(address: Object) -> tuple[tuple[int, str], ...]:
    return tuple((len(part), part) for part in address["ip"].split("."))


def _address(pod: Object, service: Object) -> Object:
    address: Object = {"ip": pod["status"]["podIP"]}
    hostname = hostname_of(pod, service)
    if hostname:
        address["hostname"] = hostname
    if pod["spec"].get("nodeName"):
        address["nodeName"] = pod["spec"]["nodeName"]
    address["targetRef"] = target_reference(pod)
    return address


def _new_metadata(service_metadata: Object) -> Object:
    return {"name": service_metadata["name"], "namespace": service_metadata["namespace"]}


def _is_foreign(endpoints: Object) -> bool:
    # Old leader election kept its record in an Endpoints object without a Service.
    annotations = endpoints["metadata"].get("annotations") or {}
    return "control-plane.alpha.kubernetes.io/leader" in annotations
