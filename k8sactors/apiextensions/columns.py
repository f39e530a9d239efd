"""The columns of custom resources in tables, from `additionalPrinterColumns`.

Source: `apiextensions-apiserver/pkg/registry/customresource/tableconvertor`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from k8sactors.api.columns import NAME, Column, human_duration
from k8sactors.api.meta import parse_time
from k8sactors.apiextensions import json_path

_NAME_DESCRIPTION = (
    "Name must be unique within a namespace. Is required when creating resources, although some "
    "resources may allow a client to request the generation of an appropriate name automatically. "
    "Name is primarily intended for creation idempotence and configuration definition. Cannot be "
    "updated. More info: https://kubernetes.io/docs/concepts/overview/working-with-objects/names"
    "#names"
)
_CREATED_DESCRIPTION = (
    "CreationTimestamp is a timestamp representing the server time when this object was created. "
    "It is not guaranteed to be set in happens-before order across separate operations. Clients "
    "may not set this value. It is represented in RFC3339 form and is in UTC.\n\nPopulated by the "
    "system. Read-only. Null for lists. More info: "
    "https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#metadata"
)
_FIRST = attrs.evolve(NAME, description=_NAME_DESCRIPTION)
_AGE = {
    "name": "Age",
    "type": "date",
    "description": _CREATED_DESCRIPTION,
    "jsonPath": ".metadata.creationTimestamp",
}


def columns_of(declared: Sequence[Mapping[str, Any]] | None) -> tuple[Column, ...]:
    """The columns of a version; without any of its own, the age."""
    return (_FIRST, *(_column(each) for each in declared or [_AGE]))


def _column(declared: Mapping[str, Any]) -> Column:
    kind, path = declared["type"], declared["jsonPath"]

    def tell(obj: Mapping[str, Any], now_ns: int) -> Any:
        found = json_path.find(obj, path)
        return _cell(kind, found, now_ns) if found else None

    return Column(
        declared["name"],
        tell,
        kind,
        declared.get("format") or "",
        declared.get("priority") or 0,
        declared.get("description")
        or f"Custom resource definition column (in JSONPath format): {path}",
    )


def _cell(kind: str, found: list[Any], now_ns: int) -> Any:
    first = found[0]
    if first is None:
        return None
    match kind:
        case "integer":
            return int(first) if _is_number(first) else None
        case "number":
            return float(first) if _is_number(first) else None
        case "boolean":
            return first if isinstance(first, bool) else None
        case "date":
            return _age(first, now_ns)
        case _:
            return " ".join(_text(each) for each in found)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def _age(value: Any, now_ns: int) -> str:
    if not isinstance(value, str):
        return "<invalid>"
    try:
        return human_duration(now_ns - parse_time(value))
    except ValueError:
        return "<invalid>"
