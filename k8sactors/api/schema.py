"""Strict decoding: does an object have the form of its kind?

What a real API server finds while it decodes JSON into its types: fields that do not exist, and
values of the wrong JSON type. Which fields must be there and what they may contain is the matter
of `validation`. Null stands for an absent field, as in Go.

A kind's form is compiled once, on first use, into one validator in native code that is asked only
"is this valid?" (about a microsecond for a pod); only when it says no is the reason worked out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import jsonschema_rs

from k8sactors.api import definitions
from k8sactors.api.errors import (
    FIELD_UNKNOWN,
    FIELD_VALUE_TYPE_INVALID,
    Cause,
    DecodingError,
    UnknownKindError,
)

_INT_OR_STRING = "io.k8s.apimachinery.pkg.util.intstr.IntOrString"
_QUANTITY = "io.k8s.apimachinery.pkg.api.resource.Quantity"
# A time of RFC 3339 as Go's `time.Parse` takes it: days are those of their month and year.
_LEAP_YEAR = "(?:[0-9]{2}(?:0[48]|[2468][048]|[13579][26])|(?:[02468][048]|[13579][26])00)"
_DATE = (
    "(?!0000)(?:[0-9]{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])"
    "|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)|02-(?:0[1-9]|1[0-9]|2[0-8]))"
    f"|{_LEAP_YEAR}-02-29)"
)
_HOUR = "(?:[01][0-9]|2[0-3]):[0-5][0-9]"
_TIME_FORM = {
    "type": ["string", "null"],
    "pattern": f"^{_DATE}T{_HOUR}:[0-5][0-9](?:[.,][0-9]+)?(?:Z|[+-]{_HOUR})$",
}
_TIMES = (
    "io.k8s.apimachinery.pkg.apis.meta.v1.Time",
    "io.k8s.apimachinery.pkg.apis.meta.v1.MicroTime",
)
_IS_TIME = jsonschema_rs.validator_for(_TIME_FORM).is_valid
_SCALARS: dict[str, dict[str, Any]] = {
    **dict.fromkeys(_TIMES, _TIME_FORM),
    _INT_OR_STRING: {"type": ["string", "integer", "null"]},
    _QUANTITY: {"type": ["string", "number", "null"]},
}
_GO_TYPES = {"string": "string", "boolean": "bool", "number": "float64", "object": "object"}


def compact_form(schema: dict[str, Any]) -> dict[str, Any]:
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
            field: compact_form(inner) for field, inner in schema["properties"].items()
        }
    if "items" in schema:
        compact["items"] = compact_form(schema["items"])
    extra = schema.get("additionalProperties")
    if extra is not None:
        compact["additionalProperties"] = extra if isinstance(extra, bool) else compact_form(extra)
    return compact


def scalar(name: str) -> dict[str, Any] | None:
    """The form of a type that JSON writes as a scalar, None for any other."""
    return _SCALARS.get(name)


def _collect(schema: dict[str, Any], found: dict[str, Any]) -> None:
    name = definitions.referred(schema)
    if name is not None:
        if name not in found:
            found[name] = _SCALARS.get(name) or compact_form(definitions.definitions()[name])
            _collect(found[name], found)
        return
    for inner in schema.get("properties", {}).values():
        _collect(inner, found)
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            _collect(schema[key], found)


@cache
def _validator(api_version: str, kind: str) -> jsonschema_rs.Validator:
    return _compiled(_root(api_version, kind))


def _root(api_version: str, kind: str) -> dict[str, Any]:
    return {"$ref": f"#/$defs/{definitions.definition_name(api_version, kind)}"}


def is_of_form(value: Any, name: str) -> bool:
    """Whether a part of an object has the form of a definition, given by its full name."""
    return bool(_validator_of(name).is_valid(value))


@cache
def _validator_of(name: str) -> jsonschema_rs.Validator:
    return _compiled({"$ref": f"#/$defs/{name}"})


def _compiled(root: dict[str, Any]) -> jsonschema_rs.Validator:
    found: dict[str, Any] = {}
    _collect(root, found)
    validator: jsonschema_rs.Validator = jsonschema_rs.validator_for(
        {**compact_form(root), "$defs": found}
    )
    return validator


class Schema:
    """The compiled form of a kind that brings its own OpenAPI schema.

    What every object has (apiVersion, kind, metadata) need not stand in it.
    """

    def __init__(self, openapi: Mapping[str, Any]) -> None:
        self.root: dict[str, Any] = {
            "type": "object",
            "additionalProperties": False,
            **openapi,
            "properties": {**_EVERY_OBJECT, **openapi.get("properties", {})},
        }
        self.validator = _compiled(self.root)

    def problems(self, obj: dict[str, Any]) -> list[Cause]:
        """What is wrong with the form of an object, as decoding finds it."""
        if self.validator.is_valid(obj):
            return []
        causes: list[Cause] = []
        _check(obj, self.root, _Place(str(obj.get("kind") or ""), "", ""), causes)
        return causes

    def known_part(self, obj: dict[str, Any]) -> dict[str, Any]:
        """The object without the fields that its kind does not have."""
        known: dict[str, Any] = _known_part(obj, self.root)
        return known


_EVERY_OBJECT = {
    "apiVersion": {"type": "string"},
    "kind": {"type": "string"},
    "metadata": {"$ref": "#/$defs/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"},
}


def validate(obj: dict[str, Any], own: Schema | None = None) -> list[Cause]:
    """What is wrong with the form of an object; empty when it is right.

    `own` is the schema of a kind that is not built in.

    Raises UnknownKindError when its apiVersion and kind name no built-in kind.
    """
    api_version, kind = obj.get("apiVersion"), obj.get("kind")
    if not isinstance(api_version, str) or not isinstance(kind, str):
        raise UnknownKindError(str(api_version or ""), str(kind or ""))
    if own is not None:
        return own.problems(obj)
    if _validator(api_version, kind).is_valid(obj):
        return []
    root = _root(api_version, kind)
    name = definitions.referred(root)
    struct = kind if name is None else name.rsplit(".", 1)[1]
    causes: list[Cause] = []
    _check(obj, root, _Place(struct, "", ""), causes)
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
    types = (_SCALARS.get(name or "") or compact_form(resolved)).get("type")
    if not _fits(value, types):
        causes.append(_type_cause(value, schema, place))
        return
    if name in _TIMES and not _IS_TIME(value):
        text = f'parsing time "{value}" as "2006-01-02T15:04:05Z07:00": cannot parse it'
        causes.append(Cause(place.full, FIELD_VALUE_TYPE_INVALID, text))
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


def json_type(value: Any) -> str:
    """The JSON type of a value, as error messages name it."""
    found = _json_type(value)
    return {"boolean": "bool", "integer": "number"}.get(found, found)


def without_unknown_fields(obj: dict[str, Any], own: Schema | None = None) -> dict[str, Any]:
    """The object without the fields that its kind does not have."""
    if own is not None:
        return own.known_part(obj)
    known: dict[str, Any] = _known_part(obj, _root(obj["apiVersion"], obj["kind"]))
    return known


def _known_part(value: Any, schema: dict[str, Any]) -> Any:
    resolved = definitions.resolve(schema)
    if isinstance(value, list) and "items" in resolved:
        return [_known_part(item, resolved["items"]) for item in value]
    if not isinstance(value, dict):
        return value
    properties = resolved.get("properties", {})
    extra = resolved.get("additionalProperties", True)
    if extra is False:
        value = {key: item for key, item in value.items() if key in properties}
    rest = extra if isinstance(extra, dict) else {}
    return {key: _known_part(item, properties.get(key, rest)) for key, item in value.items()}


def _type_cause(value: Any, schema: dict[str, Any], place: _Place) -> Cause:
    found = json_type(value)
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


def decoding_error(obj: dict[str, Any], causes: Sequence[Cause]) -> DecodingError:
    """400, as the server words it: the first type error, else all unknown fields together."""
    version = str(obj.get("apiVersion", "")).rpartition("/")[2]
    kind = obj.get("kind", "")
    wrong = [cause.message for cause in causes if cause.reason == FIELD_VALUE_TYPE_INVALID]
    if wrong:
        problem = wrong[0]
    else:
        problem = f"strict decoding error: {', '.join(cause.message for cause in causes)}"
    return DecodingError(kind, version, problem)
