"""Strict decoding: does an object have the form of its kind?

What a real API server finds while it decodes JSON into its types: fields that do not exist, and
values of the wrong JSON type. Which fields must be there and what they may contain is the matter
of `validation`. Null stands for an absent field, as in Go.

A kind's form is compiled once, on first use, into one validator in native code that is asked only
"is this valid?" (about a microsecond for a pod); only when it says no is the reason worked out.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import jsonschema_rs

from k8sactors.api import definitions
from k8sactors.api.errors import (
    FIELD_UNKNOWN,
    FIELD_VALUE_TYPE_INVALID,
    Cause,
    StatusError,
    UnknownKindError,
    bad_request,
)

_INT_OR_STRING = "io.k8s.apimachinery.pkg.util.intstr.IntOrString"
_QUANTITY = "io.k8s.apimachinery.pkg.api.resource.Quantity"
_SCALARS = {
    _INT_OR_STRING: {"type": ["string", "integer", "null"]},
    _QUANTITY: {"type": ["string", "number", "null"]},
}
_GO_TYPES = {"string": "string", "boolean": "bool", "number": "float64", "object": "object"}


def _compact(schema: dict[str, Any]) -> dict[str, Any]:
    """The part of a definition that strict decoding looks at."""
    name = definitions.referred(schema)
    if name is not None:
        return {"$ref": schema["$ref"]}
    if "oneOf" in schema:
        return {"type": ["string", "number", "null"]}
    compact: dict[str, Any] = {}
    types = schema.get("type")
    if types:
        listed = [types] if isinstance(types, str) else types
        compact["type"] = list(dict.fromkeys([*listed, "null"]))
    if "properties" in schema:
        compact["properties"] = {
            field: _compact(inner) for field, inner in schema["properties"].items()
        }
    if "items" in schema:
        compact["items"] = _compact(schema["items"])
    extra = schema.get("additionalProperties")
    if extra is not None:
        compact["additionalProperties"] = extra if isinstance(extra, bool) else _compact(extra)
    return compact


def _collect(schema: dict[str, Any], found: dict[str, Any]) -> None:
    name = definitions.referred(schema)
    if name is not None:
        if name not in found:
            found[name] = _SCALARS.get(name) or _compact(definitions.definitions()[name])
            _collect(found[name], found)
        return
    for inner in schema.get("properties", {}).values():
        _collect(inner, found)
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            _collect(schema[key], found)


@cache
def _validator(api_version: str, kind: str) -> jsonschema_rs.Validator:
    root: dict[str, Any] = {"$ref": f"#/$defs/{definitions.definition_name(api_version, kind)}"}
    found: dict[str, Any] = {}
    _collect(root, found)
    validator: jsonschema_rs.Validator = jsonschema_rs.validator_for({**root, "$defs": found})
    return validator


def validate(obj: dict[str, Any]) -> list[Cause]:
    """What is wrong with the form of an object; empty when it is right.

    Raises UnknownKindError when its apiVersion and kind name no built-in kind.
    """
    api_version, kind = obj.get("apiVersion"), obj.get("kind")
    if not isinstance(api_version, str) or not isinstance(kind, str):
        raise UnknownKindError(str(api_version or ""), str(kind or ""))
    validator = _validator(api_version, kind)
    if validator.is_valid(obj):
        return []
    root = definitions.definition_name(api_version, kind)
    causes: list[Cause] = []
    _check(obj, {"$ref": f"#/$defs/{root}"}, _Place(root.rsplit(".", 1)[1], "", ""), causes)
    return causes


class _Place:
    """Where the check is: the Go struct, the path in it without indices, and the full path."""

    __slots__ = ("full", "json", "struct")

    def __init__(self, struct: str, json: str, full: str) -> None:
        self.struct = struct
        self.json = json
        self.full = full

    def field(self, name: str) -> _Place:
        json = f"{self.json}.{name}" if self.json else name
        full = f"{self.full}.{name}" if self.full else name
        return _Place(self.struct, json, full)


def _check(value: Any, schema: dict[str, Any], place: _Place, causes: list[Cause]) -> None:
    if value is None:
        return
    name = definitions.referred(schema)
    resolved = definitions.resolve(schema)
    types = (_SCALARS.get(name or "") or _compact(resolved)).get("type")
    if not _fits(value, types):
        causes.append(_type_cause(value, schema, place))
        return
    inner = place if name is None else _Place(name.rsplit(".", 1)[1], place.json, place.full)
    if isinstance(value, dict):
        _check_object(value, resolved, inner, causes)
    elif isinstance(value, list) and "items" in resolved:
        for index, item in enumerate(value):
            step = _Place(inner.struct, inner.json, f"{inner.full}[{index}]")
            _check(item, resolved["items"], step, causes)


def _check_object(
    value: dict[str, Any], resolved: dict[str, Any], place: _Place, causes: list[Cause]
) -> None:
    properties = resolved.get("properties", {})
    extra = resolved.get("additionalProperties", True)
    for key, item in value.items():
        step = place.field(key)
        if key in properties:
            _check(item, properties[key], step, causes)
        elif isinstance(extra, dict):
            _check(item, extra, _Place(place.struct, place.json, step.full), causes)
        elif extra is False:
            causes.append(Cause(step.full, FIELD_UNKNOWN, f'unknown field "{step.full}"'))


def _fits(value: Any, types: list[str] | None) -> bool:
    return (
        types is None
        or _json_type(value) in types
        or ("number" in types and _json_type(value) == "integer")
    )


def _json_type(value: Any) -> str:
    match value:
        case bool():
            return "boolean"
        case str():
            return "string"
        case int():
            return "integer"
        case float():
            return "integer" if value.is_integer() else "number"
        case list():
            return "array"
        case _:
            return "object"


def _type_cause(value: Any, schema: dict[str, Any], place: _Place) -> Cause:
    found = _json_type(value)
    found = {"boolean": "bool", "integer": "number"}.get(found, found)
    if found == "number" and _go_type(schema).startswith("int"):
        found = f"number {value}"
    message = (
        f"json: cannot unmarshal {found} into Go struct field {place.struct}.{place.json} "
        f"of type {_go_type(schema)}"
    )
    return Cause(place.full, FIELD_VALUE_TYPE_INVALID, message)


def _go_type(schema: dict[str, Any]) -> str:
    """The name of the Go type that a schema was made from, as error messages name it."""
    name = definitions.referred(schema)
    resolved = definitions.resolve(schema)
    if name is not None and ("properties" in resolved or name in _SCALARS):
        *_, package, short = name.split(".")
        return f"{package}.{short}"
    types = resolved.get("type", [])
    kind = types if isinstance(types, str) else next((t for t in types if t != "null"), "object")
    if kind == "integer":
        return str(resolved.get("format", "int64"))
    if kind == "array":
        return f"[]{_go_type(resolved.get('items', {}))}"
    extra = resolved.get("additionalProperties")
    if kind == "object" and isinstance(extra, dict):
        return f"map[string]{_go_type(extra)}"
    return _GO_TYPES.get(kind, kind)


def decoding_error(obj: dict[str, Any], causes: Sequence[Cause]) -> StatusError:
    """400, as the server words it: the first type error, else all unknown fields together."""
    version = str(obj.get("apiVersion", "")).rpartition("/")[2]
    kind = obj.get("kind", "")
    wrong = [cause.message for cause in causes if cause.reason == FIELD_VALUE_TYPE_INVALID]
    if wrong:
        problem = wrong[0]
    else:
        problem = f"strict decoding error: {', '.join(cause.message for cause in causes)}"
    return bad_request(f'{kind} in version "{version}" cannot be handled as a {kind}: {problem}')
