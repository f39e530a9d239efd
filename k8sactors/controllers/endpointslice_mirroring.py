"""EndpointSlice mirroring: Endpoints that a user wrote, as the slices that proxies read.

Only Endpoints of a Service without a selector are mirrored; those of the others are made by a
controller, which makes slices as well. Source: documentation of EndpointSlices, "Mirroring".
"""

from __future__ import annotations

from typing import Any, Final

from k8sactors.api.errors import StatusError
from k8sactors.api.meta import owner_reference
from k8sactors.client import is_not_found, object_key
from k8sactors.controllers.machinery.api_errors import is_namespace_terminating
from k8sactors.controllers.machinery.controller import Controller, ManagerContext, Object
from k8sactors.controllers.machinery.controller_ref_manager import labels_of

SLICES: Final = "endpointslices.discovery.k8s.io"
SERVICE_LABEL: Final = "kubernetes.io/service-name"
MANAGED_BY_LABEL: Final = "endpointslice.kubernetes.io/managed-by"
MANAGED_BY: Final = "endpointslicemirroring-controller.k8s.io"
SKIP_LABEL: Final = "endpointslice.kubernetes.io/skip-mirror"
LEADER_ANNOTATION: Final = "control-plane.alpha.kubernetes.io/leader"
MAX_ENDPOINTS: Final = 1_000
_NOT_COPIED: Final = frozenset(
    {
        "kubectl.kubernetes.io/last-applied-configuration",
        "endpoints.kubernetes.io/last-change-trigger-time",
    }
)
_INDEX: Final = "mirrored endpoints"


def _mirrored(each: Object) -> str | None:
    labels = labels_of(each)
    if labels.get(MANAGED_BY_LABEL) != MANAGED_BY or SERVICE_LABEL not in labels:
        return None
    return f"{each['metadata']['namespace']}/{labels[SERVICE_LABEL]}"


def _endpoint(address: Object, *, ready: bool) -> Object:
    endpoint: Object = {"addresses": [address["ip"]], "conditions": {"ready": ready}}
    for field in ("hostname", "nodeName", "targetRef"):
        if field in address:
            endpoint[field] = address[field]
    return endpoint


def slices_of(endpoints: Object) -> list[Object]:
    """The slices that say the same: one for each subset and address family."""
    metadata = endpoints["metadata"]
    labels = {
        **labels_of(endpoints),
        SERVICE_LABEL: metadata["name"],
        MANAGED_BY_LABEL: MANAGED_BY,
    }
    annotations = metadata.get("annotations") or {}
    kept = {name: value for name, value in annotations.items() if name not in _NOT_COPIED}
    slices = []
    for subset in endpoints.get("subsets") or ():
        found = [_endpoint(each, ready=True) for each in subset.get("addresses") or ()]
        found += [_endpoint(each, ready=False) for each in subset.get("notReadyAddresses") or ()]
        for family in ("IPv4", "IPv6"):
            of_family = [
                each for each in found if (":" in each["addresses"][0]) == (family == "IPv6")
            ]
            if not of_family:
                continue
            body: Object = {
                "apiVersion": "discovery.k8s.io/v1",
                "kind": "EndpointSlice",
                "metadata": {
                    "generateName": f"{metadata['name']}-",
                    "namespace": metadata["namespace"],
                    "labels": labels,
                    "ownerReferences": [owner_reference(endpoints)],
                },
                "addressType": family,
                "ports": subset.get("ports") or [],
                "endpoints": of_family[:MAX_ENDPOINTS],
            }
            if kept:
                body["metadata"]["annotations"] = kept
            slices.append(body)
    return slices


def _content(each: Object) -> tuple[Any, ...]:
    metadata = each["metadata"]
    return (
        each.get("endpoints") or [],
        each.get("ports") or [],
        labels_of(each),
        metadata.get("annotations") or {},
    )


class EndpointSliceMirroring(Controller):
    """Reconciles Endpoints."""

    name = "endpointslice-mirroring-controller"
    aliases = ("endpointslicemirroring",)
    service_account = "endpointslicemirroring-controller"

    def __init__(self, manager: ManagerContext) -> None:
        super().__init__(manager)
        self._services = self.informer("services")
        self._services.add_handler(
            on_add=self.enqueue, on_update=self._service_updated, on_delete=self.enqueue
        )
        self._endpoints = self.informer("endpoints")
        self._endpoints.add_handler(
            on_add=self._endpoints_changed,
            on_update=lambda _old, new: self._endpoints_changed(new),
            on_delete=self._endpoints_changed,
        )
        self._slices = self.informer(SLICES)
        self._slices.add_index(_INDEX, _mirrored)
        self._slices.add_handler(on_delete=self._slice_deleted)

    def _service_updated(self, old: Object, new: Object) -> None:
        if bool(old["spec"].get("selector")) != bool(new["spec"].get("selector")):
            self.enqueue(new)

    def _endpoints_changed(self, endpoints: Object) -> None:
        service = self._services.lister.get_by_key(object_key(endpoints))
        if service is None or not service["spec"].get("selector"):
            self.enqueue(endpoints)

    def _slice_deleted(self, each: Object) -> None:
        key = _mirrored(each)
        if key is not None:
            self.queue.add(key)

    async def reconcile(self, key: str) -> None:
        """Make the slices of one Endpoints object what it says."""
        wanted = self._wanted(key)
        existing = list(self._slices.by_index(_INDEX, key))
        for body in wanted:
            same = [each for each in existing if _is_about_the_same(each, body)]
            if not same:
                await self._create(body)
                continue
            existing.remove(same[0])
            if _content(same[0]) != _content(body):
                metadata = {**same[0]["metadata"], **body["metadata"]}
                await self.client.update(SLICES, {**body, "metadata": metadata})
        for each in existing:
            await self._delete(each)

    def _wanted(self, key: str) -> list[Object]:
        service = self._services.lister.get_by_key(key)
        endpoints = self._endpoints.lister.get_by_key(key)
        if service is None or service["spec"].get("selector") or endpoints is None:
            return []
        annotations = endpoints["metadata"].get("annotations") or {}
        if labels_of(endpoints).get(SKIP_LABEL) == "true" or LEADER_ANNOTATION in annotations:
            return []
        return slices_of(endpoints)

    async def _create(self, body: Object) -> None:
        try:
            await self.client.create(SLICES, body)
        except StatusError as error:
            if not is_namespace_terminating(error):
                raise

    async def _delete(self, each: Object) -> None:
        metadata = each["metadata"]
        try:
            await self.client.delete(SLICES, metadata["name"], metadata["namespace"])
        except StatusError as error:
            if not is_not_found(error):
                raise


def _is_about_the_same(each: Object, body: Object) -> bool:
    return bool(
        each.get("addressType") == body["addressType"]
        and (each.get("ports") or []) == body["ports"]
    )
