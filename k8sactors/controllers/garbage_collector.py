"""Garbage collector: deletes what its owners have left behind.

Three ways to delete an owner. Background: the owner goes at once, its dependents when the collector
finds their owner absent. Foreground: the owner stays, with the finalizer foregroundDeletion, until
all dependents that block it are gone. Orphan: the dependents lose their reference first.

Nothing is deleted on the word of a cache: object and owners are read from the server right before,
and the deletion carries the UID that was read.
"""

from functools import partial

from k8sactors.api import scheme
from k8sactors.api.errors import StatusError, UnknownKindError
from k8sactors.api.scheme import ResourceInfo
from k8sactors.client import is_conflict, is_not_found
from k8sactors.controllers.base import Controller, ManagerContext, Object
from k8sactors.controllers.ownership_graph import FOREGROUND, ORPHAN, Node, OwnershipGraph
from k8sactors.controllers.stored_resources import stored_resources

IGNORED = frozenset({"events"})
MAX_ABSENT_OWNERS = 500
DELETE, FREE = "delete", "orphan"


class GarbageCollector(Controller):
    """Follows every stored resource. Keys are `delete/<uid>` and `orphan/<uid>`."""

    name = "garbage-collector-controller"

    def __init__(self, manager: ManagerContext) -> None:
        super().__init__(manager)
        self._graph = OwnershipGraph(
            look_at=lambda node: self.queue.add(f"{DELETE}/{node.uid}"),
            orphan=lambda node: self.queue.add(f"{FREE}/{node.uid}"),
            misplaced=self._report_misplaced,
        )
        # UIDs of owners that are known to be gone, so that not every dependent asks for them.
        self._absent: dict[tuple[str | None, str], None] = {}
        for info in stored_resources():
            if info.name not in IGNORED:
                self._follow(info)

    def _follow(self, info: ResourceInfo) -> None:
        put = partial(self._put, info.api_version, info.kind)
        self.informer(info.name).add_handler(
            on_add=put,
            on_update=partial(self._updated, put),
            on_delete=lambda obj: self._gone(obj["metadata"]["uid"]),
        )

    def _put(self, api_version: str, kind: str, obj: Object) -> None:
        self._graph.put(obj, api_version, kind)

    def _updated(self, put: "partial[None]", old: Object, new: Object) -> None:
        before, after = old["metadata"], new["metadata"]
        if before["uid"] != after["uid"]:
            self._gone(before["uid"])
        elif (
            before.get("ownerReferences") == after.get("ownerReferences")
            and before.get("finalizers") == after.get("finalizers")
            and before.get("deletionTimestamp") == after.get("deletionTimestamp")
        ):
            return
        put(new)

    def _gone(self, uid: str) -> None:
        node = self._graph.nodes.get(uid)
        if node is not None and node.dependents:
            self._remember_absent(node.namespace, uid)
        self._graph.remove(uid)

    def _remember_absent(self, namespace: str | None, uid: str) -> None:
        self._absent[namespace, uid] = None
        if len(self._absent) > MAX_ABSENT_OWNERS:
            self._absent.pop(next(iter(self._absent)))

    def _report_misplaced(self, dependent: Node, owner: Node) -> None:
        obj = {
            "apiVersion": dependent.api_version,
            "kind": dependent.kind,
            "metadata": {
                "name": dependent.name,
                "namespace": dependent.namespace,
                "uid": dependent.uid,
            },
        }
        claimed = Node(owner.uid, owner.api_version, owner.kind, dependent.namespace, owner.name)
        where = f'in namespace "{dependent.namespace}"' if dependent.namespace else "in the cluster"
        message = f"ownerRef {claimed.describe()} does not exist {where}"
        self.recorder.event(obj, "Warning", "OwnerRefInvalidNamespace", message)

    # --- reconciliation

    async def reconcile(self, key: str) -> None:
        """Delete or free one object, if that is called for."""
        action, _, uid = key.partition("/")
        node = self._graph.nodes.get(uid)
        if node is None:
            return
        if action == FREE:
            await self._free_dependents(node)
        elif not node.deleting or node.deleting_dependents:
            await self._consider(node)

    def _info(self, api_version: str, kind: str) -> ResourceInfo | None:
        try:
            return scheme.kind(api_version, kind)
        except UnknownKindError:
            return None

    async def _read(self, info: ResourceInfo, namespace: str | None, name: str) -> Object | None:
        try:
            return await self.client.get(info.name, name, namespace if info.namespaced else None)
        except StatusError as error:
            if is_not_found(error):
                return None
            raise

    async def _consider(self, node: Node) -> None:
        info = self._info(node.api_version, node.kind)
        if info is None:
            return
        latest = await self._read(info, node.namespace, node.name)
        if latest is None or latest["metadata"]["uid"] != node.uid:
            if node.virtual:
                self._gone(node.uid)
            return
        if node.virtual:
            return  # it exists; its informer will tell the rest
        if node.deleting_dependents:
            await self._continue_foreground(info, node, latest)
            return
        references = latest["metadata"].get("ownerReferences") or []
        if references:
            await self._judge(info, node, latest, references)

    async def _continue_foreground(self, info: ResourceInfo, node: Node, latest: Object) -> None:
        blocking = node.blocking_dependents()
        if not blocking:
            await self._remove_finalizer(info, latest, FOREGROUND)
            return
        for dependent in blocking:
            if not dependent.deleting_dependents:
                self.queue.add(f"{DELETE}/{dependent.uid}")

    async def _judge(
        self, info: ResourceInfo, node: Node, latest: Object, references: list[Object]
    ) -> None:
        """Decide by the owners: some alive, some waiting for us, or all gone."""
        dangling, waiting, solid = [], [], []
        for reference in references:
            owner = await self._owner(node, reference)
            if owner is None:
                dangling.append(reference["uid"])
            elif _waits_for_dependents(owner):
                waiting.append(reference["uid"])
            else:
                solid.append(reference["uid"])
        if solid:
            if dangling or waiting:
                gone = {*dangling, *waiting}
                kept = [each for each in references if each["uid"] not in gone]
                await self._set_references(info, latest, kept)
            return
        if waiting and node.dependents:
            if any(dependent.deleting_dependents for dependent in node.dependents.values()):
                # A circle of owners: nobody would ever be first, so this one stops blocking.
                free = [{**each, "blockOwnerDeletion": False} for each in references]
                await self._set_references(info, latest, free)
            await self._delete(info, latest, "Foreground")
            return
        finalizers = latest["metadata"].get("finalizers") or ()
        policy = "Background"
        if ORPHAN in finalizers:
            policy = "Orphan"
        elif FOREGROUND in finalizers:
            policy = "Foreground"
        await self._delete(info, latest, policy)

    async def _owner(self, node: Node, reference: Object) -> Object | None:
        """The owner that a reference means, from the server; None when it does not exist."""
        uid = reference["uid"]
        if (node.namespace, uid) in self._absent:
            return None
        info = self._info(reference["apiVersion"], reference["kind"])
        if info is None or (info.namespaced and node.namespace is None):
            # An unknown kind, or an owner that a cluster-scoped object cannot have: never
            # delete on a reference that cannot be resolved.
            return {"metadata": {"uid": uid}}
        owner = await self._read(info, node.namespace, reference["name"])
        if owner is None or owner["metadata"]["uid"] != uid:
            self._remember_absent(node.namespace, uid)
            return None
        return owner

    async def _delete(self, info: ResourceInfo, latest: Object, policy: str) -> None:
        metadata = latest["metadata"]
        try:
            await self.client.delete(
                info.name,
                metadata["name"],
                metadata.get("namespace"),
                propagationPolicy=policy,
                preconditions={"uid": metadata["uid"]},
            )
        except StatusError as error:
            if not is_not_found(error) and not is_conflict(error):
                raise

    async def _set_references(
        self, info: ResourceInfo, latest: Object, references: list[Object]
    ) -> None:
        metadata = latest["metadata"]
        patch = {
            "metadata": {
                "uid": metadata["uid"],
                "resourceVersion": metadata["resourceVersion"],
                "ownerReferences": references or None,
            }
        }
        await self.client.patch(info.name, metadata["name"], patch, metadata.get("namespace"))

    async def _remove_finalizer(self, info: ResourceInfo, latest: Object, name: str) -> None:
        metadata = latest["metadata"]
        finalizers = metadata.get("finalizers") or []
        if name not in finalizers:
            return
        patch = {
            "metadata": {
                "resourceVersion": metadata["resourceVersion"],
                "finalizers": [each for each in finalizers if each != name],
            }
        }
        try:
            await self.client.patch(info.name, metadata["name"], patch, metadata.get("namespace"))
        except StatusError as error:
            if not is_not_found(error):
                raise

    async def _free_dependents(self, owner: Node) -> None:
        """Orphan: take the owner's reference from all dependents, then let the owner go."""
        for dependent in list(owner.dependents.values()):
            info = self._info(dependent.api_version, dependent.kind)
            if info is None:
                continue
            latest = await self._read(info, dependent.namespace, dependent.name)
            if latest is None or latest["metadata"]["uid"] != dependent.uid:
                continue
            references = latest["metadata"].get("ownerReferences") or []
            kept = [each for each in references if each["uid"] != owner.uid]
            if len(kept) != len(references):
                await self._set_references(info, latest, kept)
        info = self._info(owner.api_version, owner.kind)
        latest = await self._read(info, owner.namespace, owner.name) if info else None
        if info is not None and latest is not None and latest["metadata"]["uid"] == owner.uid:
            await self._remove_finalizer(info, latest, ORPHAN)


def _waits_for_dependents(owner: Object) -> bool:
    metadata = owner["metadata"]
    return "deletionTimestamp" in metadata and FOREGROUND in (metadata.get("finalizers") or ())
