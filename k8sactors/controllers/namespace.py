"""Namespace controller: empties a namespace that is being deleted, then lets it go.

Pods go first, because others (their controllers, their volumes) wait for them. What has finalizers
or a grace period stays for a while; the controller comes back and says in the namespace's
conditions what is left. When nothing is, it removes its finalizer `kubernetes`, and the API server
removes the namespace.
"""

from __future__ import annotations

import attrs

from k8sactors.api.errors import StatusError
from k8sactors.api.meta import format_time
from k8sactors.client import is_not_found
from k8sactors.controllers.machinery.controller import Controller, ManagerContext, Object
from k8sactors.controllers.machinery.options import ControllerOptions
from k8sactors.simulation import SECOND

FINALIZER = "kubernetes"
FINALIZER_ESTIMATE_S = 15
PODS = "pods"


@attrs.define
class _Remaining:
    """What is left in a namespace."""

    objects: dict[str, int] = attrs.field(factory=dict)
    finalizers: dict[str, int] = attrs.field(factory=dict)
    estimate_s: int = 0
    errors: list[str] = attrs.field(factory=list)

    def count(self, resource: str, items: list[Object]) -> None:
        """Take notice of what a list found."""
        if not items:
            return
        self.objects[resource] = len(items)
        for obj in items:
            for finalizer in obj["metadata"].get("finalizers") or ():
                self.finalizers[finalizer] = self.finalizers.get(finalizer, 0) + 1
        estimate_s = FINALIZER_ESTIMATE_S
        if resource == PODS and not any(o["metadata"].get("finalizers") for o in items):
            grace = [o["metadata"].get("deletionGracePeriodSeconds") or 0 for o in items]
            estimate_s = max([1, *grace])
        self.estimate_s = max(self.estimate_s, estimate_s)


@attrs.frozen
class NamespaceOptions(ControllerOptions):
    """How many keys are reconciled at the same time."""

    concurrent_namespace_syncs: int = 10


class NamespaceController(Controller):
    """Deletes the content of namespaces with a deletionTimestamp."""

    name = "namespace-controller"
    aliases = ("namespace",)
    options_type = NamespaceOptions
    options: NamespaceOptions

    def __init__(self, manager: ManagerContext) -> None:
        super().__init__(manager)
        self.workers = self.options.concurrent_namespace_syncs
        self._namespaces = self.informer("namespaces")
        self._namespaces.add_handler(
            on_add=self._consider, on_update=lambda _old, new: self._consider(new)
        )

    def _consider(self, namespace: Object) -> None:
        if "deletionTimestamp" in namespace["metadata"]:
            self.enqueue(namespace)

    async def reconcile(self, key: str) -> None:
        """Remove what can be removed; finish when nothing is left."""
        try:
            namespace = await self.client.get("namespaces", key)
        except StatusError as error:
            if is_not_found(error):
                return
            raise
        if "deletionTimestamp" not in namespace["metadata"]:
            return
        if (namespace.get("status") or {}).get("phase") != "Terminating":
            status = {**(namespace.get("status") or {}), "phase": "Terminating"}
            namespace = await self.client.update_status(
                "namespaces", {**namespace, "status": status}
            )
        finalizers = (namespace.get("spec") or {}).get("finalizers") or []
        if FINALIZER not in finalizers:
            return
        remaining = await self._remove_content(key)
        if not remaining.objects and not remaining.errors:
            await self._finish(namespace, finalizers)
            return
        await self._report(namespace, remaining)
        self.queue.add_after(key, (remaining.estimate_s // 2 + 1) * SECOND)

    async def _remove_content(self, namespace: str) -> _Remaining:
        remaining = _Remaining()
        await self._remove(PODS, namespace, remaining)
        if not remaining.objects and not remaining.errors:
            # Custom resources may have come in the meantime.
            for info in self.manager.scheme.stored():
                if info.namespaced and info.name != PODS:
                    await self._remove(info.name, namespace, remaining)
        return remaining

    async def _remove(self, resource: str, namespace: str, remaining: _Remaining) -> None:
        try:
            found = await self.client.list(resource, namespace)
            if not found["items"]:
                return
            await self.client.delete_collection(resource, namespace, propagationPolicy="Background")
            found = await self.client.list(resource, namespace)
        except StatusError as error:
            if not is_not_found(error) and error.reason != "MethodNotAllowed":
                remaining.errors.append(error.message)
            return
        remaining.count(resource, found["items"])

    async def _finish(self, namespace: Object, finalizers: list[str]) -> None:
        kept = [each for each in finalizers if each != FINALIZER]
        spec = {**(namespace.get("spec") or {}), "finalizers": kept}
        try:
            await self.client.update("namespaces", {**namespace, "spec": spec}, "finalize")
        except StatusError as error:
            if not is_not_found(error):
                raise

    async def _report(self, namespace: Object, remaining: _Remaining) -> None:
        status = namespace.get("status") or {}
        old = {each["type"]: each for each in status.get("conditions") or ()}
        conditions = self._conditions(remaining, old)
        if conditions != status.get("conditions"):
            changed = {**namespace, "status": {**status, "conditions": conditions}}
            await self.client.update_status("namespaces", changed)

    def _conditions(self, remaining: _Remaining, old: dict[str, Object]) -> list[Object]:
        now = format_time(self.ctx.wall_ns())
        objects = ", ".join(
            f"{resource} has {count} resource instances"
            for resource, count in sorted(remaining.objects.items())
        )
        finalizers = ", ".join(
            f"{name} in {count} resource instances"
            for name, count in sorted(remaining.finalizers.items())
        )
        errors = ", ".join(remaining.errors)
        rows = (
            ("NamespaceDeletionDiscoveryFailure", False, "ResourcesDiscovered",
             "All resources successfully discovered"),
            ("NamespaceDeletionGroupVersionParsingFailure", False, "ParsedGroupVersions",
             "All legacy kube types successfully parsed"),
            ("NamespaceDeletionContentFailure", bool(errors),
             "ContentDeletionFailed" if errors else "ContentDeleted",
             f"Failed to delete all resource types, {len(remaining.errors)} remaining: {errors}"
             if errors
             else "All content successfully deleted, may be waiting on finalization"),
            ("NamespaceContentRemaining", bool(objects),
             "SomeResourcesRemain" if objects else "ContentRemoved",
             f"Some resources are remaining: {objects}"
             if objects
             else "All content successfully removed"),
            ("NamespaceFinalizersRemaining", bool(finalizers),
             "SomeFinalizersRemain" if finalizers else "ContentHasNoFinalizers",
             f"Some content in the namespace has finalizers remaining: {finalizers}"
             if finalizers
             else "All content-preserving finalizers finished"),
        )  # fmt: skip
        conditions = []
        for kind, holds, reason, message in rows:
            new: Object = {
                "type": kind,
                "status": "True" if holds else "False",
                "lastTransitionTime": now,
                "reason": reason,
                "message": message,
            }
            before = old.get(kind)
            if before is not None and before["status"] == new["status"]:
                new["lastTransitionTime"] = before.get("lastTransitionTime")
            conditions.append(new)
        return conditions
