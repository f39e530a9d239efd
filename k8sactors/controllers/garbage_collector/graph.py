"""The graph of owners and dependents, as the informers show it.

A node stands for one object, by UID. An owner that only references name is a *virtual* node until
its object is seen: it may not have arrived yet, or may never have existed. Dependents may disagree
about where a virtual owner is; then its coordinates are tried one after the other, and only the
dependents that named the empty ones are looked at. (graph_builder.go of kube-controller-manager.)
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

import attrs

from k8sactors.controllers.garbage_collector.coordinates import AbsentOwnerCache, Coordinates

Object = dict[str, Any]
FOREGROUND = "foregroundDeletion"
ORPHAN = "orphan"


@attrs.define(eq=False)
class Node:
    """An object, as far as garbage collection cares."""

    coordinates: Coordinates
    owners: tuple[Object, ...] = ()
    dependents: dict[str, Node] = attrs.field(factory=dict)
    virtual: bool = False
    # Where a virtual owner was looked for and not found.
    tried: set[Coordinates] = attrs.field(factory=set)
    deleting: bool = False
    deleting_dependents: bool = False
    orphaning: bool = False

    @property
    def uid(self) -> str:
        """The object's UID."""
        return self.coordinates.uid

    def blocking_dependents(self) -> list[Node]:
        """Dependents that must go before this object may, in foreground deletion."""
        return [
            dependent
            for dependent in self.dependents.values()
            if self.coordinates.are_seen_from(dependent.coordinates.namespace)
            and any(
                reference.get("blockOwnerDeletion") and self.coordinates.are_named_by(reference)
                for reference in dependent.owners
            )
        ]


class Listener(Protocol):
    """What the graph's changes call for."""

    def attempt_to_delete(self, node: Node) -> None:
        """Find out from the server whether the object should be deleted."""

    def verify_later(self, node: Node) -> None:
        """Find out with back-off whether a virtual owner exists: it was not where it was said."""

    def attempt_to_orphan(self, node: Node) -> None:
        """Take the object's reference from its dependents."""

    def report_invalid_namespace(self, dependent: Node, reference: Object) -> None:
        """A reference names an owner of another namespace."""


class OwnershipGraph:
    """Kept up to date by `put` and `remove`; tells `listener` which nodes have to be looked at."""

    def __init__(self, listener: Listener) -> None:
        self.nodes: dict[str, Node] = {}
        self.absent = AbsentOwnerCache()
        self._listener = listener

    # --- objects that informers show

    def put(self, obj: Object, api_version: str, kind: str) -> None:
        """An object was added or changed."""
        metadata = obj["metadata"]
        uid = metadata["uid"]
        node = self.nodes.get(uid)
        if node is None or node.virtual:
            namespace = metadata.get("namespace") or ""
            seen = Coordinates(kind, api_version, namespace, metadata["name"], uid)
            node = self._observe(node, seen)
        references = tuple(metadata.get("ownerReferences") or ())
        if references != node.owners:
            self._set_owners(node, references)
        if "deletionTimestamp" in metadata:
            self._note_deletion(node, metadata.get("finalizers") or ())

    def _observe(self, node: Node | None, seen: Coordinates) -> Node:
        if node is None:
            node = self.nodes[seen.uid] = Node(seen)
            return node
        node.virtual = False
        if node.coordinates != seen:
            node.coordinates = seen
            for dependent in _partition(node.dependents.values(), seen)[1]:
                self._check_namespace(dependent, node)
                self._listener.attempt_to_delete(dependent)
        return node

    def _check_namespace(self, dependent: Node, owner: Node) -> None:
        if owner.coordinates.are_seen_from(dependent.coordinates.namespace):
            return
        for reference in dependent.owners:
            if reference["uid"] == owner.uid:
                self._listener.report_invalid_namespace(dependent, reference)
                return

    def _set_owners(self, node: Node, references: tuple[Object, ...]) -> None:
        old_owners, node.owners = node.owners, references
        old = {reference["uid"]: reference for reference in old_owners}
        new = {reference["uid"]: reference for reference in references}
        for reference in references:
            if reference not in old_owners:
                self._add_dependent(node, reference)
        for uid, reference in old.items():
            owner = self.nodes.get(uid)
            if owner is None:
                continue
            if uid not in new:
                self._drop_dependent(owner, node)
            if reference.get("blockOwnerDeletion") and reference not in references:
                self._note_unblocked(owner)
        if old_owners:
            self._listener.attempt_to_delete(node)

    def _add_dependent(self, node: Node, reference: Object) -> None:
        namespace = node.coordinates.namespace
        owner = self.nodes.get(reference["uid"])
        if owner is None:
            meant = Coordinates.of_reference(reference, namespace)
            owner = self.nodes[meant.uid] = Node(meant, virtual=True)
            owner.dependents[node.uid] = node
            self._listener.attempt_to_delete(owner)
            return
        owner.dependents[node.uid] = node
        if not owner.virtual:
            self._check_namespace(node, owner)
        if (
            not owner.coordinates.are_seen_from(namespace)
            or not owner.coordinates.are_named_by(reference)
            or (owner.virtual and owner.coordinates in owner.tried)
        ):
            # The reference, or what is known of the owner, may be wrong: the server knows.
            self._listener.attempt_to_delete(node)

    def _drop_dependent(self, owner: Node, dependent: Node) -> None:
        owner.dependents.pop(dependent.uid, None)
        if owner.virtual and not owner.dependents:
            del self.nodes[owner.uid]

    def _note_unblocked(self, owner: Node) -> None:
        """A dependent may no longer block its owner, which may be waiting for that."""
        if owner.deleting_dependents:
            self._listener.attempt_to_delete(owner)

    def _note_deletion(self, node: Node, finalizers: Iterable[str]) -> None:
        node.deleting = True
        if ORPHAN in finalizers and not node.orphaning:
            node.orphaning = True
            self._listener.attempt_to_orphan(node)
        if FOREGROUND in finalizers:
            if not node.deleting_dependents:
                node.deleting_dependents = True
                for dependent in list(node.dependents.values()):
                    self._listener.attempt_to_delete(dependent)
            self._listener.attempt_to_delete(node)

    # --- objects that are gone

    def remove(self, uid: str) -> None:
        """An informer saw the object go: dependents may have to follow, owners may be free."""
        node = self.nodes.get(uid)
        if node is not None:
            self._remove(node)

    def remove_absent(self, absent: Coordinates) -> None:
        """The server has no object at these coordinates, at which a virtual node was looked for."""
        node = self.nodes.get(absent.uid)
        if node is None:
            return
        matching, others = _partition(node.dependents.values(), absent)
        if node.virtual and not others:
            self._remove(node)
        elif node.virtual or node.coordinates != absent:
            if matching:
                self.absent.add(absent)
                for dependent in matching:
                    self._listener.attempt_to_delete(dependent)
            if node.virtual and node.coordinates == absent:
                self._try_alternative(node, others)
        else:
            self._remove(node)

    def _try_alternative(self, node: Node, dependents: Iterable[Node]) -> None:
        """Look for a virtual owner where other dependents say that it is."""
        absent = node.coordinates
        node.tried.add(absent)
        claimed = (
            Coordinates.of_reference(reference, dependent.coordinates.namespace)
            for dependent in dependents
            for reference in dependent.owners
            if reference["uid"] == node.uid
        )
        untried = sorted(meant for meant in claimed if meant not in node.tried)
        if untried:
            following = (meant for meant in untried if meant > absent)
            node.coordinates = next(following, untried[0])
            self._listener.verify_later(node)

    def _remove(self, node: Node) -> None:
        del self.nodes[node.uid]
        for reference in node.owners:
            owner = self.nodes.get(reference["uid"])
            if owner is None:
                continue
            self._drop_dependent(owner, node)
            self._note_unblocked(owner)
        if node.dependents:
            self.absent.add(node.coordinates)
        for dependent in list(node.dependents.values()):
            self._listener.attempt_to_delete(dependent)


def _partition(dependents: Iterable[Node], owner: Coordinates) -> tuple[list[Node], list[Node]]:
    """The dependents with a reference that means this owner, and those with one that does not.

    Only references with the owner's UID count; a dependent with two of them may be in both.
    """
    matching, others = [], []
    for dependent in dependents:
        references = [each for each in dependent.owners if each["uid"] == owner.uid]
        is_visible = owner.are_seen_from(dependent.coordinates.namespace)
        named = [is_visible and owner.are_named_by(each) for each in references]
        if any(named):
            matching.append(dependent)
        if not all(named):
            others.append(dependent)
    return matching, others
