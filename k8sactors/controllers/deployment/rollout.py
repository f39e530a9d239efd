"""One step of a rollout: find or create the new ReplicaSet, then move replicas from old to new.

A Rollout is built for each reconciliation, from the stores' objects; what it writes replaces
them in its lists, so that later decisions of the same step count with what was just done.
"""

from __future__ import annotations

from collections.abc import Iterable

import attrs

from k8sactors.actors import Context
from k8sactors.api.errors import StatusError
from k8sactors.api.meta import get_condition, is_controlled_by, owner_reference
from k8sactors.client import Client, EventRecorder, is_already_exists, is_not_found
from k8sactors.controllers.deployment import arithmetic, revisions, status
from k8sactors.controllers.deployment.template_hash import (
    HASH_LABEL,
    same_template,
    template_hash,
    with_hash,
)
from k8sactors.controllers.machinery.controller import Object

DEPLOYMENTS = "deployments.apps"
REPLICA_SETS = "replicasets.apps"


@attrs.define
class Rollout:
    """A Deployment, its ReplicaSets, and how to change them."""

    ctx: Context
    client: Client
    recorder: EventRecorder
    deployment: Object
    sets: list[Object]
    new_set: Object | None = attrs.field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        self.new_set = revisions.find_new(self.deployment, self.sets)

    @property
    def old_sets(self) -> list[Object]:
        """All ReplicaSets of other templates."""
        if self.new_set is None:
            return list(self.sets)
        uid = self.new_set["metadata"]["uid"]
        return [each for each in self.sets if each["metadata"]["uid"] != uid]

    @property
    def current(self) -> Object:
        """The new ReplicaSet, which must exist."""
        assert self.new_set is not None, "the new ReplicaSet is created before it is scaled"
        return self.new_set

    # --- the new ReplicaSet

    async def ensure_new_set(self) -> None:
        """Create the ReplicaSet of the current template, or bring its annotations up to date."""
        revision = revisions.next_revision(self.old_sets)
        if self.new_set is None:
            await self._create_new_set(revision)
        else:
            await self.adjust_new_set(revision)

    async def adjust_new_set(self, revision: int) -> None:
        """Give the existing new ReplicaSet its revision and the Deployment's annotations."""
        new_set = self.current
        annotations = revisions.set_annotations(self.deployment, new_set, revision, exists=True)
        min_ready = self.deployment["spec"].get("minReadySeconds") or 0
        spec = new_set["spec"]
        if (
            annotations != revisions.annotations_of(new_set)
            or (spec.get("minReadySeconds") or 0) != min_ready
        ):
            changed = {**new_set, "spec": {**spec, "minReadySeconds": min_ready}}
            updated = await self.client.update(
                REPLICA_SETS, revisions.with_annotations(changed, annotations)
            )
            self._replace(updated)
            return
        condition = None
        if (
            status.deadline_s(self.deployment) is not None
            and get_condition(self.deployment, status.PROGRESSING) is None
        ):
            message = f'Found new replica set "{new_set["metadata"]["name"]}"'
            condition = self._condition("True", status.NEW_SET_FOUND, message)
        await self._report(annotations[revisions.REVISION], condition)

    async def _create_new_set(self, revision: int) -> None:
        deployment = self.deployment
        collisions = (deployment.get("status") or {}).get("collisionCount") or 0
        body = self._new_set_body(template_hash(deployment["spec"]["template"], collisions))
        size = arithmetic.new_set_size(deployment, [*self.sets, body], body)
        body["spec"]["replicas"] = size
        body["metadata"]["annotations"] = revisions.set_annotations(
            deployment, body, revision, exists=False
        )
        try:
            new_set = await self.client.create(REPLICA_SETS, body)
        except StatusError as error:
            if is_already_exists(error):
                await self._resolve_collision(body, error, collisions)
            else:
                await self._report_refused(body, error)
            return
        self.sets.append(new_set)
        self.new_set = new_set
        name = new_set["metadata"]["name"]
        if size > 0:
            self._tell(f"Scaled up replica set {name} from 0 to {size}")
        condition = None
        if status.deadline_s(deployment) is not None:
            message = f'Created new replica set "{name}"'
            condition = self._condition("True", status.NEW_SET_CREATED, message)
        await self._report(str(revision), condition)

    def _new_set_body(self, digest: str) -> Object:
        deployment = self.deployment
        metadata, spec = deployment["metadata"], deployment["spec"]
        template = with_hash(spec["template"], digest)
        selector = spec["selector"]
        labels = {**(selector.get("matchLabels") or {}), HASH_LABEL: digest}
        return {
            "apiVersion": "apps/v1",
            "kind": "ReplicaSet",
            "metadata": {
                "name": f"{metadata['name']}-{digest}",
                "namespace": metadata["namespace"],
                "labels": template["metadata"]["labels"],
                "ownerReferences": [owner_reference(deployment)],
            },
            "spec": {
                "replicas": 0,
                "minReadySeconds": spec.get("minReadySeconds") or 0,
                "selector": {**selector, "matchLabels": labels},
                "template": template,
            },
        }

    async def _resolve_collision(self, body: Object, error: StatusError, collisions: int) -> None:
        """The name is taken: by ourselves (a stale cache), or by another template's hash."""
        metadata = body["metadata"]
        found = await self.client.get(REPLICA_SETS, metadata["name"], metadata["namespace"])
        if is_controlled_by(found, self.deployment) and same_template(
            found["spec"]["template"], self.deployment["spec"]["template"]
        ):
            self.sets.append(found)
            self.new_set = found
            return
        counted = {**(self.deployment.get("status") or {}), "collisionCount": collisions + 1}
        await self.write_status(counted)
        raise error

    async def _report_refused(self, body: Object, error: StatusError) -> None:
        name = body["metadata"]["name"]
        message = f'Failed to create new replica set "{name}": {error.message}'
        if status.deadline_s(self.deployment) is not None:
            await self._report(None, self._condition("False", status.NEW_SET_FAILED, message))
        self.recorder.event(self.deployment, "Warning", status.NEW_SET_FAILED, message)
        raise error

    def _condition(self, value: str, reason: str, message: str) -> Object:
        return status.make(status.PROGRESSING, value, reason, message, self.ctx.wall_ns())

    async def _report(self, revision: str | None, condition: Object | None) -> None:
        """Write the revision annotation and a condition to the Deployment, if they are news."""
        deployment = self.deployment
        annotations = revisions.annotations_of(deployment)
        old_conditions = status.conditions_of(deployment)
        conditions = old_conditions
        if condition is not None:
            conditions = status.with_condition(old_conditions, condition)
        renumbered = revision is not None and annotations.get(revisions.REVISION) != revision
        if revision is not None and renumbered:
            annotations = {**annotations, revisions.REVISION: revision}
        if renumbered or conditions is not old_conditions:
            # The status subresource takes annotations too, so that both become visible at once.
            changed = revisions.with_annotations(deployment, annotations)
            changed["status"] = {**(deployment.get("status") or {}), "conditions": conditions}
            self.deployment = await self.client.update_status(DEPLOYMENTS, changed)

    # --- sizes

    async def scale(self, target: Object, size: int) -> Object:
        """Give a ReplicaSet a size, and the annotations that remember the Deployment's."""
        old_size = arithmetic.replicas(target)
        annotations = {
            **revisions.annotations_of(target),
            **revisions.replica_annotations(self.deployment),
        }
        if old_size == size and annotations == revisions.annotations_of(target):
            return target
        changed = {**target, "spec": {**target["spec"], "replicas": size}}
        updated = await self.client.update(
            REPLICA_SETS, revisions.with_annotations(changed, annotations)
        )
        self._replace(updated)
        if old_size != size:
            direction = "up" if size > old_size else "down"
            name = target["metadata"]["name"]
            self._tell(f"Scaled {direction} replica set {name} from {old_size} to {size}")
        return updated

    def _tell(self, message: str) -> None:
        self.recorder.event(self.deployment, "Normal", "ScalingReplicaSet", message)

    def _replace(self, updated: Object) -> None:
        uid = updated["metadata"]["uid"]
        self.sets = [updated if each["metadata"]["uid"] == uid else each for each in self.sets]
        if self.new_set is not None and self.new_set["metadata"]["uid"] == uid:
            self.new_set = updated

    async def remove_history(self) -> None:
        """Delete old ReplicaSets beyond the history limit."""
        for each in revisions.removable(self.deployment, self.old_sets):
            metadata = each["metadata"]
            try:
                await self.client.delete(REPLICA_SETS, metadata["name"], metadata["namespace"])
            except StatusError as error:
                if not is_not_found(error):
                    raise

    # --- status

    async def write_status(self, new_status: Object) -> None:
        """Write the Deployment's status, unless it is what the server has."""
        if new_status == self.deployment.get("status"):
            return
        self.deployment = await self.client.update_status(
            DEPLOYMENTS, {**self.deployment, "status": new_status}
        )

    def sets_by_age(self, sets: Iterable[Object]) -> list[Object]:
        """Oldest first."""
        return sorted(sets, key=arithmetic.created)
