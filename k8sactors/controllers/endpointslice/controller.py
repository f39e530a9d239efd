"""EndpointSlice controller: for each Service with a selector, its endpoints in slices of 100.

Other than Endpoints, slices also list pods that are being terminated, with the conditions ready,
serving and terminating, so that a proxy may still use them when nothing else is left (KEP-1672).
"""

from __future__ import annotations

from typing import Any

import attrs

from k8sactors.api.errors import StatusError
from k8sactors.api.meta import owner_reference
from k8sactors.client import is_not_found
from k8sactors.controllers.endpointslice.plan import SlicePlan, endpoint_key, fit, ports_key
from k8sactors.controllers.errors import StaleCacheError
from k8sactors.controllers.machinery.api_errors import is_namespace_terminating
from k8sactors.controllers.machinery.controller import Controller, ManagerContext, Object
from k8sactors.controllers.machinery.controller_ref_manager import labels_of
from k8sactors.controllers.machinery.options import ControllerOptions
from k8sactors.controllers.machinery.pods import is_ready
from k8sactors.controllers.machinery.service_pods import (
    PodFollower,
    addresses_of,
    endpoint_labels,
    has_address,
    has_endpoints,
    hostname_of,
    pods_of,
    ports_of,
    target_reference,
)

SLICES = "endpointslices.discovery.k8s.io"
SERVICE_INDEX = "service"
SERVICE_LABEL = "kubernetes.io/service-name"
MANAGED_BY_LABEL = "endpointslice.kubernetes.io/managed-by"
MANAGED_BY = "endpointslice-controller.k8s.io"
ZONE_LABEL = "topology.kubernetes.io/zone"
DELETED = -1
# A slice that was created and removed by others unseen would never show up: give up waiting.
MAX_STALE_TRIES = 12


def _service_of(each: Object) -> str | None:
    labels = labels_of(each)
    if labels.get(MANAGED_BY_LABEL) != MANAGED_BY or SERVICE_LABEL not in labels:
        return None
    return f"{each['metadata']['namespace']}/{labels[SERVICE_LABEL]}"


def _version(obj: Object) -> int:
    return int(obj["metadata"]["resourceVersion"])


@attrs.frozen
class EndpointSliceOptions(ControllerOptions):
    """How many keys are reconciled at the same time."""

    concurrent_service_endpoint_syncs: int = 5


class EndpointSliceController(Controller):
    """Keeps the EndpointSlices of Services."""

    name = "endpointslice-controller"
    aliases = ("endpointslice",)
    options_type = EndpointSliceOptions
    options: EndpointSliceOptions

    def __init__(self, manager: ManagerContext) -> None:
        super().__init__(manager)
        self.workers = self.options.concurrent_service_endpoint_syncs
        self._services = self.watch_own("services")
        self._nodes = self.informer("nodes")
        self._slices = self.informer(SLICES)
        self._slices.add_index(SERVICE_INDEX, _service_of)
        self._slices.add_handler(
            on_add=self._slice_changed,
            on_update=lambda _old, new: self._slice_changed(new),
            on_delete=self._slice_deleted,
        )
        self._pods = self.informer("pods")
        PodFollower(self._pods, self._services, self.queue.add)
        # What was written and must come back before the cache may be trusted: version by name.
        self._written: dict[str, dict[str, int]] = {}

    # --- events

    def _slice_changed(self, each: Object) -> None:
        key = _service_of(each)
        if key is not None:
            seen = self._written.get(key, {}).get(each["metadata"]["name"], 0)
            if _version(each) > seen:
                self.queue.add(key)

    def _slice_deleted(self, each: Object) -> None:
        key = _service_of(each)
        if key is None:
            return
        if self._written.get(key, {}).pop(each["metadata"]["name"], 0) != DELETED:
            self.queue.add(key)

    def _cache_shows(self, key: str) -> bool:
        """Whether the informer has seen everything that this controller wrote for the Service."""
        written = self._written.get(key)
        if not written:
            return True
        namespace = key.partition("/")[0]
        for name, version in list(written.items()):
            cached = self._slices.lister.get(namespace, name)
            if version == DELETED:
                if cached is not None:
                    return False
            elif cached is None or _version(cached) < version:
                return False
        return True

    # --- reconciliation

    async def reconcile(self, key: str) -> None:
        """Write the slices of one Service, if they are not what they should be."""
        service = self._services.lister.get_by_key(key)
        if service is None:
            self._written.pop(key, None)  # the slices go with their owner
            return
        if not has_endpoints(service):
            return
        if not self._cache_shows(key):
            # Acting on an old cache would create slices twice.
            if self.queue.failures(key) >= MAX_STALE_TRIES:
                self._written.pop(key)
            raise StaleCacheError(key)
        existing = [
            each
            for each in self._slices.by_index(SERVICE_INDEX, key)
            if "deletionTimestamp" not in each["metadata"]
        ]
        plan = SlicePlan()
        for family in service["spec"].get("ipFamilies") or ["IPv4"]:
            same_family = [each for each in existing if each.get("addressType") == family]
            self._plan_family(service, family, same_family, plan)
        await self._carry_out(key, plan)

    def _plan_family(
        self, service: Object, family: str, existing: list[Object], total: SlicePlan
    ) -> None:
        groups: dict[tuple[Any, ...], list[Object]] = {}
        desired: dict[tuple[Any, ...], dict[tuple[Any, ...], Object]] = {}
        ports: dict[tuple[Any, ...], list[Object]] = {}
        for each in existing:
            groups.setdefault(ports_key(each.get("ports")), []).append(each)
        for pod in pods_of(service, self._pods):
            if not has_address(pod, include_terminating=True):
                continue
            address = _address_of(pod, family)
            if address is None:
                continue
            offered = ports_of(service, pod, keep_empty_name=True)
            group = ports_key(offered)
            ports[group] = offered
            endpoint = self._endpoint(pod, service, address)
            desired.setdefault(group, {})[endpoint_key(endpoint)] = endpoint
        plan = SlicePlan()
        unneeded = {group: found for group, found in groups.items() if group not in desired}
        for found in unneeded.values():
            plan.delete.extend(found)
        for group, endpoints in desired.items():
            base = self._base(service, family, ports[group])
            fit(groups.get(group, []), endpoints, base, plan)
        if not plan.create and len(plan.delete) == len(existing):
            self._keep_placeholder(service, family, plan)
        plan.reuse()
        total.create.extend(plan.create)
        total.update.extend(plan.update)
        total.delete.extend(plan.delete)

    def _keep_placeholder(self, service: Object, family: str, plan: SlicePlan) -> None:
        """A Service without endpoints has one empty slice, so that its readers know."""
        base = self._base(service, family, [])
        for each in plan.delete:
            if not each.get("endpoints") and not each.get("ports"):
                plan.delete.remove(each)
                if labels_of(each) != base["metadata"]["labels"]:
                    metadata = {**each["metadata"], "labels": base["metadata"]["labels"]}
                    plan.update.append({**each, "metadata": metadata})
                return
        plan.create.append({**base, "endpoints": []})

    def _base(self, service: Object, family: str, ports: list[Object]) -> Object:
        metadata = service["metadata"]
        labels = endpoint_labels(service)
        labels[SERVICE_LABEL] = metadata["name"]
        labels[MANAGED_BY_LABEL] = MANAGED_BY
        return {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {
                "generateName": f"{metadata['name']}-",
                "namespace": metadata["namespace"],
                "labels": labels,
                "ownerReferences": [owner_reference(service)],
            },
            "addressType": family,
            "ports": ports,
        }

    def _endpoint(self, pod: Object, service: Object, address: str) -> Object:
        serving = is_ready(pod)
        terminating = "deletionTimestamp" in pod["metadata"]
        tolerant = bool(service["spec"].get("publishNotReadyAddresses"))
        endpoint: Object = {
            "addresses": [address],
            "conditions": {
                "ready": tolerant or (serving and not terminating),
                "serving": serving,
                "terminating": terminating,
            },
            "targetRef": target_reference(pod),
        }
        hostname = hostname_of(pod, service)
        if hostname:
            endpoint["hostname"] = hostname
        node_name = pod["spec"].get("nodeName")
        if node_name:
            endpoint["nodeName"] = node_name
            node = self._nodes.lister.get(None, node_name)
            zone = labels_of(node).get(ZONE_LABEL) if node else None
            if zone:
                endpoint["zone"] = zone
        return endpoint

    async def _carry_out(self, key: str, plan: SlicePlan) -> None:
        written = self._written.setdefault(key, {})
        for body in plan.create:
            try:
                created = await self.client.create(SLICES, body)
            except StatusError as error:
                if is_namespace_terminating(error):
                    return
                raise
            written[created["metadata"]["name"]] = _version(created)
        for body in plan.update:
            updated = await self.client.update(SLICES, body)
            written[updated["metadata"]["name"]] = _version(updated)
        for each in plan.delete:
            metadata = each["metadata"]
            written[metadata["name"]] = DELETED
            try:
                await self.client.delete(SLICES, metadata["name"], metadata["namespace"])
            except StatusError as error:
                if not is_not_found(error):
                    written.pop(metadata["name"], None)
                    raise


def _address_of(pod: Object, family: str) -> str | None:
    for address in addresses_of(pod):
        if (":" in address) == (family == "IPv6"):
            return address
    return None
