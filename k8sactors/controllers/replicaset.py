"""ReplicaSet controller: as many pods as `spec.replicas` says, no more, no fewer.

It counts the active pods that it owns, creates the missing in growing batches (so that a quota that
refuses the first does not see five hundred tries) and deletes the surplus in a fixed order of
preference. Expectations keep it from acting on a cache that does not show its last step yet.
"""

from collections.abc import Awaitable, Callable
from typing import Any

import trio

from k8sactors.api.errors import StatusError
from k8sactors.api.meta import format_time
from k8sactors.client import (
    ControllerExpectations,
    is_conflict,
    is_not_found,
    object_key,
)
from k8sactors.controllers.base import Controller, ManagerContext, Object
from k8sactors.controllers.ownership import (
    CONTROLLER_INDEX,
    Claimer,
    Matcher,
    controller_index,
    controller_of,
    controller_reference,
    label_matcher,
    labels_of,
)
from k8sactors.controllers.pods import (
    SECOND_NS,
    available_in_ns,
    deletion_order,
    is_active,
    is_ready,
)

BURST_REPLICAS = 500
SLOW_START_BATCH = 1


class ReplicaSetController(Controller):
    """Keeps the pods of ReplicaSets; a subclass does it for another kind of the same shape."""

    name = "replicaset-controller"
    component = "replicaset-controller"
    resource = "replicasets.apps"
    api_version = "apps/v1"
    kind = "ReplicaSet"

    def __init__(self, manager: ManagerContext) -> None:
        super().__init__(manager)
        self._expectations = ControllerExpectations(manager.ctx)
        self._sets = self.informer(self.resource)
        self._sets.add_index("uid", lambda obj: obj["metadata"]["uid"])
        self._sets.add_index(CONTROLLER_INDEX, controller_index)
        self._sets.add_handler(
            on_add=self.enqueue,
            on_update=lambda _old, new: self.enqueue(new),
            on_delete=self._set_deleted,
        )
        self._pods = self.informer("pods")
        self._pods.add_index(CONTROLLER_INDEX, controller_index)
        self._pods.add_handler(
            on_add=self._pod_added, on_update=self._pod_updated, on_delete=self._pod_deleted
        )

    def matcher_of(self, owner: Object) -> Matcher:
        """Which pods the owner counts, by their labels."""
        return label_matcher(owner["spec"]["selector"])

    # --- events

    def _set_deleted(self, owner: Object) -> None:
        self._expectations.forget(object_key(owner))
        self.enqueue(owner)

    def _owner_of(self, pod: Object) -> Object | None:
        reference = controller_of(pod)
        if reference is None or reference["kind"] != self.kind:
            return None
        owner = self._sets.lister.get(pod["metadata"].get("namespace"), reference["name"])
        if owner is None or owner["metadata"]["uid"] != reference["uid"]:
            return None
        return owner

    def _pod_added(self, pod: Object) -> None:
        if "deletionTimestamp" in pod["metadata"]:
            # A restarted manager may see a pod for the first time when it is on its way out.
            self._pod_deleted(pod)
            return
        owner = self._owner_of(pod)
        if owner is not None:
            key = object_key(owner)
            self._expectations.creation_observed(key)
            self.queue.add(key)
        elif controller_of(pod) is None:
            self._enqueue_matching(pod)

    def _pod_updated(self, old: Object, pod: Object) -> None:
        if "deletionTimestamp" in pod["metadata"]:
            self._pod_deleted(pod)
            if labels_of(pod) != labels_of(old):
                self._pod_deleted(old)
            return
        reference, old_reference = controller_of(pod), controller_of(old)
        if old_reference != reference:
            old_owner = self._owner_of(old)
            if old_owner is not None:
                self.enqueue(old_owner)
        if reference is None:
            if old_reference is not None or labels_of(old) != labels_of(pod):
                self._enqueue_matching(pod)
            return
        owner = self._owner_of(pod)
        if owner is None:
            return
        self.enqueue(owner)
        min_ready_seconds = owner["spec"].get("minReadySeconds") or 0
        if min_ready_seconds and is_ready(pod) and not is_ready(old):
            # One second more, because the API server keeps times in whole seconds.
            self.queue.add_after(object_key(owner), (min_ready_seconds + 1) * SECOND_NS)

    def _pod_deleted(self, pod: Object) -> None:
        owner = self._owner_of(pod)
        if owner is not None:
            key = object_key(owner)
            self._expectations.deletion_observed(key, pod["metadata"]["uid"])
            self.queue.add(key)

    def _enqueue_matching(self, pod: Object) -> None:
        labels = labels_of(pod)
        for owner in self._sets.lister.list(pod["metadata"].get("namespace")):
            if self.matcher_of(owner)(labels):
                self.enqueue(owner)

    # --- reconciliation

    async def reconcile(self, key: str) -> None:
        """Bring the number of pods of one set closer to what it should be; write its status."""
        owner = self._sets.lister.get_by_key(key)
        if owner is None:
            self._expectations.forget(key)
            return
        settled = self._expectations.satisfied(key)
        pods = await self._claim(owner)
        failure: StatusError | None = None
        if settled and "deletionTimestamp" not in owner["metadata"]:
            try:
                await self._manage(key, owner, pods)
            except StatusError as error:
                failure = error
        status = self._status(owner, pods, failure)
        await self._write_status(owner, status)
        if failure is not None:
            raise failure
        self._come_back_when_available(key, owner, pods)

    async def _claim(self, owner: Object) -> list[Object]:
        metadata = owner["metadata"]
        namespace = metadata.get("namespace")
        owned = filter(is_active, self._pods.by_index(CONTROLLER_INDEX, metadata["uid"]))
        orphans = filter(is_active, self._pods.by_index(CONTROLLER_INDEX, f"orphan/{namespace}"))
        claimer = Claimer(
            self.client,
            "pods",
            owner,
            controller_reference(owner, self.api_version, self.kind),
            self.matcher_of(owner),
            lambda: self.client.get(self.resource, metadata["name"], namespace),
        )
        return await claimer.claim(owned, orphans)

    async def _manage(self, key: str, owner: Object, pods: list[Object]) -> None:
        surplus = len(pods) - _replicas(owner)
        if surplus < 0:
            await self._create(key, owner, min(-surplus, BURST_REPLICAS))
        elif surplus > 0:
            await self._delete(key, owner, pods, min(surplus, BURST_REPLICAS))

    async def _create(self, key: str, owner: Object, count: int) -> None:
        self._expectations.expect_creations(key, count)
        namespace = owner["metadata"].get("namespace")
        body = self._pod_body(owner)
        errors: list[StatusError] = []
        created = 0

        async def create_one() -> None:
            nonlocal created
            try:
                pod = await self.client.create("pods", body, namespace)
            except StatusError as error:
                errors.append(error)
                if not _is_terminating(error):
                    message = f"Error creating: {error.message}"
                    self.recorder.event(owner, "Warning", "FailedCreate", message)
                return
            created += 1
            message = f"Created pod: {pod['metadata']['name']}"
            self.recorder.event(owner, "Normal", "SuccessfulCreate", message)

        await slow_start(count, create_one, errors)
        for _ in range(count - created):
            self._expectations.creation_observed(key)
        if errors and not _is_terminating(errors[0]):
            raise errors[0]

    def _pod_body(self, owner: Object) -> Object:
        template = owner["spec"]["template"]
        metadata = template.get("metadata") or {}
        kept = {
            field: metadata[field]
            for field in ("labels", "annotations", "finalizers")
            if metadata.get(field)
        }
        return {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                **kept,
                "generateName": f"{owner['metadata']['name']}-",
                "namespace": owner["metadata"].get("namespace"),
                "ownerReferences": [controller_reference(owner, self.api_version, self.kind)],
            },
            "spec": template["spec"],
        }

    async def _delete(self, key: str, owner: Object, pods: list[Object], count: int) -> None:
        victims = self._choose_victims(owner, pods, count)
        self._expectations.expect_deletions(key, [pod["metadata"]["uid"] for pod in victims])
        errors: list[StatusError] = []

        async def delete_one(pod: Object) -> None:
            metadata = pod["metadata"]
            try:
                await self.client.delete("pods", metadata["name"], metadata.get("namespace"))
            except StatusError as error:
                # It will not be seen going, because it is gone or stays.
                self._expectations.deletion_observed(key, metadata["uid"])
                if not is_not_found(error):
                    errors.append(error)
                    message = f"Error deleting: {error.message}"
                    self.recorder.event(owner, "Warning", "FailedDelete", message)
                return
            message = f"Deleted pod: {metadata['name']}"
            self.recorder.event(owner, "Normal", "SuccessfulDelete", message)

        async with trio.open_nursery() as nursery:
            for pod in victims:
                nursery.start_soon(delete_one, pod)
        if errors:
            raise errors[0]

    def _choose_victims(self, owner: Object, pods: list[Object], count: int) -> list[Object]:
        if count >= len(pods):
            return pods
        colocated: dict[str, int] = {}
        for pod in self._related_pods(owner):
            node = pod["spec"].get("nodeName") or ""
            colocated[node] = colocated.get(node, 0) + 1
        wall_ns = self.ctx.wall_ns()
        return sorted(pods, key=lambda pod: deletion_order(pod, colocated, wall_ns))[:count]

    def _related_pods(self, owner: Object) -> list[Object]:
        """Active pods of all sets with the same controller: the whole Deployment's."""
        reference = controller_of(owner)
        siblings = [owner]
        if reference is not None:
            siblings = self._sets.by_index(CONTROLLER_INDEX, reference["uid"])
        return [
            pod
            for sibling in siblings
            for pod in self._pods.by_index(CONTROLLER_INDEX, sibling["metadata"]["uid"])
            if is_active(pod)
        ]

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


def _is_terminating(error: StatusError) -> bool:
    return any(cause.reason == "NamespaceTerminating" for cause in error.causes)


async def slow_start(
    count: int, step: Callable[[], Awaitable[Any]], errors: list[StatusError]
) -> None:
    """Run `step` `count` times in batches of 1, 2, 4, ...; stop after a batch with errors."""
    batch = SLOW_START_BATCH
    while count > 0 and not errors:
        size = min(batch, count)
        async with trio.open_nursery() as nursery:
            for _ in range(size):
                nursery.start_soon(step)
        count -= size
        batch *= 2
