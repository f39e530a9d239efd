"""ResourceQuota controller: takes over the limits of quotas and counts what is used.

Admission only adds to a usage. It goes down when this controller counts again: after a deletion,
after a pod has ended, when a quota changes, and now and then in any case. It reads the objects from
the server after the quota, and writes only if the quota has not changed meanwhile: an object that
was charged after the quota was read is never forgotten.
"""

from __future__ import annotations

from typing import Any, Final

import attrs

from k8sactors.api import quota as quotas
from k8sactors.api.errors import StatusError
from k8sactors.client import is_not_found
from k8sactors.controllers.machinery.controller import Controller, ManagerContext, Object
from k8sactors.controllers.machinery.options import ControllerOptions
from k8sactors.simulation import MILLISECOND, SECOND

QUOTAS: Final = "resourcequotas"
# Deletions that come together are counted together.
_GATHER_NS: Final = 50 * MILLISECOND
_UNCOUNTED: Final = frozenset({"events"})


@attrs.frozen
class ResourceQuotaOptions(ControllerOptions):
    """How often quotas are counted without a reason."""

    resource_quota_sync_period_ns: int = 300 * SECOND


class ResourceQuotaController(Controller):
    """Reconciles quotas."""

    name = "resourcequota-controller"
    aliases = ("resourcequota",)
    component = "resourcequota-controller"
    options_type = ResourceQuotaOptions
    options: ResourceQuotaOptions

    def __init__(self, manager: ManagerContext) -> None:
        super().__init__(manager)
        self._quotas = self.informer(QUOTAS)
        self._quotas.add_handler(
            on_add=self.enqueue, on_update=self._quota_changed, on_delete=lambda _quota: None
        )
        for info in manager.scheme.stored():
            if info.namespaced and info.plural not in _UNCOUNTED:
                self._watch(info.storage_name)

    def _watch(self, resource: str) -> None:
        def removed(obj: Object) -> None:
            self._used_less(resource, obj)

        def changed(old: Object, new: Object) -> None:
            if _ended(new) and not _ended(old):
                self._used_less(resource, new)

        def respecified(old: Object, new: Object) -> None:
            if old.get("spec") != new.get("spec"):
                self._used_less(resource, new)

        informer = self.informer(resource)
        if resource == quotas.PODS:
            informer.add_handler(on_update=changed, on_delete=removed)
        elif resource in {quotas.SERVICES, quotas.CLAIMS}:
            informer.add_handler(on_update=respecified, on_delete=removed)
        else:
            informer.add_handler(on_delete=removed)

    def _quota_changed(self, old: Object, new: Object) -> None:
        if old.get("spec") != new.get("spec"):
            self.enqueue(new)

    def _used_less(self, resource: str, obj: Object) -> None:
        namespace = obj["metadata"]["namespace"]
        for quota in self._quotas.lister.list(namespace):
            if quotas.tracked(resource, (quota.get("spec") or {}).get("hard") or ()):
                self.queue.add_after(f"{namespace}/{quota['metadata']['name']}", _GATHER_NS)

    def start(self) -> None:
        """Begin to work, and to count again now and then."""
        super().start()
        self.run_every(self.options.resource_quota_sync_period_ns, self._resync)

    async def _resync(self) -> None:
        for quota in self._quotas.lister.list():
            self.enqueue(quota)

    async def reconcile(self, key: str) -> None:
        """Count for one quota."""
        namespace, _, name = key.partition("/")
        # From the server, as an informer may not show the last charge yet; its role lets it list,
        # not get.
        found = await self.client.list(QUOTAS, namespace, fieldSelector=f"metadata.name={name}")
        if not found["items"]:
            return
        quota = {"apiVersion": "v1", "kind": "ResourceQuota", **found["items"][0]}
        hard = quotas.parse((quota.get("spec") or {}).get("hard"))
        used = quotas.zero(hard, {})
        for resource in quotas.counted_resources(hard):
            used = quotas.add(used, await self._count(quota, resource, namespace, list(hard)))
        status: dict[str, Any] = {}
        if hard:
            status = {"hard": quotas.texts(hard), "used": quotas.texts(used)}
        if status != (quota.get("status") or {}):
            await self.client.update(QUOTAS, {**quota, "status": status}, subresource="status")

    async def _count(
        self, quota: Object, resource: str, namespace: str, names: list[str]
    ) -> quotas.Amounts:
        """What the objects of a resource use up."""
        counted = quotas.tracked(resource, names)
        try:
            found = await self.client.list(resource, namespace)
        except StatusError as error:
            if is_not_found(error):
                return {}  # nothing of that name is served: none are there
            raise
        total: quotas.Amounts = {}
        for obj in found["items"]:
            if quotas.matches(quota, resource, obj):
                own = quotas.usage(resource, obj, self.ctx.wall_ns())
                total = quotas.add(total, {name: own[name] for name in counted if name in own})
        return total


def _ended(pod: Object) -> bool:
    return (pod.get("status") or {}).get("phase") in {"Succeeded", "Failed"}
