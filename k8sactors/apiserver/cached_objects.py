"""The objects of a watch cache in decoded form, for those that look at them again and again.

An object is decoded once for each of its versions. Nothing is done before it is asked for, and as
long as nothing changes an answer costs a comparison and a look into a dict.
"""

from __future__ import annotations

from typing import Any

from k8sactors.api import codec
from k8sactors.apiserver.entries import Entry
from k8sactors.apiserver.keys import key_of
from k8sactors.apiserver.watch_cache import WatchCache

Object = dict[str, Any]


class CachedObjects:
    """Decoded objects of one resource. What it returns is shared: do not change it."""

    def __init__(self, cache: WatchCache) -> None:
        self._cache = cache
        self._version = -1
        self._decoded: dict[bytes, tuple[int, Object]] = {}
        self._lists: dict[str, list[Object]] = {}

    @property
    def version(self) -> int:
        """Moves when anything in the cache changes: what was derived from it is then outdated."""
        return self._cache.version

    def all(self) -> list[Object]:
        """All objects, in the order of their keys."""
        return self._list("", self._cache.entries)

    def of(self, namespace: str) -> list[Object]:
        """The objects of a namespace, in the order of their names."""
        entries = self._cache.namespaces.get(namespace)
        return self._list(namespace, entries) if entries else []

    def get(self, namespace: str | None, name: str) -> Object | None:
        """One object, None when the cache does not have it."""
        entry = self._cache.entries.get(key_of(self._cache.resource, namespace, name))
        return None if entry is None else self._decode(entry)

    def _list(self, namespace: str, entries: dict[bytes, Entry]) -> list[Object]:
        if self._version != self._cache.version:
            self._version = self._cache.version
            self._lists.clear()
            if len(self._decoded) > 2 * len(self._cache.entries):
                self._decoded.clear()
        found = self._lists.get(namespace)
        if found is None:
            found = [self._decode(entries[key]) for key in sorted(entries)]
            self._lists[namespace] = found
        return found

    def _decode(self, entry: Entry) -> Object:
        known = self._decoded.get(entry.key)
        if known is None or known[0] != entry.mod_revision:
            obj = codec.decode(entry.data, entry.mod_revision)
            known = self._decoded[entry.key] = (entry.mod_revision, obj)
        return known[1]
