"""The pods of one kind of owner: which they are, what is expected of them, how they come and go.

Every controller whose objects own pods holds one `OwnedPods`. It indexes pods by the UID of their
controller, enqueues the owner of each pod that changes, lowers the expectations that its own writes
raised, adopts and releases, and creates and deletes in batches.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import attrs
import trio

from k8sactors.api.errors import StatusError
from k8sactors.api.meta import controller_of
from k8sactors.client import ControllerExpectations, SharedInformer, object_key
from k8sactors.controllers.machinery.api_errors import is_namespace_terminating
from k8sactors.controllers.machinery.controller import Controller, Object
from k8sactors.controllers.machinery.controller_ref_manager import (
    CONTROLLER_INDEX,
    ControllerRefManager,
    controlled_by,
    controller_index,
    label_matcher,
    labels_of,
    orphans_for,
)
from k8sactors.controllers.machinery.pod_control import PodControl, slow_start_batch
from k8sactors.controllers.machinery.pods import is_active
from k8sactors.controllers.machinery.selector_index import (
    SELECTOR_INDEX,
    label_values,
    selector_value,
)


@attrs.frozen
class OwnerKind:
    """The kind that owns the pods. `selector_of` gives an owner's LabelSelector."""

    resource: str
    kind: str
    selector_of: Callable[[Object], Object]
    # Pods that end or go are claimed too.
    claims_all: bool = False
    # What owned pods bear until the controller has counted them.
    finalizers: tuple[str, ...] = ()
    # How long events of pods are gathered before their owner is looked at.
    batch_period_ns: int = 0


class OwnedPods:
    """The pods of all owners of one kind.

    `updated(owner, old, new)` is called for an owned pod that changed, after its owner was
    enqueued.
    """

    def __init__(
        self,
        controller: Controller,
        owner_kind: OwnerKind,
        owners: SharedInformer,
        updated: Callable[[Object, Object, Object], None],
    ) -> None:
        self._client = controller.client
        self._queue = controller.queue
        self._owner_kind = owner_kind
        self._owners = owners
        owners.add_index(SELECTOR_INDEX, self._selector_index)
        self._updated = updated
        self._expectations = ControllerExpectations(controller.ctx)
        self._control = PodControl(controller.client, controller.recorder)
        self._pods = controller.informer("pods")
        self._pods.add_index(CONTROLLER_INDEX, controller_index)
        self._pods.add_handler(
            on_add=self._pod_added, on_update=self._pod_updated, on_delete=self._pod_deleted
        )

    # --- events

    def _owner_of(self, pod: Object) -> Object | None:
        reference = controller_of(pod)
        if reference is None or reference["kind"] != self._owner_kind.kind:
            return None
        owner = self._owners.lister.get(pod["metadata"].get("namespace"), reference["name"])
        if owner is None or owner["metadata"]["uid"] != reference["uid"]:
            return None
        return owner

    def _enqueue(self, owner: Object) -> None:
        self._queue.add_after(object_key(owner), self._owner_kind.batch_period_ns)

    def _pod_added(self, pod: Object) -> None:
        if not self._owners.lister.any():
            return
        if "deletionTimestamp" in pod["metadata"]:
            # A restarted manager may see a pod for the first time when it is on its way out.
            self._pod_deleted(pod)
            return
        owner = self._owner_of(pod)
        if owner is not None:
            self._expectations.creation_observed(object_key(owner))
            self._enqueue(owner)
        elif controller_of(pod) is None:
            self._enqueue_matching(pod)

    def _pod_updated(self, old: Object, pod: Object) -> None:
        if not self._owners.lister.any():
            return
        if "deletionTimestamp" in pod["metadata"]:
            self._pod_deleted(pod)
            if labels_of(pod) != labels_of(old):
                self._pod_deleted(old)
            return
        reference, old_reference = controller_of(pod), controller_of(old)
        if old_reference != reference:
            old_owner = self._owner_of(old)
            if old_owner is not None:
                self._enqueue(old_owner)
        if reference is None:
            if old_reference is not None or labels_of(old) != labels_of(pod):
                self._enqueue_matching(pod)
            return
        owner = self._owner_of(pod)
        if owner is not None:
            self._enqueue(owner)
            self._updated(owner, old, pod)

    def _pod_deleted(self, pod: Object) -> None:
        owner = self._owner_of(pod)
        if owner is not None:
            self._expectations.deletion_observed(object_key(owner), pod["metadata"]["uid"])
            self._enqueue(owner)

    def _enqueue_matching(self, pod: Object) -> None:
        labels = labels_of(pod)
        for value in label_values(pod):
            for owner in self._owners.by_index(SELECTOR_INDEX, value):
                if label_matcher(self._owner_kind.selector_of(owner))(labels):
                    self._enqueue(owner)

    def _selector_index(self, owner: Object) -> str:
        selector = self._owner_kind.selector_of(owner)
        return selector_value(owner["metadata"].get("namespace"), selector.get("matchLabels"))

    # --- what there is

    def are_as_expected(self, key: str) -> bool:
        """Whether the informer shows everything that was last written for the owner."""
        return self._expectations.satisfied(key)

    def forget(self, key: str) -> None:
        """The owner is gone: nothing is expected any more."""
        self._expectations.forget(key)

    def active_of(self, owners: Iterable[Object]) -> list[Object]:
        """The active pods that these owners control."""
        return [
            pod for owner in owners for pod in controlled_by(self._pods, owner) if is_active(pod)
        ]

    async def claim(
        self, owner: Object, counts: Callable[[Object], bool] | None = None
    ) -> list[Object]:
        """The owner's pods, after those that match were adopted and others released.

        Those that `counts` names; by default the active ones, unless the kind claims all.
        """
        metadata = owner["metadata"]
        namespace = metadata.get("namespace")
        kind = self._owner_kind
        selector = kind.selector_of(owner)
        orphans = orphans_for(self._pods, namespace, selector)
        owned = controlled_by(self._pods, owner)
        if counts is None and not kind.claims_all:
            counts = is_active
        if counts is not None:
            orphans, owned = list(filter(counts, orphans)), list(filter(counts, owned))
        manager = ControllerRefManager(
            self._client,
            "pods",
            owner,
            label_matcher(selector),
            lambda: self._client.get(kind.resource, metadata["name"], namespace),
            kind.finalizers,
        )
        return await manager.claim(owned, orphans)

    # --- writes

    async def create(self, owner: Object, body: Object, count: int) -> None:
        """Create `count` equal pods in batches that double.

        Raises:
            StatusError: the first refusal, unless the namespace is being deleted.
        """
        _, error = await self.create_each(owner, [body] * count)
        if error is not None:
            raise error

    async def create_each(
        self, owner: Object, bodies: Sequence[Object]
    ) -> tuple[int, StatusError | None]:
        """Create a pod of each of `bodies`, in order, in batches that double.

        Gives how many were created, and the first refusal, unless the namespace is being deleted.
        """
        self._expectations.expect_creations(object_key(owner), len(bodies))
        return await self._create_each(owner, bodies)

    async def _create_each(
        self, owner: Object, bodies: Sequence[Object]
    ) -> tuple[int, StatusError | None]:
        key, count = object_key(owner), len(bodies)
        rest = iter(bodies)
        created, errors = await slow_start_batch(
            count, lambda: self._control.create(owner, next(rest))
        )
        for _ in range(count - created):
            self._expectations.creation_observed(key)
        refused = bool(errors) and not is_namespace_terminating(errors[0])
        return created, errors[0] if refused else None

    async def create_and_delete(
        self, owner: Object, bodies: Sequence[Object], victims: list[Object]
    ) -> None:
        """Create a pod of each of `bodies`, then delete others; both are expected.

        Raises:
            StatusError: the first refusal, unless the namespace is being deleted.
        """
        uids = [pod["metadata"]["uid"] for pod in victims]
        self._expectations.expect(object_key(owner), len(bodies), uids)
        _, refused = await self._create_each(owner, bodies)
        _, kept = await self.delete_each(owner, victims, expected=None)
        error = refused or kept
        if error is not None:
            raise error

    async def delete(self, owner: Object, pods: list[Object]) -> None:
        """Delete these pods, all at the same time.

        Raises:
            StatusError: the first refusal.
        """
        _, error = await self.delete_each(owner, pods)
        if error is not None:
            raise error

    async def delete_each(
        self, owner: Object, pods: list[Object], *, expected: bool | None = True
    ) -> tuple[list[Object], StatusError | None]:
        """Delete these pods, all at the same time; gives those that go, and the first refusal.

        With `expected=False` the owner may be acted upon before the informer shows them going;
        None when the caller has raised the expectations already.
        """
        key = object_key(owner)
        if expected:
            self._expectations.expect_deletions(key, [pod["metadata"]["uid"] for pod in pods])
        gone: list[Object] = []
        errors: list[StatusError] = []

        async def delete_one(pod: Object) -> None:
            seen = False
            try:
                seen = await self._control.delete(owner, pod)
            except StatusError as error:
                errors.append(error)
            else:
                gone.append(pod)
            if not seen and expected is not False:
                # The informer will not bring its deletion: it is gone, or it stays.
                self._expectations.deletion_observed(key, pod["metadata"]["uid"])

        async with trio.open_nursery() as nursery:
            for pod in pods:
                nursery.start_soon(delete_one, pod)
        return gone, errors[0] if errors else None
