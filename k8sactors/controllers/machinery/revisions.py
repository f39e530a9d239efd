"""ControllerRevisions: which pod templates an owner has had, numbered.

A StatefulSet or DaemonSet keeps its history in objects of this kind, as a Deployment does in its
ReplicaSets. Each holds the strategic merge patch that brings one template back; `kubectl rollout
undo` sends it. Going back to an earlier template gives its revision the next number.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import attrs

from k8sactors.api.errors import StatusError
from k8sactors.api.meta import controller_of, is_controlled_by, owner_reference
from k8sactors.client import SharedInformer, is_already_exists, is_not_found
from k8sactors.controllers.machinery.content_hash import content_hash
from k8sactors.controllers.machinery.controller import Controller
from k8sactors.controllers.machinery.controller_ref_manager import (
    CONTROLLER_INDEX,
    ControllerRefManager,
    controlled_by,
    controller_index,
    label_matcher,
    orphans_for,
)

Object = dict[str, Any]
REVISIONS = "controllerrevisions.apps"
# The label of a pod that names its revision.
REVISION_LABEL = "controller-revision-hash"
# Names are at most 253 characters; a hash takes at most 10 of them.
_PREFIX_LENGTH_MAX = 223


def template_patch(owner: Object) -> Object:
    """The strategic merge patch that replaces an owner's template by the one that it has now."""
    return {"spec": {"template": {**owner["spec"]["template"], "$patch": "replace"}}}


def template_of(owner: Object, revision: Object) -> Object:
    """The pod template of a revision; that of its owner where the patch names none."""
    patched = ((revision.get("data") or {}).get("spec") or {}).get("template")
    template: Object = owner["spec"]["template"] if patched is None else patched
    return {key: value for key, value in template.items() if key != "$patch"}


def number_of(revision: Object) -> int:
    """`revision`, which Go leaves out when it is 0."""
    return int(revision.get("revision") or 0)


def in_order(revisions: Iterable[Object]) -> list[Object]:
    """Lowest number first; among equals the oldest."""
    return sorted(
        revisions,
        key=lambda each: (
            number_of(each),
            each["metadata"].get("creationTimestamp") or "",
            each["metadata"]["name"],
        ),
    )


@attrs.frozen
class Numbered:
    """The revision of an owner's present template, and the others.

    `duplicates` say the same as `current`; all but one of them are superfluous.
    """

    current: Object
    older: list[Object]
    duplicates: list[Object]
    # How many names have collided so far: `status.collisionCount`.
    collisions: int


class RevisionHistory:
    """The ControllerRevisions of all owners of one resource.

    `hash_label` is the label of a revision that holds its hash.
    """

    def __init__(
        self, controller: Controller, resource: str, owners: SharedInformer, hash_label: str
    ) -> None:
        self._client = controller.client
        self._queue = controller.queue
        self._resource = resource
        self._owners = owners
        self._hash_label = hash_label
        self._revisions = controller.informer(REVISIONS)
        self._revisions.add_index(CONTROLLER_INDEX, controller_index)
        self._revisions.add_handler(on_delete=self._revision_deleted)

    def _revision_deleted(self, revision: Object) -> None:
        """A revision that goes by another's hand is written again."""
        reference = controller_of(revision)
        if reference is None:
            return
        namespace = revision["metadata"]["namespace"]
        owner = self._owners.lister.get(namespace, reference["name"])
        if owner is not None and owner["metadata"]["uid"] == reference["uid"]:
            self._queue.add(f"{namespace}/{reference['name']}")

    async def claim(self, owner: Object) -> list[Object]:
        """The owner's revisions in order, after orphans that match were adopted."""
        metadata, selector = owner["metadata"], owner["spec"]["selector"]
        manager = ControllerRefManager(
            self._client,
            REVISIONS,
            owner,
            label_matcher(selector),
            lambda: self._client.get(self._resource, metadata["name"], metadata["namespace"]),
        )
        claimed = await manager.claim(
            controlled_by(self._revisions, owner),
            orphans_for(self._revisions, metadata["namespace"], selector),
        )
        return in_order(claimed)

    async def number(self, owner: Object, revisions: Sequence[Object]) -> Numbered:
        """Give the owner's present template the highest number, in a new revision if need be.

        Raises:
            StatusError: the API server refused a write.
        """
        patch = template_patch(owner)
        same = [each for each in revisions if each.get("data") == patch]
        older = [each for each in revisions if each.get("data") != patch]
        collisions = int((owner.get("status") or {}).get("collisionCount") or 0)
        following = max(map(number_of, older), default=0) + 1
        if not same:
            current, collisions = await self._create(owner, patch, following, collisions)
            return Numbered(current, older, [], collisions)
        current = same[-1]
        if number_of(current) < following:
            current = await self._client.update(REVISIONS, {**current, "revision": following})
        return Numbered(current, older, same[:-1], collisions)

    async def _create(
        self, owner: Object, patch: Object, number: int, collisions: int
    ) -> tuple[Object, int]:
        metadata = owner["metadata"]
        while True:
            digest = content_hash(patch, collisions)
            name = f"{metadata['name'][:_PREFIX_LENGTH_MAX]}-{digest}"
            template_metadata = owner["spec"]["template"].get("metadata") or {}
            body = {
                "apiVersion": "apps/v1",
                "kind": "ControllerRevision",
                "metadata": {
                    "name": name,
                    "namespace": metadata["namespace"],
                    "labels": {**(template_metadata.get("labels") or {}), self._hash_label: digest},
                    "annotations": metadata.get("annotations") or {},
                    "ownerReferences": [owner_reference(owner)],
                },
                "data": patch,
                "revision": number,
            }
            try:
                return await self._client.create(REVISIONS, body), collisions
            except StatusError as error:
                if not is_already_exists(error):
                    raise
            found = await self._client.get(REVISIONS, name, metadata["namespace"])
            if found.get("data") == patch and is_controlled_by(found, owner):
                return found, collisions  # the cache is behind
            collisions += 1

    async def remove(self, revision: Object) -> None:
        """Delete a revision; gone already is as good."""
        metadata = revision["metadata"]
        try:
            await self._client.delete(REVISIONS, metadata["name"], metadata["namespace"])
        except StatusError as error:
            if not is_not_found(error):
                raise

    async def remove_oldest(
        self, history: Iterable[Object], count: int, live: frozenset[str]
    ) -> None:
        """Delete the `count` oldest revisions that are not among the `live` names."""
        idle = [each for each in in_order(history) if each["metadata"]["name"] not in live]
        for revision in idle[: max(0, count)]:
            await self.remove(revision)
