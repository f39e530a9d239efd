"""As many pods as `spec.replicas` says, no more, no fewer: ReplicaSets and ReplicationControllers.

The controller counts the active pods of an owner, creates the missing and deletes the surplus in a
fixed order of preference. Expectations keep it from acting on a cache that does not show its last
step yet.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

from k8sactors.api.errors import StatusError
from k8sactors.api.meta import controller_of, format_time
from k8sactors.client import is_conflict, object_key
from k8sactors.controllers.machinery.controller import Controller, ManagerContext, Object
from k8sactors.controllers.machinery.controller_ref_manager import (
    CONTROLLER_INDEX,
    controller_index,
    labels_of,
    siblings_of,
)
from k8sactors.controllers.machinery.owned_pods import OwnedPods, OwnerKind
from k8sactors.controllers.machinery.pod_control import pod_from_template
from k8sactors.controllers.machinery.pods import (
    available_in_ns,
    deletion_order,
    is_ready,
)
from k8sactors.simulation import SECOND

BURST_REPLICAS = 500


class ReplicaController(Controller):
    """Keeps the number of pods of one kind of owner; a subclass says which kind."""

    resource: ClassVar[str]
    kind: ClassVar[str]

    def __init__(self, manager: ManagerContext) -> None:
        super().__init__(manager)
        self._owners = self.informer(self.resource)
        self._owners.add_index(CONTROLLER_INDEX, controller_index)
        self._owners.add_handler(
            on_add=self.enqueue,
            on_update=lambda _old, new: self.enqueue(new),
            on_delete=self._owner_deleted,
        )
        owner_kind = OwnerKind(self.resource, self.kind, self.selector_of)
        self._pods = OwnedPods(self, owner_kind, self._owners, self._pod_updated)

    @abstractmethod
    def selector_of(self, owner: Object) -> Object:
        """The LabelSelector of the pods that the owner counts."""

    # --- events

    def _owner_deleted(self, owner: Object) -> None:
        self._pods.forget(object_key(owner))
        self.enqueue(owner)

    def _pod_updated(self, owner: Object, old: Object, pod: Object) -> None:
        """Come back when a pod that became ready counts as available: no event will say so."""
        min_ready_seconds = owner["spec"].get("minReadySeconds") or 0
        if min_ready_seconds and is_ready(pod) and not is_ready(old):
            # One second more, because the API server keeps times in whole seconds.
            self.queue.add_after(object_key(owner), (min_ready_seconds + 1) * SECOND)

    # --- reconciliation

    async def reconcile(self, key: str) -> None:
        """Bring the number of pods of one owner closer to what it should be; write its status."""
        owner = self._owners.lister.get_by_key(key)
        if owner is None:
            self._pods.forget(key)
            return
        # Asked before the claim, which waits: what arrives meanwhile is not in the counted pods.
        may_act = self._pods.are_as_expected(key)
        pods = await self._pods.claim(owner)
        failure: StatusError | None = None
        if may_act and "deletionTimestamp" not in owner["metadata"]:
            try:
                await self._manage(owner, pods)
            except StatusError as error:
                failure = error
        status = self._status(owner, pods, failure)
        await self._write_status(owner, status)
        if failure is not None:
            raise failure
        self._come_back_when_available(key, owner, pods)

    async def _manage(self, owner: Object, pods: list[Object]) -> None:
        surplus = len(pods) - _replicas(owner)
        if surplus < 0:
            body = pod_from_template(owner["spec"]["template"], owner)
            await self._pods.create(owner, body, min(-surplus, BURST_REPLICAS))
        elif surplus > 0:
            victims = self._choose_victims(owner, pods, min(surplus, BURST_REPLICAS))
            await self._pods.delete(owner, victims)

    def _choose_victims(self, owner: Object, pods: list[Object], count: int) -> list[Object]:
        if count >= len(pods):
            return pods
        colocated: dict[str, int] = {}
        for pod in self._pods.active_of(self._related_owners(owner)):
            node = pod["spec"].get("nodeName") or ""
            colocated[node] = colocated.get(node, 0) + 1
        wall_ns = self.ctx.wall_ns()
        return sorted(pods, key=lambda pod: deletion_order(pod, colocated, wall_ns))[:count]

    def _related_owners(self, owner: Object) -> list[Object]:
        """All owners with the same controller: the ReplicaSets of one Deployment."""
        return [owner] if controller_of(owner) is None else siblings_of(self._owners, owner)

    # --- status

    def _status(self, owner: Object, pods: list[Object], failure: StatusError | None) -> Object:
        wall_ns = self.ctx.wall_ns()
        min_ready_seconds = owner["spec"].get("minReadySeconds") or 0
        template_metadata = owner["spec"]["template"].get("metadata") or {}
        wanted = (template_metadata.get("labels") or {}).items()
        ready = [pod for pod in pods if is_ready(pod)]
        available = len(ready)
        if min_ready_seconds:
            available = sum(available_in_ns(pod, min_ready_seconds, wall_ns) == 0 for pod in ready)
        counts = {
            "fullyLabeledReplicas": sum(wanted <= labels_of(pod).items() for pod in pods),
            "readyReplicas": len(ready),
            "availableReplicas": available,
            "observedGeneration": owner["metadata"].get("generation", 0),
        }
        status: Object = {"replicas": len(pods)}
        status.update({name: count for name, count in counts.items() if count})
        conditions = self._conditions(owner, pods, failure)
        if conditions:
            status["conditions"] = conditions
        return status

    def _conditions(
        self, owner: Object, pods: list[Object], failure: StatusError | None
    ) -> list[Object]:
        kept = list((owner.get("status") or {}).get("conditions") or ())
        failed = [each for each in kept if each["type"] == "ReplicaFailure"]
        if failure is None:
            return [each for each in kept if each["type"] != "ReplicaFailure"]
        if failed:
            return kept
        missing = len(pods) < _replicas(owner)
        new = {
            "type": "ReplicaFailure",
            "status": "True",
            "reason": "FailedCreate" if missing else "FailedDelete",
            "message": failure.message,
            "lastTransitionTime": format_time(self.ctx.wall_ns()),
        }
        return [*kept, new]

    async def _write_status(self, owner: Object, status: Object) -> None:
        if status == owner.get("status"):
            return
        try:
            await self.client.update_status(self.resource, {**owner, "status": status})
        except StatusError as error:
            if not is_conflict(error):
                raise
            # The spec may have moved on; the counts are as true as before.
            namespace, name = owner["metadata"].get("namespace"), owner["metadata"]["name"]
            fresh = await self.client.get(self.resource, name, namespace)
            if fresh["metadata"]["uid"] == owner["metadata"]["uid"]:
                await self.client.update_status(self.resource, {**fresh, "status": status})

    def _come_back_when_available(self, key: str, owner: Object, pods: list[Object]) -> None:
        min_ready_seconds = owner["spec"].get("minReadySeconds") or 0
        if not min_ready_seconds:
            return
        wall_ns = self.ctx.wall_ns()
        waits = [available_in_ns(pod, min_ready_seconds, wall_ns) for pod in pods]
        pending = [wait_ns for wait_ns in waits if wait_ns]
        if pending:
            self.queue.add_after(key, min(pending))


def _replicas(owner: Object) -> int:
    replicas = owner["spec"].get("replicas")
    return 1 if replicas is None else int(replicas)
