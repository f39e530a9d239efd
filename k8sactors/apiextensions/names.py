"""Which names of a definition are accepted, and the conditions that say so.

In one API group no two definitions may share a plural, singular, short name, kind or list kind;
the one that had them first keeps them. Source: `apiextensions-apiserver/pkg/controller/status`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from k8sactors.api.meta import condition_is, get_condition

Object = dict[str, Any]
NAMES_ACCEPTED: Final = "NamesAccepted"
ESTABLISHED: Final = "Established"
TERMINATING: Final = "Terminating"
CLEANUP_FINALIZER: Final = "customresourcecleanup.apiextensions.k8s.io"
_RESOURCE_NAMES: Final = ("plural", "singular")
_KINDS: Final = ("kind", "listKind")
_REASONS: Final = {
    "plural": "PluralConflict",
    "singular": "SingularConflict",
    "kind": "KindConflict",
    "listKind": "ListKindConflict",
}


def condition(kind: str, status: bool, reason: str, message: str, now: str) -> Object:
    """A condition of a definition."""
    return {
        "type": kind,
        "status": "True" if status else "False",
        "lastTransitionTime": now,
        "reason": reason,
        "message": message,
    }


def with_condition(conditions: Iterable[Object], new: Object) -> list[Object]:
    """The conditions with a new one, which keeps its time if its status is the same."""
    found: list[Object] = []
    replaced = False
    for each in conditions:
        if each["type"] != new["type"]:
            found.append(each)
            continue
        replaced = True
        same = each["status"] == new["status"]
        found.append({**new, "lastTransitionTime": each["lastTransitionTime"]} if same else new)
    return found if replaced else [*found, new]


def resource_names(names: Mapping[str, Any]) -> list[str]:
    """All names under which clients ask for a resource."""
    found = [names.get(field) or "" for field in _RESOURCE_NAMES]
    return [name for name in [*found, *(names.get("shortNames") or ())] if name]


def judged(definition: Mapping[str, Any], others: Iterable[Mapping[str, Any]], now: str) -> Object:
    """The status of a definition; `others` are the other definitions of its group."""
    wanted = definition["spec"]["names"]
    status = definition.get("status") or {}
    accepted = dict(status.get("acceptedNames") or {})
    taken_resources: dict[str, None] = {}
    taken_kinds: dict[str, None] = {}
    for other in others:
        names = (other.get("status") or {}).get("acceptedNames") or {}
        taken_resources.update(dict.fromkeys(resource_names(names)))
        taken_kinds.update(dict.fromkeys(names[each] for each in _KINDS if names.get(each)))
    problems: list[tuple[str, str]] = []
    for field in (*_RESOURCE_NAMES, *_KINDS):
        name = wanted.get(field) or ""
        taken = taken_resources if field in _RESOURCE_NAMES else taken_kinds
        if name and name in taken:
            problems.append((_REASONS[field], f'"{name}" is already in use'))
        elif name:
            accepted[field] = name
    short = list(wanted.get("shortNames") or ())
    clashing = [name for name in short if name in taken_resources]
    if clashing:
        shown = ", ".join(f'"{name}" is already in use' for name in clashing)
        problems.append(("ShortNamesConflict", shown))
    else:
        _set(accepted, "shortNames", short)
    _set(accepted, "categories", list(wanted.get("categories") or ()))
    conditions = _conditions(status, problems, now)
    return {**status, "acceptedNames": accepted, "conditions": conditions}


def established(definition: Mapping[str, Any], now: str) -> Object:
    """The status of a definition whose resources are served."""
    status = definition.get("status") or {}
    text = "the initial names have been accepted"
    new = condition(ESTABLISHED, True, "InitialNamesAccepted", text, now)
    return {**status, "conditions": with_condition(status.get("conditions") or (), new)}


def _set(accepted: Object, field: str, names: list[str]) -> None:
    if names:
        accepted[field] = names
    else:
        accepted.pop(field, None)


def _conditions(status: Object, problems: list[tuple[str, str]], now: str) -> list[Object]:
    conditions = list(status.get("conditions") or ())
    if problems:
        reason, message = problems[-1]
        names = condition(NAMES_ACCEPTED, False, reason, message, now)
    else:
        names = condition(NAMES_ACCEPTED, True, "NoConflicts", "no conflicts found", now)
    conditions = with_condition(conditions, names)
    if problems and get_condition({"status": status}, ESTABLISHED) is None:
        new = condition(ESTABLISHED, False, "NotAccepted", "not all names are accepted", now)
        conditions = with_condition(conditions, new)
    return conditions


def is_served(definition: Mapping[str, Any]) -> bool:
    """Whether servers serve the resources of a definition.

    They do so from when its names are accepted; the definition counts as established a moment
    later, so that a client that waits for that finds them served everywhere.
    """
    known = dict(definition)
    return condition_is(known, NAMES_ACCEPTED) or condition_is(known, ESTABLISHED)
