"""The downstream store of an informer: objects by key, and by any number of indices."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

Object = dict[str, Any]
IndexFunction = Callable[[Object], str | Iterable[str] | None]

NAMESPACE_INDEX = "namespace"


class LabelMatcher(Protocol):
    """A parsed label selector."""

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether an object with these labels is selected."""


def _namespace_of(obj: Object) -> str | None:
    namespace: str | None = obj["metadata"].get("namespace")
    return namespace


def _values(function: IndexFunction, obj: Object) -> list[str]:
    found = function(obj)
    if found is None:
        return []
    return [found] if isinstance(found, str) else list(found)


class Indexer:
    """A mapping from key to object that keeps its indices up to date."""

    def __init__(self) -> None:
        self.objects: dict[str, Object] = {}
        self._functions: dict[str, IndexFunction] = {NAMESPACE_INDEX: _namespace_of}
        self._indices: dict[str, dict[str, dict[str, Object]]] = {NAMESPACE_INDEX: {}}

    def add_index(self, name: str, function: IndexFunction) -> None:
        """Index all present and future objects by the values that `function` gives for each."""
        if name in self._functions:
            return
        self._functions[name] = function
        index: dict[str, dict[str, Object]] = {}
        self._indices[name] = index
        for key, obj in self.objects.items():
            for value in _values(function, obj):
                index.setdefault(value, {})[key] = obj

    def put(self, key: str, obj: Object) -> Object | None:
        """Store an object; gives the one that it replaces."""
        old = self.objects.get(key)
        self.objects[key] = obj
        for name, function in self._functions.items():
            index = self._indices[name]
            values = _values(function, obj)
            if old is not None:
                for value in _values(function, old):
                    if value not in values:
                        _unindex(index, value, key)
            for value in values:
                bucket = index.get(value)
                if bucket is None:
                    index[value] = {key: obj}
                else:
                    bucket[key] = obj
        return old

    def remove(self, key: str) -> Object | None:
        """Forget an object; gives it back."""
        old = self.objects.pop(key, None)
        if old is not None:
            for name, function in self._functions.items():
                for value in _values(function, old):
                    _unindex(self._indices[name], value, key)
        return old

    def by_index(self, name: str, value: str) -> list[Object]:
        """The objects that have this value in this index."""
        return list(self._indices[name].get(value, {}).values())


def _unindex(index: dict[str, dict[str, Object]], value: str, key: str) -> None:
    bucket = index.get(value)
    if bucket is not None:
        bucket.pop(key, None)
        if not bucket:
            del index[value]


class Lister:
    """Reads from an informer's store instead of asking the server. Objects must not be changed."""

    def __init__(self, indexer: Indexer) -> None:
        self._indexer = indexer

    def get(self, namespace: str | None, name: str) -> Object | None:
        """The object of that name, or None."""
        return self._indexer.objects.get(f"{namespace}/{name}" if namespace else name)

    def any(self) -> bool:
        """Whether there are objects at all."""
        return bool(self._indexer.objects)

    def get_by_key(self, key: str) -> Object | None:
        """The object of that key, or None."""
        return self._indexer.objects.get(key)

    def list(
        self, namespace: str | None = None, selector: LabelMatcher | None = None
    ) -> list[Object]:
        """All objects, those of a namespace, those that a label selector matches."""
        if namespace:
            found = self._indexer.by_index(NAMESPACE_INDEX, namespace)
        else:
            found = list(self._indexer.objects.values())
        if selector is None:
            return found
        return [obj for obj in found if selector.matches(obj["metadata"].get("labels") or {})]
