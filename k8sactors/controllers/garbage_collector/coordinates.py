"""Where an owner is said to be: its full coordinates, and which of them are known to be empty.

A UID alone does not name an owner: references may carry a living object's UID under another kind,
name or namespace. Two references mean the same owner only if all their coordinates agree
(KEP-2336, kubernetes issue 65818).
"""

from __future__ import annotations

from typing import Any, NamedTuple

Object = dict[str, Any]
ABSENT_OWNERS_MAX = 500


class Coordinates(NamedTuple):
    """An object as an owner reference from `namespace` names it; "" is the cluster's scope."""

    kind: str
    api_version: str
    namespace: str
    name: str
    uid: str

    @classmethod
    def of_reference(cls, reference: Object, namespace: str) -> Coordinates:
        """What an owner reference means to a dependent of this namespace."""
        return cls(
            reference["kind"],
            reference["apiVersion"],
            namespace,
            reference["name"],
            reference["uid"],
        )

    def are_named_by(self, reference: Object) -> bool:
        """Whether the reference agrees in everything that it states (it has no namespace)."""
        return bool(
            self.uid == reference["uid"]
            and self.name == reference["name"]
            and self.kind == reference["kind"]
            and self.api_version == reference["apiVersion"]
        )

    def are_seen_from(self, namespace: str) -> bool:
        """Whether an object of this namespace may have the object as its owner."""
        return self.namespace in {"", namespace}

    def __str__(self) -> str:
        return (
            f"[{self.api_version}/{self.kind}, namespace: {self.namespace}, "
            f"name: {self.name}, uid: {self.uid}]"
        )


class AbsentOwnerCache:
    """The coordinates that were lately found empty, so that not every dependent asks again."""

    def __init__(self) -> None:
        self._absent: dict[Coordinates, None] = {}

    def add(self, coordinates: Coordinates) -> None:
        """Remember that there is no such object; a UID never comes back."""
        self._absent.pop(coordinates, None)
        self._absent[coordinates] = None
        if len(self._absent) > ABSENT_OWNERS_MAX:
            del self._absent[next(iter(self._absent))]

    def __contains__(self, coordinates: Coordinates) -> bool:
        if coordinates not in self._absent:
            return False
        self._absent[coordinates] = self._absent.pop(coordinates)  # the most recently used is last
        return True
