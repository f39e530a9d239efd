"""What an object's JSON means to a server in Go: which values are absent, and canonical forms.

A real API server decodes JSON into Go structs and encodes those again. A field that is a plain
value there (a string, a number, a boolean, a list, a map) and is left out when empty cannot hold an
explicit zero: `[]`, `{}`, `""`, `0` and `false` mean "absent", and are defaulted where absent is
defaulted. A field that is a pointer keeps the explicit value. On the same way bytes and quantities
get their canonical form.

`data/empty_fields.json` lists the plain fields of every type, after the Go sources of the API; the
nesting of types comes from the OpenAPI definitions. Objects that are in this form already are
recognised by one native schema check per kind (`is_exact`); only the others are walked through.
"""

from __future__ import annotations

import base64
import binascii
import importlib.resources
import json
from collections.abc import Callable
from functools import cache
from typing import Any

import jsonschema_rs

from k8sactors.api import definitions, quantity, schema
from k8sactors.api.errors import Base64Error, QuantityError

Object = dict[str, Any]
Step = Callable[[Any], Any]

_QUANTITY = "io.k8s.apimachinery.pkg.api.resource.Quantity"
# Amounts of resources in this group are rounded up to milli; quantities elsewhere to nano.
_CORE = "io.k8s.api.core.v1."
_NOTHING: frozenset[str] = frozenset()


@cache
def _plain_fields() -> dict[str, frozenset[str]]:
    """By type: the fields that are left out when they are empty."""
    data = importlib.resources.files("k8sactors.api") / "data" / "empty_fields.json"
    table: dict[str, str] = json.loads(data.read_text("utf-8"))
    return {name: frozenset(fields.split()) for name, fields in table.items()}


class Struct:
    """A type: which of its fields vanish when empty, and what is done to the others."""

    __slots__ = ("plain", "steps")

    def __init__(self) -> None:
        self.plain = _NOTHING
        self.steps: dict[str, Step] = {}

    def __call__(self, obj: Any) -> Any:
        """The object as the server sees it; the same one if it is that already."""
        if not isinstance(obj, dict):
            return obj
        result = obj
        plain, steps = self.plain, self.steps
        for key, value in obj.items():
            if not value and (value is None or key in plain):
                if result is obj:
                    result = obj.copy()
                del result[key]
                continue
            step = steps.get(key)
            if step is not None:
                new = step(value)
                if new is not value:
                    if result is obj:
                        result = obj.copy()
                    result[key] = new
        return result


def _each(step: Step) -> Step:
    """The step on every item of a list."""

    def apply(items: Any) -> Any:
        if not isinstance(items, list):
            return items
        new = [step(item) for item in items]
        return items if all(a is b for a, b in zip(items, new, strict=True)) else new

    return apply


def _every(step: Step) -> Step:
    """The step on every value of a map."""

    def apply(values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        new = {key: step(value) for key, value in values.items()}
        return values if all(values[key] is new[key] for key in values) else new

    return apply


def _amount(value: Any) -> Any:
    """A quantity in canonical form; one that does not parse stays for validation."""
    try:
        text = quantity.canonical(value)
    except (QuantityError, TypeError):
        return value
    return value if text == value else text


def _amount_of_resource(value: Any) -> Any:
    """As `_amount`, rounded up to milli."""
    try:
        text = quantity.canonical_milli(value)
    except (QuantityError, TypeError):
        return value
    return value if text == value else text


def _bytes(value: Any) -> Any:
    """Base64 in canonical form; line ends within it are taken.

    Raises:
        Base64Error: it is no base64.
    """
    if not isinstance(value, str):
        return value
    try:
        raw = base64.b64decode(value.replace("\n", "").replace("\r", ""), validate=True)
    except (binascii.Error, ValueError):
        raise Base64Error(_illegal_byte(value)) from None
    text = base64.b64encode(raw).decode()
    return value if text == value else text


_GROUP = 4
_ALPHABET = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")


def _illegal_byte(text: str) -> int:
    """Where Go's decoder stops at a text that is no base64."""
    places = [place for place, char in enumerate(text) if char not in "\r\n"]
    count = 0
    for number, place in enumerate(places):
        if text[place] in _ALPHABET:
            count += 1
            continue
        if text[place] != "=" or count % _GROUP < _GROUP // 2:
            return place
        rest = places[number + 1 :]
        if count % _GROUP == _GROUP // 2:
            if not rest:
                return len(text)
            if text[rest[0]] != "=":
                return rest[0]
            rest = rest[1:]
        return rest[0] if rest else len(text)
    return len(text) - count % _GROUP


def _step(form: definitions.Definition, owner: str, known: dict[str, Struct]) -> Step | None:
    """What is done to a value of this schema; None: nothing."""
    name = definitions.referred(form)
    if name == _QUANTITY:
        return _amount
    if name is not None:
        return _struct(name, known) if "properties" in definitions.definitions()[name] else None
    if form.get("format") == "byte":
        return _bytes
    items, extra = form.get("items"), form.get("additionalProperties")
    if isinstance(items, dict):
        step = _item(items, _step(items, owner, known))
        return None if step is None else _each(step)
    if isinstance(extra, dict):
        step = _step(extra, owner, known)
        if step is _amount and owner.startswith(_CORE):
            step = _amount_of_resource
        step = _item(extra, step)
        return None if step is None else _every(step)
    return None


_ZEROS: dict[str, Any] = {"string": "", "boolean": False, "integer": 0, "number": 0}


def _item(form: definitions.Definition, step: Step | None) -> Step | None:
    """The step on an item of a list or map: there, null is the zero value of the item's type."""
    resolved = definitions.resolve(form)
    kinds = resolved.get("type") or ()
    kind = next(
        (one for one in ([kinds] if isinstance(kinds, str) else kinds) if one != "null"), ""
    )
    struct = "properties" in resolved
    if not struct and (kind not in _ZEROS or definitions.referred(form) is not None):
        return step
    zero = _ZEROS.get(kind)

    def apply(value: Any) -> Any:
        if value is None:
            return {} if struct else zero
        return value if step is None else step(value)

    return apply


def _struct(name: str, known: dict[str, Struct]) -> Struct:
    found = known.get(name)
    if found is None:
        # Known before it is complete: a type may contain itself.
        found = known[name] = Struct()
        found.plain = _plain_fields().get(name, _NOTHING)
        for field, form in definitions.definitions()[name].get("properties", {}).items():
            step = _step(form, name, known)
            if step is not None:
                found.steps[field] = step
    return found


_known: dict[str, Struct] = {}


@cache
def struct_of(api_version: str, kind: str) -> Struct:
    """The type of a built-in kind.

    Raises:
        UnknownKindError: the release has no such kind.
    """
    return _struct(definitions.definition_name(api_version, kind), _known)


# What is surely canonical; other canonical texts are found to be so by the walk.
_CANONICAL_AMOUNT = {
    "type": "string",
    "pattern": (
        "^(0|[1-9][0-9]{0,2}([mkMGTPE]|[KMGTPE]i)?"
        "|[1-9][0-9]*([1-9]00|[0-9][1-9]0|[0-9]{2}[1-9])[mkMG]?)$"
    ),
}
_CANONICAL_BYTES = {
    "type": "string",
    "pattern": (
        "^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/][AQgw]==|[A-Za-z0-9+/]{2}[AEIMQUYcgkosw048]=)?$"
    ),
}
_NOT_EMPTY: dict[str, dict[str, Any]] = {
    "string": {"minLength": 1},
    "array": {"minItems": 1},
    "object": {"minProperties": 1},
    "boolean": {"const": True},
    "integer": {"not": {"const": 0}},
    "number": {"not": {"const": 0}},
}


def _exact(form: dict[str, Any], *, plain: bool = False) -> dict[str, Any]:
    """The strict form of a field, narrowed to values that the server would leave as they are."""
    name = definitions.referred(form)
    if name == _QUANTITY:
        return _CANONICAL_AMOUNT
    if name is not None:
        return {"$ref": form["$ref"]}
    if form.get("format") == "byte":
        return {**_CANONICAL_BYTES, "minLength": 1} if plain else _CANONICAL_BYTES
    exact = schema.compact_form(form)
    types = [kind for kind in exact.get("type", ()) if kind != "null"]
    if types:
        exact["type"] = types
        if plain:
            exact.update(_NOT_EMPTY[types[0]])
    for inner in ("items", "additionalProperties"):
        if isinstance(form.get(inner), dict):
            exact[inner] = _exact(form[inner])
    return exact


def _exact_types(name: str, found: dict[str, Any]) -> None:
    """Collect the narrowed definitions of a type and of all that it holds."""
    if name in found:
        return
    form = definitions.definitions()[name]
    if "properties" not in form:
        found[name] = schema.scalar(name) or schema.compact_form(form)
        return
    plain = _plain_fields().get(name, _NOTHING)
    found[name] = {
        **schema.compact_form(form),
        "type": "object",
        "properties": {
            field: _exact(inner, plain=field in plain)
            for field, inner in form["properties"].items()
        },
    }
    for inner in _references(form):
        _exact_types(inner, found)


def _references(form: definitions.Definition) -> list[str]:
    """The names of all definitions that a schema refers to."""
    name = definitions.referred(form)
    if name is not None:
        return [name]
    inner = [*form.get("properties", {}).values(), form.get("items")]
    inner.append(form.get("additionalProperties"))
    return [name for item in inner if isinstance(item, dict) for name in _references(item)]


@cache
def _exact_validator(api_version: str, kind: str) -> jsonschema_rs.Validator:
    root = definitions.definition_name(api_version, kind)
    found: dict[str, Any] = {}
    _exact_types(root, found)
    validator: jsonschema_rs.Validator = jsonschema_rs.validator_for(
        {"$ref": f"#/$defs/{root}", "$defs": found}
    )
    return validator


def is_exact(obj: Object) -> bool:
    """Whether an object has the form of its (built-in) kind, and nothing in it would change.

    False where that cannot be told cheaply.

    Raises:
        UnknownKindError: the release has no such kind.
    """
    api_version, kind = obj.get("apiVersion"), obj.get("kind")
    if not isinstance(api_version, str) or not isinstance(kind, str):
        return False
    return bool(_exact_validator(api_version, kind).is_valid(obj))


@cache
def metadata_struct() -> Struct:
    """The type of every object's metadata."""
    return _struct("io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta", _known)
