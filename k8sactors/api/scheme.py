"""The scheme: which resources a server serves, and how they are called.

A scheme belongs to the server that holds it: resources that are added to one (custom resources) are
served by no other. The built-in kinds come from `api/kinds`.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

from k8sactors.api.errors import UnknownKindError, UnknownResourceError
from k8sactors.api.kind import Kind, ResourceInfo
from k8sactors.api.kinds import builtin_kinds

__all__ = ["ResourceInfo", "Scheme", "builtin"]


class Scheme:
    """Resources by name and by kind.

    Where two resources share a plural, the plain plural means the one that was added first.
    """

    def __init__(self, infos: Iterable[ResourceInfo] = ()) -> None:
        self._by_kind: dict[tuple[str, str], ResourceInfo] = {}
        self._by_name: dict[str, ResourceInfo] = {}
        self._by_path: dict[tuple[str, str], ResourceInfo] = {}
        self._aliases: dict[str, ResourceInfo] = {}
        # Grows whenever a resource comes or goes: what was made of the scheme is then outdated.
        self.generation = 0
        for info in infos:
            self._add(info)

    def copy(self) -> Scheme:
        """A scheme that starts with the same kinds, and goes its own way from there."""
        copied = Scheme()
        copied._by_kind.update(self._by_kind)
        copied._by_name.update(self._by_name)
        copied._by_path.update(self._by_path)
        copied._aliases.update(self._aliases)
        return copied

    def add(self, kind: Kind) -> tuple[ResourceInfo, ...]:
        """Serve one more kind, in all its versions."""
        infos = kind.infos()
        self.generation += 1
        for info in infos:
            self._add(info)
        return infos

    def _add(self, info: ResourceInfo) -> None:
        self._by_kind[info.api_version, info.kind] = info
        self._by_path[info.api_version, info.plural] = info
        for name in (info.full_name, info.name, info.plural):
            self._by_name.setdefault(name, info)
        for alias in (info.singular, info.kind, *info.short_names):
            self._aliases.setdefault(alias.lower(), info)
        self._aliases.setdefault(f"{info.singular}.{info.group}".rstrip("."), info)

    def remove(self, kind: Kind) -> None:
        """Serve a kind no longer (a CustomResourceDefinition was deleted)."""
        self.generation += 1
        for table in (self._by_kind, self._by_path, self._by_name, self._aliases):
            gone = [key for key, info in table.items() if info.record is kind]
            for key in gone:
                del table[key]  # type: ignore[arg-type]  # a key of this very table

    def resource(self, name: str) -> ResourceInfo:
        """By `plural`, `plural.group` (the preferred version) or `plural.version.group`.

        Raises:
            UnknownResourceError: nothing of that name is served.
        """
        info = self._by_name.get(name)
        if info is None:
            raise UnknownResourceError(name)
        return info

    def kind(self, api_version: str, kind: str) -> ResourceInfo:
        """By what an object says of itself.

        Raises:
            UnknownKindError: no such kind is served.
        """
        info = self._by_kind.get((api_version, kind))
        if info is None:
            raise UnknownKindError(api_version, kind)
        return info

    def has_kind(self, api_version: str, kind: str) -> bool:
        """Whether objects that say this of themselves are served."""
        return (api_version, kind) in self._by_kind

    def at_path(self, api_version: str, plural: str) -> ResourceInfo | None:
        """By where it is served: `/apis/<api_version>/.../<plural>`; None: nothing is."""
        return self._by_path.get((api_version, plural))

    def lookup(self, word: str) -> ResourceInfo:
        """By anything that a person types: `po`, `pod`, `Pods`, `deploy`, `deployment.apps`.

        Raises:
            UnknownResourceError: nothing of that name is served.
        """
        info = self._by_name.get(word.lower()) or self._aliases.get(word.lower())
        if info is None:
            raise UnknownResourceError(word)
        return info

    def resources(self) -> tuple[ResourceInfo, ...]:
        """All of them, every version, in the order in which they were added."""
        return tuple(self._by_kind.values())

    def names(self) -> dict[str, ResourceInfo]:
        """All names under which requests may ask."""
        return dict(self._by_name)

    def stored(self) -> list[ResourceInfo]:
        """Every resource whose objects are kept, once, in its storage version."""
        return [info for info in self._by_kind.values() if info.stored and info.is_storage_version]


@cache
def _builtin_infos() -> tuple[ResourceInfo, ...]:
    return tuple(info for kind in builtin_kinds() for info in kind.infos())


def builtin() -> Scheme:
    """A fresh scheme with all built-in kinds; the records themselves are shared."""
    return Scheme(_builtin_infos())
