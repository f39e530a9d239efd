"""Who watches a resource, found from an event in time proportional to those concerned.

A watcher sits in exactly one drawer: one object, one node's pods, one namespace, or everything. An
event opens the drawers that its old and its new version belong to. A watcher with selectors sees an
object enter as ADDED and leave as DELETED, with the last version that matched and the revision of
the change (API concepts, "Efficient detection of changes").
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import attrs

from k8sactors.api import selectors
from k8sactors.apiserver.entries import Change, Entry

NODE_FIELD = "spec.nodeName"
Send = Callable[[list[Any]], None]


@attrs.frozen
class Scope:
    """Which objects of a resource are meant: by place, by labels, by fields."""

    namespace: str = ""
    name: str = ""
    node: str | None = None
    labels: selectors.Selector | None = None
    fields: selectors.FieldSelector | None = None

    @property
    def plain(self) -> bool:
        """Whether the drawer alone decides."""
        return self.labels is None and self.fields is None

    def matches(self, resource: str, entry: Entry) -> bool:
        """Whether the object is meant."""
        if self.namespace and entry.namespace != self.namespace:
            return False
        if self.name and entry.name != self.name:
            return False
        if self.labels is not None and not self.labels.matches(entry.labels()):
            return False
        fields = self.fields
        return fields is None or fields.matches_fields(lambda path: entry.field(resource, path))


def scope_of(
    resource: str,
    namespace: str | None,
    labels: selectors.Selector | None,
    fields: selectors.FieldSelector | None,
) -> Scope:
    """The scope that a request's parameters describe; contradictions end in an empty result."""
    if labels is not None and labels.empty:
        labels = None
    if fields is None or fields.empty:
        return Scope(namespace or "", "", None, labels, None)
    name = fields.exact("metadata.name") or ""
    node = fields.exact(NODE_FIELD) if resource == "pods" else None
    wanted_namespace = namespace or fields.exact("metadata.namespace") or ""
    return Scope(wanted_namespace, name, node, labels, fields)


class Watcher:
    """One open watch. Events gather in `pending` and leave as one message per batch."""

    __slots__ = ("bookmarks", "last_revision", "pending", "scope", "send", "start_revision")

    def __init__(
        self, scope: Scope, send: Send, start_revision: int, *, bookmarks: bool = False
    ) -> None:
        self.scope = scope
        self.send = send
        # Events up to this revision are known to the client.
        self.start_revision = start_revision
        self.last_revision = start_revision
        self.bookmarks = bookmarks
        self.pending: list[list[Any]] = []

    def flush(self) -> None:
        """Send what has gathered."""
        if self.pending:
            pending, self.pending = self.pending, []
            self.last_revision = pending[-1][1]
            self.send(pending)


def translate(resource: str, scope: Scope, change: Change) -> list[Any] | None:
    """The event as a watcher of `scope` sees it; None when it does not concern it."""
    old, entry = change.old, change.entry
    if scope.plain:
        concerned = entry if entry is not None else old
        assert concerned is not None
        return change.item if scope.matches(resource, concerned) else None
    was = old is not None and scope.matches(resource, old)
    now = entry is not None and scope.matches(resource, entry)
    if now:
        if was or old is None:
            return change.item
        assert entry is not None
        return ["ADDED", change.revision, entry.data]
    if was:
        assert old is not None
        return change.item if entry is None else ["DELETED", change.revision, old.data]
    return None


Drawer = dict[Watcher, None]


class WatcherIndex:
    """The watchers of one resource, in drawers."""

    def __init__(self, resource: str) -> None:
        self.resource = resource
        self.count = 0
        self.everything: Drawer = {}
        self.by_namespace: dict[str, Drawer] = {}
        self.by_name: dict[str, Drawer] = {}
        self.by_node: dict[str, Drawer] = {}

    def __iter__(self) -> Iterator[Watcher]:
        yield from self.everything
        for drawers in (self.by_namespace, self.by_name, self.by_node):
            for drawer in drawers.values():
                yield from drawer

    def add(self, watcher: Watcher) -> None:
        """Start sending events to a watcher."""
        drawers, key = self._place(watcher.scope)
        drawer = self.everything if drawers is None else drawers.setdefault(key, {})
        drawer[watcher] = None
        self.count += 1

    def remove(self, watcher: Watcher) -> None:
        """Stop; unknown watchers are ignored."""
        drawers, key = self._place(watcher.scope)
        drawer = self.everything if drawers is None else drawers.get(key, {})
        if watcher in drawer:
            del drawer[watcher]
            self.count -= 1
            if drawers is not None and not drawer:
                del drawers[key]

    def clear(self) -> list[Watcher]:
        """Remove and return all watchers."""
        watchers = list(self)
        self.__init__(self.resource)  # type: ignore[misc]
        return watchers

    def dispatch(self, change: Change, touched: Drawer) -> None:
        """Queue an event at everybody whom it concerns; `touched` collects them for the flush."""
        if self.everything:
            self._offer(self.everything, change, touched)
        entry, old = change.entry, change.old
        current = entry if entry is not None else old
        assert current is not None
        if self.by_namespace:
            drawer = self.by_namespace.get(current.namespace)
            if drawer:
                self._offer(drawer, change, touched)
        if self.by_name:
            drawer = self.by_name.get(current.name)
            if drawer:
                self._offer(drawer, change, touched)
        if self.by_node:
            before = old.node() if old is not None else None
            after = entry.node() if entry is not None else before
            drawer = self.by_node.get(after or "")
            if drawer:
                self._offer(drawer, change, touched)
            if before is not None and before != after:
                drawer = self.by_node.get(before)
                if drawer:
                    self._offer(drawer, change, touched)

    def _place(self, scope: Scope) -> tuple[dict[str, Drawer] | None, str]:
        if scope.name:
            return self.by_name, scope.name
        if scope.node is not None:
            return self.by_node, scope.node
        if scope.namespace:
            return self.by_namespace, scope.namespace
        return None, ""

    def _offer(self, drawer: Drawer, change: Change, touched: Drawer) -> None:
        revision = change.revision
        for watcher in drawer:
            if revision <= watcher.start_revision:
                continue
            scope = watcher.scope
            if scope.plain and not scope.name:
                item: list[Any] | None = change.item
            else:
                item = translate(self.resource, scope, change)
            if item is not None:
                watcher.pending.append(item)
                touched[watcher] = None
