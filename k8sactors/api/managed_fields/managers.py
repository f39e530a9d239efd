"""The entries of `metadata.managedFields`: which manager has set which fields, by what, and when.

A manager is a name, an operation and a subresource; one that updates is another one for each
version in which it does so, one that applies has a single entry.

Source: apimachinery's `managedfields` (managedfields.go, capmanagers.go).
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import attrs

from k8sactors.api.go_text import go_quoted
from k8sactors.api.managed_fields.field_set import EMPTY, FieldSet, is_well_formed, union

Entries = list[dict[str, Any]]

APPLY: Final = "Apply"
UPDATE: Final = "Update"
FIELDS_TYPE: Final = "FieldsV1"
UNKNOWN_MANAGER: Final = "unknown"
# More managers that update than these are not told apart: the oldest share one entry.
UPDATERS_MAX: Final = 10
ANCIENT: Final = "ancient-changes"


class Manager(NamedTuple):
    """Who has set fields. `api_version` is "" for one that applies."""

    name: str
    operation: str
    api_version: str = ""
    subresource: str = ""

    def __str__(self) -> str:
        text = go_quoted(self.name)
        if self.subresource:
            text += f" with subresource {go_quoted(self.subresource)}"
        return f"{text} using {self.api_version}" if self.operation == UPDATE else text


class Owned(NamedTuple):
    """The fields of a manager, in the version in which it has set them."""

    fields: FieldSet
    api_version: str
    applied: bool = False


@attrs.define
class Managed:
    """All managers of an object, and when each of them has last changed something."""

    owned: dict[Manager, Owned] = attrs.field(factory=dict)
    times: dict[Manager, str] = attrs.field(factory=dict)

    def copy(self) -> Managed:
        """The same managers, to be changed."""
        return Managed(dict(self.owned), dict(self.times))

    def merge_oldest(self) -> None:
        """Let the oldest of too many managers that update share an entry per version."""
        updaters = [manager for manager, owned in self.owned.items() if not owned.applied]
        left = len(updaters)
        if left <= UPDATERS_MAX:
            return
        updaters.sort(key=lambda manager: (self.times.get(manager, ""), manager))
        first: dict[str, Manager] = {}
        for manager in updaters:
            if left <= UPDATERS_MAX:
                return
            owned = self.owned[manager]
            version = owned.api_version
            if version not in first:
                first[version] = manager
                continue
            bucket = Manager(ANCIENT, UPDATE, version)
            if bucket not in self.owned:
                self.owned[bucket] = self.owned.pop(first[version])
            merged = union(owned.fields, self.owned[bucket].fields)
            self.owned[bucket] = owned._replace(fields=merged)
            if manager != bucket:
                del self.owned[manager]
            left -= 1
            if manager in self.times:
                self.times[bucket] = self.times[manager]


def decode(entries: Any) -> Managed | None:
    """The managers of an object; None: the entries are malformed."""
    managed = Managed()
    if entries is None:
        return managed
    if not isinstance(entries, list):
        return None
    for entry in entries:
        operation, version = entry.get("operation"), entry.get("apiVersion")
        fields = entry.get("fieldsV1") or EMPTY
        if operation not in {APPLY, UPDATE} or not version:
            return None
        if entry.get("fieldsType") != FIELDS_TYPE:
            return None
        manager = Manager(
            entry.get("manager") or "",
            operation,
            version if operation == UPDATE else "",
            entry.get("subresource") or "",
        )
        managed.owned[manager] = Owned(fields, version, operation == APPLY)
        if entry.get("time"):
            managed.times[manager] = entry["time"]
    return managed


def is_valid(entries: Any) -> bool:
    """Whether entries that a client has sent can be kept."""
    managed = decode(entries)
    if managed is None:
        return False
    return all(is_well_formed(owned.fields) for owned in managed.owned.values())


def is_reset(entries: Any) -> bool:
    """Whether a client asks that nothing is tracked any more: a list that is empty, or `[{}]`."""
    return isinstance(entries, list) and (not entries or entries == [{}])


def encode(managed: Managed) -> Entries:
    """The entries as they are stored."""
    entries = [
        _entry(manager, owned, managed.times.get(manager))
        for manager, owned in managed.owned.items()
    ]
    entries.sort(key=_place)
    return entries


def _entry(manager: Manager, owned: Owned, time: str | None) -> dict[str, Any]:
    entry: dict[str, Any] = {}
    if manager.name:
        entry["manager"] = manager.name
    entry["operation"] = APPLY if owned.applied else manager.operation
    entry["apiVersion"] = owned.api_version
    if time:
        entry["time"] = time
    entry["fieldsType"] = FIELDS_TYPE
    entry["fieldsV1"] = owned.fields
    if manager.subresource:
        entry["subresource"] = manager.subresource
    return entry


def _place(entry: dict[str, Any]) -> tuple[str, ...]:
    # Times of the API are UTC in whole seconds: they sort as texts.
    return (
        entry["operation"],
        entry.get("time", ""),
        entry.get("manager", ""),
        entry["apiVersion"],
        entry.get("subresource", ""),
    )


def differ_in_times_only(one: Entries, other: Entries) -> bool:
    """Whether entries that are not equal would be but for when they were written."""
    if len(one) != len(other):
        return False
    return all(
        mine == theirs or {**mine, "time": ""} == {**theirs, "time": ""}
        for mine, theirs in zip(one, other, strict=True)
    )
