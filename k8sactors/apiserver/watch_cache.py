"""All objects of one resource in memory, with the recent changes, for lists and watches.

Fed in store order by `feed`. Revisions are the store's: the cache of any resource is as of the
feed's revision, because one store watch feeds all of them. Only the last `window` changes are kept;
a watch that starts before them gets 410 and must list again (API concepts, "410 Gone responses").
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable
from itertools import islice
from operator import attrgetter
from typing import Any

from k8sactors.api import errors
from k8sactors.api.effects import KeyState
from k8sactors.api.field_labels import SelectableFields
from k8sactors.apiserver.entries import Change, Entry
from k8sactors.apiserver.keys import key_of, split_key
from k8sactors.apiserver.store import StoreEvent
from k8sactors.apiserver.watchers import Bucket, Scope, Watcher, WatcherIndex, translate

# Objects that this server has just written, kept decoded until their event arrives and is indexed,
# and until the next write to the same object finds them.
RECENT_OBJECTS = 4096

_revision_of = attrgetter("revision")


class WatchCache:
    """The cache of one resource."""

    def __init__(self, resource: str, indexed: SelectableFields, window: int) -> None:
        # The name in keys, which all versions of a kind share.
        self.resource = resource
        self.indexed = indexed
        self.window = window
        self.entries: dict[bytes, Entry] = {}
        self.namespaces: dict[str, dict[bytes, Entry]] = {}
        self.watchers = WatcherIndex(indexed)
        # Watches can start from this revision: all later changes are in `changes`.
        self.oldest_revision = 0
        self.changes: list[Change] = []
        self.terminated = 0
        # Moves with every change: what was derived from the cache is known to be old.
        self.version = 0
        # Told of every change, after it.
        self.observers: list[Callable[[], None]] = []
        # Called after a batch of changes: what the server itself derives from the objects.
        self.on_change: Callable[[], None] | None = None
        self._sorted: dict[str, list[bytes]] = {}
        self._recent: dict[bytes, tuple[int, dict[str, Any]]] = {}
        self._touched: Bucket = {}

    def replace(self, items: Iterable[KeyState], revision: int) -> None:
        """Start over from a list of the store as of `revision`."""
        self.entries.clear()
        self.namespaces.clear()
        self._sorted.clear()
        self._recent.clear()
        self.changes.clear()
        self.oldest_revision = revision
        self.version += 1
        for key, value, mod_revision, lease in items:
            self._insert(self._entry(key, value, mod_revision, lease))
        for observer in self.observers:
            observer()

    def apply(self, event: StoreEvent) -> None:
        """Take over a change and queue it at the watchers."""
        key, value, mod_revision, lease = event
        old = self.entries.get(key)
        if value is None:
            if old is None:
                return
            change = Change(mod_revision, old, None)
            self._remove(old)
        else:
            if old is not None and old.mod_revision >= mod_revision:
                return
            if old is None:
                entry = self._entry(key, value, mod_revision, lease)
                self._insert(entry)
            else:
                entry = Entry(key, old.namespace, old.name, value, mod_revision, lease)
                self.entries[key] = entry
                self.namespaces[entry.namespace][key] = entry
            change = Change(mod_revision, old, entry)
            recent = self._recent.get(key)
            if recent is not None and recent[0] == mod_revision and self.watchers.by_trigger:
                entry.learn_place(self.indexed, recent[1])
        self.version += 1
        changes = self.changes
        changes.append(change)
        if len(changes) > 2 * self.window:
            self._forget_old_changes()
        if self.watchers.count:
            self.watchers.dispatch(change, self._touched)
        if self.observers:
            for observer in self.observers:
                observer()

    def flush(self) -> None:
        """Send what the batch has queued: one message per watcher."""
        if self._touched:
            touched, self._touched = self._touched, {}
            for watcher in touched:
                watcher.flush()

    def remember(self, key: bytes, mod_revision: int, obj: dict[str, Any]) -> None:
        """Keep an object that this server has just written in its decoded form for a while."""
        recent = self._recent
        recent.pop(key, None)
        recent[key] = (mod_revision, obj)
        if len(recent) > RECENT_OBJECTS:
            del recent[next(iter(recent))]

    def recent_object(self, key: bytes, mod_revision: int) -> dict[str, Any] | None:
        """The decoded object of that version, if this server has written it lately."""
        recent = self._recent.get(key)
        return recent[1] if recent is not None and recent[0] == mod_revision else None

    def select(self, scope: Scope) -> list[Entry]:
        """The objects of a scope in key order."""
        indexed = self.indexed
        found = self._bucket(scope.namespace)
        if not found:
            return []
        if scope.name:
            return [entry for entry in self._named(scope) if scope.matches(indexed, entry)]
        entries = [found[key] for key in self._order(scope.namespace, found)]
        if scope.plain:
            return entries
        return [entry for entry in entries if scope.matches(indexed, entry)]

    def _named(self, scope: Scope) -> list[Entry]:
        """The objects of a name: one, or one in each namespace."""
        namespaces = [scope.namespace] if scope.namespace else sorted(self.namespaces)
        keys = [key_of(self.resource, namespace, scope.name) for namespace in namespaces]
        return [self.entries[key] for key in keys if key in self.entries]

    def check_revision(self, revision: int) -> None:
        """Refuse a watch whose history is gone.

        Raises:
            StatusError: 410 Expired.
        """
        if revision < self.oldest_revision:
            raise errors.expired(f"too old resource version: {revision} ({self.oldest_revision})")

    def attach(self, watcher: Watcher) -> None:
        """Replay what the watcher has not seen, then keep it up to date."""
        start = bisect_right(self.changes, watcher.start_revision, key=_revision_of)
        scope, pending = watcher.scope, watcher.pending
        changes: Iterable[Change] = islice(self.changes, start, None)
        if scope.name:
            # Most watchers of one object begin while all the others are created.
            changes = (change for change in changes if change.name == scope.name)
        for change in changes:
            item = translate(self.indexed, scope, change)
            if item is not None:
                pending.append(item)
        watcher.flush()
        if self.changes:
            watcher.start_revision = max(watcher.start_revision, self.changes[-1].revision)
        self.watchers.add(watcher)

    def _entry(self, key: bytes, value: bytes, mod_revision: int, lease: int) -> Entry:
        _, namespace, name = split_key(key)
        return Entry(key, namespace, name, value, mod_revision, lease)

    def _insert(self, entry: Entry) -> None:
        key, namespace = entry.key, entry.namespace
        self.entries[key] = entry
        bucket = self.namespaces.get(namespace)
        if bucket is None:
            bucket = self.namespaces[namespace] = {}
        bucket[key] = entry
        if self._sorted:
            self._sorted.pop("", None)
            self._sorted.pop(namespace, None)

    def _remove(self, entry: Entry) -> None:
        key, namespace = entry.key, entry.namespace
        del self.entries[key]
        bucket = self.namespaces[namespace]
        del bucket[key]
        if not bucket:
            del self.namespaces[namespace]
        self._recent.pop(key, None)
        if self._sorted:
            self._sorted.pop("", None)
            self._sorted.pop(namespace, None)

    def _bucket(self, namespace: str) -> dict[bytes, Entry] | None:
        return self.namespaces.get(namespace) if namespace else self.entries

    def _order(self, namespace: str, bucket: dict[bytes, Entry]) -> list[bytes]:
        order = self._sorted.get(namespace)
        if order is None:
            order = self._sorted[namespace] = sorted(bucket)
        return order

    def _forget_old_changes(self) -> None:
        excess = len(self.changes) - self.window
        self.oldest_revision = self.changes[excess - 1].revision
        del self.changes[:excess]
