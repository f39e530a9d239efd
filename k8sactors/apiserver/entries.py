"""What the watch cache knows of one object: its bytes, and what selectors ask about.

Bytes are decoded only when a selector must be evaluated, and then once per version: labels and the
kind's selectable fields are kept, the object itself is not (hundreds of thousands of live dicts
make the garbage collector slow).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from k8sactors.api import codec
from k8sactors.api.field_labels import NO_FIELDS, SelectableFields
from k8sactors.api.protocol import ADDED, DELETED, MODIFIED

_NO_LABELS: dict[str, str] = {}

METADATA_LABELS = ("metadata.name", "metadata.namespace")


class Entry:
    """One version of one object."""

    __slots__ = (
        "_fields",
        "_labels",
        "_trigger",
        "data",
        "key",
        "lease",
        "mod_revision",
        "name",
        "namespace",
    )

    def __init__(
        self, key: bytes, namespace: str, name: str, data: bytes, mod_revision: int, lease: int
    ) -> None:
        self.key = key
        self.namespace = namespace
        self.name = name
        self.data = data
        self.mod_revision = mod_revision
        self.lease = lease
        self._labels: Mapping[str, str] | None = None
        self._trigger: str | None = None
        self._fields: dict[str, str] | None = None

    def learn(self, fields: SelectableFields, obj: dict[str, Any] | None = None) -> None:
        """Take labels and fields from `obj`, the object in `data` (decoded when not given)."""
        if obj is None:
            obj = codec.decode(self.data, 0)
        self.learn_place(fields, obj)
        self._fields = {path: tell(obj) for path, tell in fields.labels.items()}

    def learn_place(self, fields: SelectableFields, obj: dict[str, Any]) -> None:
        """Take what most watchers ask for: labels, and the field that watchers are indexed by."""
        metadata = obj.get("metadata")
        self._labels = (metadata.get("labels") if metadata else None) or _NO_LABELS
        tell = fields.tell_trigger
        if tell is not None:
            self._trigger = tell(obj)

    def labels(self) -> Mapping[str, str]:
        """The object's labels."""
        if self._labels is None:
            self.learn_place(NO_FIELDS, codec.decode(self.data, 0))
        assert self._labels is not None
        return self._labels

    def trigger(self, fields: SelectableFields) -> str:
        """The value of the field that watchers are indexed by: the node of a pod."""
        if self._trigger is None:
            self.learn_place(fields, codec.decode(self.data, 0))
        assert self._trigger is not None
        return self._trigger

    def field(self, fields: SelectableFields, path: str) -> str:
        """The value that a field selector compares with."""
        if path == "metadata.name":
            return self.name
        if path == "metadata.namespace":
            return self.namespace
        if path == fields.trigger:
            return self.trigger(fields)
        if self._fields is None:
            self.learn(fields)
        assert self._fields is not None
        return self._fields.get(path, "")


class Change:
    """An event as the cache keeps it: the version before and the version after (None: deleted)."""

    __slots__ = ("_item", "entry", "old", "revision")

    def __init__(self, revision: int, old: Entry | None, entry: Entry | None) -> None:
        self.revision = revision
        self.old = old
        self.entry = entry
        self._item: list[Any] | None = None

    @property
    def name(self) -> str:
        """The object's name."""
        entry = self.entry if self.entry is not None else self.old
        assert entry is not None
        return entry.name

    @property
    def item(self) -> list[Any]:
        """What a watcher without selector gets: one list, the same for all of them."""
        item = self._item
        if item is None:
            entry, old = self.entry, self.old
            if entry is None:
                assert old is not None
                item = [DELETED, self.revision, old.data]
            else:
                item = [ADDED if old is None else MODIFIED, self.revision, entry.data]
            self._item = item
        return item
