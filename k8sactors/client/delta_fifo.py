"""DeltaFIFO: between the source (list and watch) and the downstream store of an informer.

Changes to one object wait as one item: the list of its deltas, oldest first. Who pops the item
learns everything that happened since the last time. Two deletions in a row are compressed into one.
A replacement of the whole set marks what it contains as Replaced, and what it lacks as Deleted,
with DeletedFinalStateUnknown where the deletion itself was missed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

import attrs

Object = dict[str, Any]

ADDED: Final = "Added"
UPDATED: Final = "Updated"
DELETED: Final = "Deleted"
REPLACED: Final = "Replaced"
SYNC: Final = "Sync"


@attrs.frozen
class DeletedFinalStateUnknown:
    """Stands for an object whose deletion was missed; `obj` is the last state that was seen."""

    key: str
    obj: Object


class Delta(NamedTuple):
    """One change of one object."""

    type: str
    obj: Any


def object_key(obj: Object) -> str:
    """`namespace/name`, or `name` for an object without a namespace."""
    metadata = obj["metadata"]
    namespace = metadata.get("namespace")
    return f"{namespace}/{metadata['name']}" if namespace else metadata["name"]


class DeltaFIFO:
    """Queue of keys, each with its deltas. `known` is the downstream store, by key."""

    def __init__(
        self, known: Mapping[str, Object], key_of: Callable[[Object], str] = object_key
    ) -> None:
        self._known = known
        self._key_of = key_of
        # A dict keeps the order in which the keys came: it is the queue and the item map at once.
        self._items: dict[str, list[Delta]] = {}
        self._populated = False
        self._initial_left: dict[str, None] = {}

    def __len__(self) -> int:
        """How many keys wait."""
        return len(self._items)

    @property
    def has_synced(self) -> bool:
        """Whether the first full set of objects has been popped."""
        return self._populated and not self._initial_left

    def add(self, obj: Object) -> None:
        """An object was created."""
        self._populated = True
        self._append(self._key_of(obj), Delta(ADDED, obj))

    def update(self, obj: Object) -> None:
        """An object was changed."""
        self._populated = True
        self._append(self._key_of(obj), Delta(UPDATED, obj))

    def delete(self, obj: Object) -> None:
        """An object was deleted; ignored when neither the queue nor the store knows it."""
        self._populated = True
        key = self._key_of(obj)
        if key in self._items or key in self._known:
            self._append(key, Delta(DELETED, obj))

    def replace(self, objects: list[Object]) -> None:
        """The source was listed again: this is all there is."""
        present: dict[str, None] = {}
        for obj in objects:
            key = self._key_of(obj)
            present[key] = None
            self._append(key, Delta(REPLACED, obj))
        for key, deltas in list(self._items.items()):
            if key not in present and deltas[-1].type != DELETED:
                self._append(key, Delta(DELETED, DeletedFinalStateUnknown(key, deltas[-1].obj)))
        for key, obj in self._known.items():
            if key not in present and key not in self._items:
                self._append(key, Delta(DELETED, DeletedFinalStateUnknown(key, obj)))
        if not self._populated:
            self._populated = True
            self._initial_left = dict.fromkeys(self._items)

    def resync(self) -> None:
        """Hand every known object out again, unless news of it already wait."""
        for key, obj in self._known.items():
            if key not in self._items:
                self._append(key, Delta(SYNC, obj))

    def pop(self) -> tuple[str, list[Delta]] | None:
        """The oldest item, or None when the queue is empty."""
        for key in self._items:
            deltas = self._items.pop(key)
            if self._initial_left:
                self._initial_left.pop(key, None)
            return key, deltas
        return None

    def _append(self, key: str, delta: Delta) -> None:
        deltas = self._items.get(key)
        if deltas is None:
            self._items[key] = [delta]
            return
        last = deltas[-1]
        if last.type == DELETED and delta.type == DELETED:
            # Keep the one that knows the final state.
            if isinstance(last.obj, DeletedFinalStateUnknown):
                deltas[-1] = delta
            return
        deltas.append(delta)
