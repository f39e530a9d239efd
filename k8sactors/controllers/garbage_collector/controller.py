"""Garbage collector: deletes what its owners have left behind.

Three ways to delete an owner. Background: the owner goes at once, its dependents when the collector
finds their owner absent. Foreground: the owner stays, with the finalizer foregroundDeletion, until
all dependents that block it are gone. Orphan: the dependents lose their reference first.

Nothing is deleted on the word of a cache: object and owners are read from the server right before,
and the deletion carries the UID and version that were read. An owner is absent when the server has
no object at the coordinates that the reference states, or one with another UID. What cannot be
looked up keeps its dependents: a kind that is not served (it may be served later), and a namespaced
owner of an object of the cluster (Kubernetes documentation, "Owner references across namespaces").
"""

from __future__ import annotations

from functools import partial

import attrs

from k8sactors.api.errors import StatusError, UnknownKindError
from k8sactors.api.kind import Kind, ResourceInfo
from k8sactors.client import is_not_found
from k8sactors.controllers.errors import StaleCacheError
from k8sactors.controllers.garbage_collector.coordinates import Coordinates
from k8sactors.controllers.garbage_collector.errors import (
    NamespacedOwnerError,
    UnservedKindError,
)
from k8sactors.controllers.garbage_collector.graph import (
    FOREGROUND,
    ORPHAN,
    Node,
    OwnershipGraph,
)
from k8sactors.controllers.garbage_collector.writes import OwnershipWrites
from k8sactors.controllers.machinery.controller import Controller, ManagerContext, Object
from k8sactors.controllers.machinery.options import ControllerOptions

IGNORED = frozenset({"events"})
ATTEMPT_TO_DELETE, ATTEMPT_TO_ORPHAN, VERIFY = "delete", "orphan", "verify"


@attrs.define
class _Owners:
    """The references of one dependent, by what the server says of their owners."""

    solid: list[Object] = attrs.field(factory=list)
    dangling: list[Object] = attrs.field(factory=list)
    # Owners in foreground deletion, which wait for their dependents.
    waiting: list[Object] = attrs.field(factory=list)


@attrs.frozen
class GarbageCollectorOptions(ControllerOptions):
    """How many keys are reconciled at the same time."""

    concurrent_gc_syncs: int = 20


class GarbageCollector(Controller):
    """Follows every stored resource.

    Keys are `delete/<uid>`, `orphan/<uid>`, and `verify/<uid>` for a virtual owner: nothing
    has to be asked once an informer has shown it, as for most owners after a start.
    """

    name = "garbage-collector-controller"
    aliases = ("garbagecollector",)
    service_account = "generic-garbage-collector"
    options_type = GarbageCollectorOptions
    options: GarbageCollectorOptions

    def __init__(self, manager: ManagerContext) -> None:
        super().__init__(manager)
        self.workers = self.options.concurrent_gc_syncs
        self._graph = OwnershipGraph(self)
        self._writes = OwnershipWrites(self.client)
        for info in manager.scheme.stored():
            if info.name not in IGNORED:
                self._follow(info)

    def _follow(self, info: ResourceInfo) -> None:
        put = partial(self._put, info.api_version, info.kind)
        self.informer(info.name).add_handler(
            on_add=put,
            on_update=partial(self._updated, put),
            on_delete=lambda obj: self._graph.remove(obj["metadata"]["uid"]),
        )

    def kind_added(self, kind: Kind) -> None:
        """Follow the objects of one more kind."""
        for info in kind.infos():
            if info.is_storage_version:
                self._follow(info)
                self.informer(info.name).start()

    def kind_removed(self, kind: Kind) -> None:
        """Forget the objects of a kind: they were deleted with their definition."""
        for info in kind.infos():
            if info.is_storage_version:
                self.manager.informers.remove(info.name)

    def _put(self, api_version: str, kind: str, obj: Object) -> None:
        self._graph.put(obj, api_version, kind)

    def _updated(self, put: partial[None], old: Object, new: Object) -> None:
        before, after = old["metadata"], new["metadata"]
        if before["uid"] != after["uid"]:
            self._graph.remove(before["uid"])
        elif (
            before.get("ownerReferences") == after.get("ownerReferences")
            and before.get("finalizers") == after.get("finalizers")
            and before.get("deletionTimestamp") == after.get("deletionTimestamp")
        ):
            return
        put(new)

    # --- what the graph calls for

    def attempt_to_delete(self, node: Node) -> None:
        """Find out from the server whether the object should be deleted."""
        self.queue.add(f"{VERIFY if node.virtual else ATTEMPT_TO_DELETE}/{node.uid}")

    def verify_later(self, node: Node) -> None:
        """Find out with back-off whether a virtual owner is where it is said to be now."""
        self.queue.add_rate_limited(f"{VERIFY}/{node.uid}")

    def attempt_to_orphan(self, node: Node) -> None:
        """Take the object's reference from its dependents."""
        self.queue.add(f"{ATTEMPT_TO_ORPHAN}/{node.uid}")

    def report_invalid_namespace(self, dependent: Node, reference: Object) -> None:
        """Warn of a reference to an owner of another namespace."""
        where = dependent.coordinates
        obj = {
            "apiVersion": where.api_version,
            "kind": where.kind,
            "metadata": {"name": where.name, "namespace": where.namespace, "uid": where.uid},
        }
        claimed = Coordinates.of_reference(reference, where.namespace)
        message = f'ownerRef {claimed} does not exist in namespace "{where.namespace}"'
        self.recorder.event(obj, "Warning", "OwnerRefInvalidNamespace", message)

    # --- reconciliation

    async def reconcile(self, key: str) -> None:
        """Delete or free one object, if that is called for."""
        action, _, uid = key.partition("/")
        node = self._graph.nodes.get(uid)
        if node is None or (action == VERIFY and not node.virtual):
            return
        if action == ATTEMPT_TO_ORPHAN:
            await self._orphan_dependents(node)
        elif not node.deleting or node.deleting_dependents:
            try:
                await self._attempt_to_delete(node)
            except NamespacedOwnerError as error:
                # Another try would end the same way.
                self.log.debug("cannot be collected", uid=uid, error=str(error))

    def _info(self, api_version: str, kind: str) -> ResourceInfo:
        try:
            return self.manager.scheme.kind(api_version, kind)
        except UnknownKindError as error:
            raise UnservedKindError(api_version, kind) from error

    async def _read(self, where: Coordinates) -> Object | None:
        """The object at these coordinates, None if there is none or one with another UID."""
        info = self._info(where.api_version, where.kind)
        if info.namespaced and not where.namespace:
            raise NamespacedOwnerError(where.kind, where.name)
        try:
            found = await self.client.get(
                info.name, where.name, where.namespace if info.namespaced else None
            )
        except StatusError as error:
            if is_not_found(error):
                return None
            raise
        return found if found["metadata"]["uid"] == where.uid else None

    async def _attempt_to_delete(self, node: Node) -> None:
        where = node.coordinates
        latest = await self._read(where)
        if latest is None:
            self._graph.remove_absent(where)
        elif node.virtual:
            # It exists: an informer will show it, unless it is created and gone unseen.
            raise StaleCacheError(str(where))
        elif node.deleting_dependents:
            await self._continue_foreground(node, latest)
        elif references := latest["metadata"].get("ownerReferences"):
            await self._judge(node, latest, references)

    async def _continue_foreground(self, node: Node, latest: Object) -> None:
        blocking = node.blocking_dependents()
        if not blocking:
            info = self._info(node.coordinates.api_version, node.coordinates.kind)
            await self._writes.remove_finalizer(info, latest, FOREGROUND)
            return
        for dependent in blocking:
            if not dependent.deleting:
                self.attempt_to_delete(dependent)

    async def _judge(self, node: Node, latest: Object, references: list[Object]) -> None:
        """Decide by the owners: some alive, some waiting for us, or all gone."""
        info = self._info(node.coordinates.api_version, node.coordinates.kind)
        owners = await self._classify(node.coordinates.namespace, references)
        if owners.solid:
            if owners.dangling or owners.waiting:
                await self._writes.set_references(info, latest, owners.solid)
            return
        if owners.waiting and node.dependents:
            if any(dependent.deleting_dependents for dependent in node.dependents.values()):
                # A circle of owners: none would ever be first, so this one stops blocking.
                free = [{**each, "blockOwnerDeletion": False} for each in references]
                latest = await self._writes.set_references(info, latest, free)
            await self._writes.delete(info, latest, "Foreground")
            return
        finalizers = latest["metadata"].get("finalizers") or ()
        policy = "Background"
        if ORPHAN in finalizers:
            policy = "Orphan"
        elif FOREGROUND in finalizers:
            policy = "Foreground"
        await self._writes.delete(info, latest, policy)

    async def _classify(self, namespace: str, references: list[Object]) -> _Owners:
        """Ask the server for every owner.

        Raises:
            UnservedKindError: the kind of one owner is not served (now).
            NamespacedOwnerError: one owner would be of a namespace, the dependent is of none.
        """
        owners = _Owners()
        for reference in references:
            owner = await self._owner(reference, namespace)
            if owner is None:
                owners.dangling.append(reference)
            elif _waits_for_dependents(owner):
                owners.waiting.append(reference)
            else:
                owners.solid.append(reference)
        return owners

    async def _owner(self, reference: Object, namespace: str) -> Object | None:
        """The owner that a reference means, from the server; None when it does not exist."""
        absent = self._graph.absent
        in_cluster = Coordinates.of_reference(reference, "")
        in_namespace = Coordinates.of_reference(reference, namespace)
        if in_cluster in absent or in_namespace in absent:
            return None
        owner = await self._read(in_namespace)
        if owner is None:
            info = self._info(reference["apiVersion"], reference["kind"])
            absent.add(in_namespace if info.namespaced else in_cluster)
        return owner

    async def _orphan_dependents(self, owner: Node) -> None:
        """Take the owner's reference from all dependents, then let the owner go."""
        for dependent in list(owner.dependents.values()):
            where = dependent.coordinates
            latest = await self._read(where)
            if latest is None:
                continue
            references = latest["metadata"].get("ownerReferences") or []
            kept = [each for each in references if each["uid"] != owner.uid]
            if len(kept) != len(references):
                info = self._info(where.api_version, where.kind)
                await self._writes.set_references(info, latest, kept)
        latest = await self._read(owner.coordinates)
        if latest is not None:
            info = self._info(owner.coordinates.api_version, owner.coordinates.kind)
            await self._writes.remove_finalizer(info, latest, ORPHAN)


def _waits_for_dependents(owner: Object) -> bool:
    metadata = owner["metadata"]
    return "deletionTimestamp" in metadata and FOREGROUND in (metadata.get("finalizers") or ())
