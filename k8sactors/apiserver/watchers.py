"""Who watches a resource, found from an event in time proportional to those concerned.

A watcher sits in exactly one bucket: one object, one value of the field that the kind is indexed by
(the pods of one node), one namespace, or everything. An event goes to the buckets that its old and
its new version belong to. A watcher with selectors sees an object enter as ADDED and leave as
DELETED, with the last version that matched and the revision of the change (API concepts,
"Efficient detection of changes").
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

import attrs

from k8sactors.api import selectors
from k8sactors.api.field_labels import SelectableFields
from k8sactors.api.protocol import ADDED, DELETED
from k8sactors.apiserver.entries import Change, Entry


class Sink(Protocol):
    """Where a watcher's events go: a stream to its client."""

    @property
    def credit(self) -> int:
        """How many events the client takes now; 0 or less: none."""

    def send(self, items: list[Any]) -> None:
        """One message to the client."""

    def overflow(self, waiting: int) -> None:
        """End the watch, because so many events wait; the client may resume where it is."""

    def end(self, code: int, status: bytes, reason: str = "") -> None:
        """End the watch; with code 0 the client may resume where it is."""


@attrs.frozen
class Scope:
    """Which objects of a resource are meant: by place, by labels, by fields."""

    namespace: str = ""
    name: str = ""
    # The wanted value of the field that watchers are indexed by.
    trigger: str | None = None
    labels: selectors.Selector | None = None
    fields: selectors.FieldSelector | None = None

    @property
    def plain(self) -> bool:
        """Whether the bucket alone decides."""
        return self.labels is None and self.fields is None

    def matches(self, indexed: SelectableFields, entry: Entry) -> bool:
        """Whether the object is meant."""
        if self.namespace and entry.namespace != self.namespace:
            return False
        if self.name and entry.name != self.name:
            return False
        if self.labels is not None and not self.labels.matches(entry.labels()):
            return False
        fields = self.fields
        return fields is None or fields.matches_fields(lambda path: entry.field(indexed, path))


def scope_of(
    indexed: SelectableFields,
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
    trigger = fields.exact(indexed.trigger) if indexed.trigger else None
    wanted_namespace = namespace or fields.exact("metadata.namespace") or ""
    return Scope(wanted_namespace, name, trigger, labels, fields)


class Watcher:
    """One open watch. Events gather in `pending` and leave as one message per batch.

    A client that does not read closes its window; then events wait here, up to `limit`, and beyond
    that the watch ends: the client may resume, as in the real server, and others are unharmed.
    """

    __slots__ = (
        "all_of_bucket",
        "bookmarks",
        "last_revision",
        "limit",
        "pending",
        "scope",
        "sink",
        "start_revision",
    )

    def __init__(
        self,
        scope: Scope,
        sink: Sink,
        start_revision: int,
        limit: int,
        *,
        bookmarks: bool = False,
    ) -> None:
        self.scope = scope
        # Whether every event of its bucket concerns it.
        self.all_of_bucket = scope.plain and not scope.name
        self.sink = sink
        self.limit = limit
        # Events up to this revision are known to the client.
        self.start_revision = start_revision
        self.last_revision = start_revision
        self.bookmarks = bookmarks
        self.pending: list[list[Any]] = []

    def flush(self) -> None:
        """Send what has gathered, as far as the client takes it."""
        pending = self.pending
        if not pending:
            return
        sink = self.sink
        credit = sink.credit
        if credit <= 0:
            if len(pending) > self.limit:
                self.pending = []
                sink.overflow(len(pending))
            return
        if len(pending) > credit:
            pending, self.pending = pending[:credit], pending[credit:]
        else:
            self.pending = []
        self.last_revision = max(self.last_revision, pending[-1][1])
        sink.send(pending)


def translate(indexed: SelectableFields, scope: Scope, change: Change) -> list[Any] | None:
    """The event as a watcher of `scope` sees it; None when it does not concern it."""
    old, entry = change.old, change.entry
    if scope.plain:
        concerned = entry if entry is not None else old
        assert concerned is not None
        return change.item if scope.matches(indexed, concerned) else None
    was = old is not None and scope.matches(indexed, old)
    now = entry is not None and scope.matches(indexed, entry)
    if now:
        if was or old is None:
            return change.item
        assert entry is not None
        return [ADDED, change.revision, entry.data]
    if was:
        assert old is not None
        return change.item if entry is None else [DELETED, change.revision, old.data]
    return None


Bucket = dict[Watcher, None]


class WatcherIndex:
    """The watchers of one resource, in buckets."""

    def __init__(self, indexed: SelectableFields) -> None:
        self.indexed = indexed
        self.count = 0
        self.everything: Bucket = {}
        self.by_namespace: dict[str, Bucket] = {}
        self.by_name: dict[str, Bucket] = {}
        self.by_trigger: dict[str, Bucket] = {}

    def __iter__(self) -> Iterator[Watcher]:
        yield from self.everything
        for buckets in (self.by_namespace, self.by_name, self.by_trigger):
            for bucket in buckets.values():
                yield from bucket

    def add(self, watcher: Watcher) -> None:
        """Start sending events to a watcher."""
        buckets, key = self._place(watcher.scope)
        bucket = self.everything if buckets is None else buckets.setdefault(key, {})
        bucket[watcher] = None
        self.count += 1

    def remove(self, watcher: Watcher) -> None:
        """Stop; unknown watchers are ignored."""
        buckets, key = self._place(watcher.scope)
        bucket = self.everything if buckets is None else buckets.get(key, {})
        if watcher in bucket:
            del bucket[watcher]
            self.count -= 1
            if buckets is not None and not bucket:
                del buckets[key]

    def clear(self) -> list[Watcher]:
        """Remove and return all watchers."""
        watchers = list(self)
        self.__init__(self.indexed)  # type: ignore[misc]
        return watchers

    def dispatch(self, change: Change, touched: Bucket) -> None:
        """Queue an event at the watchers concerned; `touched` collects them for the flush."""
        if self.everything:
            self._offer(self.everything, change, touched)
        entry, old = change.entry, change.old
        current = entry if entry is not None else old
        assert current is not None
        if self.by_namespace:
            bucket = self.by_namespace.get(current.namespace)
            if bucket:
                self._offer(bucket, change, touched)
        if self.by_name:
            bucket = self.by_name.get(current.name)
            if bucket:
                self._offer(bucket, change, touched)
        if self.by_trigger:
            before = old.trigger(self.indexed) if old is not None else None
            after = entry.trigger(self.indexed) if entry is not None else before
            bucket = self.by_trigger.get(after or "")
            if bucket:
                self._offer(bucket, change, touched)
            if before is not None and before != after:
                bucket = self.by_trigger.get(before)
                if bucket:
                    self._offer(bucket, change, touched)

    def _place(self, scope: Scope) -> tuple[dict[str, Bucket] | None, str]:
        if scope.name:
            return self.by_name, scope.name
        if scope.trigger is not None:
            return self.by_trigger, scope.trigger
        if scope.namespace:
            return self.by_namespace, scope.namespace
        return None, ""

    def _offer(self, bucket: Bucket, change: Change, touched: Bucket) -> None:
        revision = change.revision
        for watcher in bucket:
            if revision <= watcher.start_revision:
                continue
            if watcher.all_of_bucket:
                item: list[Any] | None = change.item
            else:
                item = translate(self.indexed, watcher.scope, change)
            if item is not None:
                watcher.pending.append(item)
                touched[watcher] = None
