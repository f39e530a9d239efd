"""Are the values of a custom resource those that its schema allows?

Texts, reasons and paths are those of the real server (kube-openapi's validator, and how
apiextensions-apiserver turns its errors into causes). On an update, what has not changed is not
looked at again (KEP-4008, ratcheting).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

import jsonschema_rs

from k8sactors.api.errors import (
    FIELD_VALUE_INVALID,
    FIELD_VALUE_TOO_MANY,
    FIELD_VALUE_TYPE_INVALID,
    Cause,
)
from k8sactors.api.validation import fields
from k8sactors.apiextensions.formats import fits_format
from k8sactors.apiextensions.structural import (
    EMBEDDED,
    INT_OR_STRING,
    LIST_MAP_KEYS,
    LIST_TYPE,
    PRESERVE,
    Node,
)

Causes = list[Cause]
# Stands for "there was no old value": None is one.
ABSENT: Final = object()


def check_value(value: Any, schema: Node, path: str, causes: Causes, old: Any = ABSENT) -> None:
    """Add what is wrong with `value`; `old` is the value before an update."""
    if old is not ABSENT and old == value and type(old) is type(value):
        return
    if value is None and (schema.get("nullable") or schema.get(PRESERVE)):
        return
    types = ("integer", "string") if schema.get(INT_OR_STRING) else _types(schema)
    if types and not _is_one_of(value, types):
        causes.append(_wrong_type(path, ",".join(types), _type_of(value)))
        return
    _check_scalar(value, schema, path, causes)
    if isinstance(value, dict):
        _check_object(value, schema, path, causes, old)
    elif isinstance(value, list):
        _check_list(value, schema, path, causes, old)
    if not schema.keys().isdisjoint(_JUNCTORS):
        _check_junctors(value, schema, path, causes)


_JUNCTORS: Final = frozenset({"allOf", "anyOf", "oneOf", "not"})


def _types(schema: Node) -> tuple[str, ...]:
    found = schema.get("type")
    return (found,) if found else ()


def _type_of(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case str():
            return "string"
        case int():
            return "integer"
        case float():
            return "number"
        case list():
            return "array"
        case _:
            return "object"


def _is_one_of(value: Any, types: tuple[str, ...]) -> bool:
    found = _type_of(value)
    if found in types:
        return True
    if found == "integer":
        return "number" in types
    return found == "number" and "integer" in types and value.is_integer()


def _wrong_type(path: str, wanted: str, found: str) -> Cause:
    text = f'Invalid value: "{found}": {path} in body must be of type {wanted}: "{found}"'
    return Cause(path, FIELD_VALUE_TYPE_INVALID, text)


def _said(path: str, value: Any, text: str) -> Cause:
    return fields.invalid(path, value, f"{path} in body {text}")


def _check_scalar(value: Any, schema: Node, path: str, causes: Causes) -> None:
    allowed = schema.get("enum")
    if allowed is not None and not any(_is_equal(value, each) for each in allowed):
        names = [each if isinstance(each, str) else fields.show(each) for each in allowed]
        shown = ", ".join(fields.show(name) for name in names)
        text = f"Unsupported value: {fields.show(value)}: supported values: {shown}"
        causes.append(Cause(path, "FieldValueNotSupported", text))
    if isinstance(value, str):
        _check_text(value, schema, path, causes)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        _check_number(value, schema, path, causes)


def _is_equal(value: Any, other: Any) -> bool:
    return isinstance(value, bool) == isinstance(other, bool) and bool(value == other)


def _check_text(value: str, schema: Node, path: str, causes: Causes) -> None:
    longest, shortest = schema.get("maxLength"), schema.get("minLength")
    if longest is not None and len(value) > longest:
        causes.append(fields.too_long(path, longest))
    if shortest is not None and len(value) < shortest:
        causes.append(_said(path, value, f"should be at least {shortest} chars long"))
    pattern = schema.get("pattern")
    if pattern is not None and not pattern_validator(pattern).is_valid(value):
        causes.append(_said(path, value, f"should match '{pattern}'"))
    name = schema.get("format")
    if name and not fits_format(value, name):
        text = f"{path} in body must be of type {name}: {fields.show(value)}"
        cause = fields.invalid(path, value, text)
        causes.append(Cause(path, FIELD_VALUE_TYPE_INVALID, cause.message))


@lru_cache(maxsize=1024)
def pattern_validator(pattern: str) -> jsonschema_rs.Validator:
    """Tells whether texts match a pattern, in time that grows with the text alone (as RE2 does).

    Raises:
        ValueError: it is no regular expression.
    """
    return jsonschema_rs.Draft202012Validator(
        {"pattern": pattern}, pattern_options=jsonschema_rs.RegexOptions()
    )


def _check_number(value: float, schema: Node, path: str, causes: Causes) -> None:
    greatest, least = schema.get("maximum"), schema.get("minimum")
    if greatest is not None:
        if schema.get("exclusiveMaximum"):
            if value >= greatest:
                causes.append(_said(path, value, f"should be less than {greatest:g}"))
        elif value > greatest:
            causes.append(_said(path, value, f"should be less than or equal to {greatest:g}"))
    if least is not None:
        if schema.get("exclusiveMinimum"):
            if value <= least:
                causes.append(_said(path, value, f"should be greater than {least:g}"))
        elif value < least:
            causes.append(_said(path, value, f"should be greater than or equal to {least:g}"))
    step = schema.get("multipleOf")
    if step and not float(value / step).is_integer():
        causes.append(_said(path, value, f"should be a multiple of {step:g}"))


def _too_many(path: str, found: int, limit: int) -> Cause:
    text = f"Too many: {found}: must have at most {limit} items"
    return Cause(path, FIELD_VALUE_TOO_MANY, text)


def _check_object(value: dict[str, Any], schema: Node, path: str, causes: Causes, old: Any) -> None:
    most, fewest = schema.get("maxProperties"), schema.get("minProperties")
    if most is not None and len(value) > most:
        causes.append(_too_many(path, len(value), most))
    if fewest is not None and len(value) < fewest:
        causes.append(_said(path, value, f"should have at least {fewest} properties"))
    prefix = f"{path}." if path else ""
    causes += [
        fields.required(f"{prefix}{name}")
        for name in schema.get("required") or ()
        if name not in value
    ]
    if schema.get(EMBEDDED):
        causes += [
            fields.required(f"{prefix}{name}", "must not be empty")
            for name in ("apiVersion", "kind")
            if not value.get(name)
        ]
    properties = schema.get("properties") or {}
    others = schema.get("additionalProperties")
    before = old if isinstance(old, dict) else {}
    for key, item in value.items():
        part = properties.get(key, others)
        if isinstance(part, Mapping):
            check_value(item, part, f"{prefix}{key}", causes, before.get(key, ABSENT))


def _check_list(value: list[Any], schema: Node, path: str, causes: Causes, old: Any) -> None:
    most, fewest = schema.get("maxItems"), schema.get("minItems")
    if most is not None and len(value) > most:
        causes.append(_too_many(path, len(value), most))
        return
    if fewest is not None and len(value) < fewest:
        causes.append(_said(path, value, f"should have at least {fewest} items"))
    _check_unique(value, schema, path, causes)
    items = schema.get("items")
    if not isinstance(items, Mapping):
        return
    partners = correlated(value, schema, old)
    for place, item in enumerate(value):
        check_value(item, items, f"{path}[{place}]", causes, partners[place])


def correlated(value: list[Any], schema: Node, old: Any) -> list[Any]:
    """For each item the one that it was before: lists of the type map have keys."""
    nothing = [ABSENT] * len(value)
    if not isinstance(old, list):
        return nothing
    if schema.get(LIST_TYPE) != "map":
        # Items of other lists have no identity; one that was there already has not changed.
        return [item if item in old else ABSENT for item in value]
    keys = schema.get(LIST_MAP_KEYS) or ()
    before = {_identity(item, keys): item for item in old if isinstance(item, dict)}
    return [
        before.get(_identity(item, keys), ABSENT) if isinstance(item, dict) else ABSENT
        for item in value
    ]


def _identity(item: Mapping[str, Any], keys: Any) -> str:
    return fields.show([item.get(key) for key in keys])


def _check_unique(value: list[Any], schema: Node, path: str, causes: Causes) -> None:
    kind = schema.get(LIST_TYPE)
    if kind not in {"map", "set"}:
        return
    keys = schema.get(LIST_MAP_KEYS) or ()
    seen: dict[str, None] = {}
    for place, item in enumerate(value):
        if kind == "set":
            shown, identity = item, fields.show(item)
        elif isinstance(item, dict):
            shown = {key: item[key] for key in keys if key in item}
            identity = _identity(item, keys)
        else:
            continue
        if identity in seen:
            causes.append(fields.duplicate(f"{path}[{place}]", shown))
        seen[identity] = None


def _check_junctors(value: Any, schema: Node, path: str, causes: Causes) -> None:
    def failures(part: Node) -> Causes:
        found: Causes = []
        check_value(value, part, path, found)
        return found

    name = f'"{path}"'
    for part in schema.get("allOf") or ():
        found = failures(part)
        causes += found
        if found:
            causes.append(_junctor(path, f"{name} must validate all the schemas (allOf)"))
    any_of, one_of = schema.get("anyOf"), schema.get("oneOf")
    if any_of:
        tries = [failures(part) for part in any_of]
        if all(tries):
            text = f"{name} must validate at least one schema (anyOf)"
            causes += [_junctor(path, text), *_fewest(tries)]
    if one_of:
        tries = [failures(part) for part in one_of]
        valid = sum(not found for found in tries)
        if valid != 1:
            text = f"{name} must validate one and only one schema (oneOf). "
            text += f"Found {valid} valid alternatives" if valid else "Found none valid"
            causes.append(_junctor(path, text))
            if not valid:
                causes += _fewest(tries)
    excluded = schema.get("not")
    if excluded is not None and not failures(excluded):
        causes.append(_junctor(path, f"{name} must not validate the schema (not)"))


def _fewest(tries: list[Causes]) -> Causes:
    """The failures of the alternative that comes nearest."""
    fewest = min(len(found) for found in tries)
    return next(found for found in tries if len(found) == fewest)


def _junctor(path: str, text: str) -> Cause:
    return Cause(path, FIELD_VALUE_INVALID, f'Invalid value: "": {text}')
