"""Objects that an authenticator must know: from the caches, or from the store when they lag."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from k8sactors.api import codec
from k8sactors.api.effects import KeyState
from k8sactors.apiserver.keys import key_of
from k8sactors.apiserver.watch_cache import WatchCache

Object = dict[str, Any]
# By resource, namespace ("": none) and name; None: there is no such object.
Find = Callable[[str, str, str], Object | None]


class Caches(Protocol):
    """Where objects are cached (`feed.Feed`)."""

    def add_resource(self, resource: str) -> WatchCache:
        """The cache of a resource."""


def finder(caches: Caches, lookup: Callable[[bytes], KeyState | None]) -> Find:
    """Finds objects; `lookup` has what the store holds, or raises LookupNeededError."""

    def find(resource: str, namespace: str, name: str) -> Object | None:
        key = key_of(resource, namespace or None, name)
        entry = caches.add_resource(resource).entries.get(key)
        if entry is not None:
            return codec.decode(entry.data, 0)
        state = lookup(key)
        return None if state is None else codec.decode(state.value, 0)

    return find
