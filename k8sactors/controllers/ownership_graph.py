"""The graph of owners and dependents, as the informers show it.

A node stands for one object, by UID. An owner that only references name is a *virtual* node until
its object is seen: it may not have arrived yet, or may never have existed.
"""

from collections.abc import Callable
from typing import Any

from attrs import define, field

Object = dict[str, Any]
FOREGROUND = "foregroundDeletion"
ORPHAN = "orphan"


@define(slots=True, eq=False)
class Node:
    """An object, as far as garbage collection cares."""

    uid: str
    api_version: str
    kind: str
    namespace: str | None
    name: str
    owners: tuple[Object, ...] = ()
    dependents: dict[str, "Node"] = field(factory=dict)
    virtual: bool = False
    deleting: bool = False
    deleting_dependents: bool = False
    orphaning: bool = False

    def blocking_dependents(self) -> list["Node"]:
        """Dependents that must go before this object may, in foreground deletion."""
        return [
            dependent
            for dependent in self.dependents.values()
            if any(
                owner["uid"] == self.uid and owner.get("blockOwnerDeletion")
                for owner in dependent.owners
            )
        ]

    def describe(self) -> str:
        """The form in which events name an owner."""
        namespace = f"namespace: {self.namespace}, " if self.namespace else ""
        return f"[{self.api_version}/{self.kind}, {namespace}name: {self.name}, uid: {self.uid}]"


class OwnershipGraph:
    """Kept up to date by `put` and `remove`; says which nodes have to be looked at.

    `look_at(node)`: find out whether it should be deleted. `orphan(node)`: set its dependents free.
    `misplaced(dependent, owner)`: a reference names an owner of another namespace.
    """

    def __init__(
        self,
        look_at: Callable[[Node], None],
        orphan: Callable[[Node], None],
        misplaced: Callable[[Node, Node], None],
    ) -> None:
        self.nodes: dict[str, Node] = {}
        self._look_at = look_at
        self._orphan = orphan
        self._misplaced = misplaced

    def put(self, obj: Object, api_version: str, kind: str) -> None:
        """An object was added or changed."""
        metadata = obj["metadata"]
        uid = metadata["uid"]
        node = self.nodes.get(uid)
        if node is None or node.virtual:
            node = self._materialise(node, metadata, api_version, kind)
        references = tuple(metadata.get("ownerReferences") or ())
        if references != node.owners:
            self._set_owners(node, references)
        if "deletionTimestamp" in metadata:
            self._note_deletion(node, metadata.get("finalizers") or ())

    def _materialise(
        self, node: Node | None, metadata: Object, api_version: str, kind: str
    ) -> Node:
        if node is None:
            node = Node(
                metadata["uid"], api_version, kind, metadata.get("namespace"), metadata["name"]
            )
            self.nodes[node.uid] = node
            return node
        # The reference may have told lies about where and what the owner is.
        node.virtual = False
        node.api_version, node.kind = api_version, kind
        node.namespace, node.name = metadata.get("namespace"), metadata["name"]
        for dependent in list(node.dependents.values()):
            if node.namespace and node.namespace != dependent.namespace:
                self._misplaced(dependent, node)
                self._look_at(dependent)
        return node

    def _set_owners(self, node: Node, references: tuple[Object, ...]) -> None:
        old = {reference["uid"]: reference for reference in node.owners}
        new = {reference["uid"]: reference for reference in references}
        node.owners = references
        for uid, reference in new.items():
            if uid not in old:
                self._add_dependent(node, reference)
            elif old[uid].get("blockOwnerDeletion") and not reference.get("blockOwnerDeletion"):
                self._release(uid)
        for uid in old:
            if uid not in new:
                owner = self.nodes.get(uid)
                if owner is not None:
                    owner.dependents.pop(node.uid, None)
                    self._release(uid)
        if old:
            self._look_at(node)

    def _add_dependent(self, node: Node, reference: Object) -> None:
        uid = reference["uid"]
        owner = self.nodes.get(uid)
        if owner is None:
            owner = Node(
                uid,
                reference["apiVersion"],
                reference["kind"],
                node.namespace,
                reference["name"],
                virtual=True,
            )
            self.nodes[uid] = owner
            self._look_at(owner)
        elif not owner.virtual and owner.namespace and owner.namespace != node.namespace:
            self._misplaced(node, owner)
            self._look_at(node)
        owner.dependents[node.uid] = node

    def _release(self, owner_uid: str) -> None:
        """A dependent no longer blocks its owner, which may be waiting for that."""
        owner = self.nodes.get(owner_uid)
        if owner is not None and owner.deleting_dependents:
            self._look_at(owner)

    def _note_deletion(self, node: Node, finalizers: Any) -> None:
        node.deleting = True
        if ORPHAN in finalizers and not node.orphaning:
            node.orphaning = True
            self._orphan(node)
        if FOREGROUND in finalizers:
            if not node.deleting_dependents:
                node.deleting_dependents = True
                for dependent in list(node.dependents.values()):
                    self._look_at(dependent)
            self._look_at(node)

    def remove(self, uid: str) -> None:
        """An object is gone: its dependents may have to follow, its owners may go on."""
        node = self.nodes.pop(uid, None)
        if node is None:
            return
        for reference in node.owners:
            owner = self.nodes.get(reference["uid"])
            if owner is not None:
                owner.dependents.pop(uid, None)
                if owner.virtual and not owner.dependents:
                    del self.nodes[owner.uid]
                else:
                    self._release(owner.uid)
        for dependent in list(node.dependents.values()):
            self._look_at(dependent)
