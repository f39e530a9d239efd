"""How the fields of a kind merge: types made from its schema.

A schema says of each list whether it is atomic, a set, or a map with keys
(`x-kubernetes-list-type`), and of each object whether it is granular or atomic
(`x-kubernetes-map-type`); a field may override what its type says. What has no type is taken as it
comes: objects are granular, lists are atomic.

`data/present_fields.json` lists, after the Go sources of the API, the fields that a server always
writes, structs above all: they are in every object, empty or not, so that no client adds them.

Source: kube-openapi's `schemaconv`.
"""

from __future__ import annotations

import importlib.resources
import json
from collections.abc import Mapping
from functools import cache, lru_cache
from typing import Any, Final

from k8sactors.api import definitions
from k8sactors.api.definitions import Definition
from k8sactors.api.schema import Schema

ANY: Final = "any"
SCALAR: Final = "scalar"
LIST: Final = "list"
MAP: Final = "map"
# What a scalar may be: any, or one type of JSON.
UNTYPED: Final = "untyped"
NUMERIC: Final = "numeric"
STRING: Final = "string"
BOOLEAN: Final = "boolean"

_QUANTITY: Final = "io.k8s.apimachinery.pkg.api.resource.Quantity"
_SCALARS: Final = {"integer": NUMERIC, "number": NUMERIC, "boolean": BOOLEAN, "string": STRING}
# Types made of schemas of custom resources are kept for so many of them.
_OWN_TYPES_MAX: Final = 1024
# Defaults that are part of a key: an item that leaves the field out has it all the same.
_KEY_DEFAULTS: Final = {
    ("io.k8s.api.core.v1.ContainerPort", "protocol"): "TCP",
    ("io.k8s.api.core.v1.ServicePort", "protocol"): "TCP",
    ("io.k8s.api.core.v1.LocalObjectReference", "name"): "",
}


class FieldType:
    """The type of a field, or of an object as a whole."""

    __slots__ = (
        "atomic",
        "defaults",
        "element",
        "fields",
        "keys",
        "kind",
        "leaf",
        "present",
        "scalar",
    )

    def __init__(self, kind: str) -> None:
        # ANY, SCALAR, LIST or MAP.
        self.kind = kind
        # Of a scalar: UNTYPED, NUMERIC, STRING or BOOLEAN.
        self.scalar = UNTYPED
        # One owner for all of it.
        self.atomic = False
        # Whether it is atomic or a scalar: nothing is merged in it.
        self.leaf = False
        # Of a map: the fields that the schema names.
        self.fields: dict[str, FieldType] = {}
        # Of a list: its items; of a map: fields that are not named, None: there are no others.
        self.element: FieldType | None = None
        # Of a list: the fields that tell its items apart, sorted; () of a set.
        self.keys: tuple[str, ...] = ()
        # Of a map: defaults of fields that may be keys.
        self.defaults: dict[str, Any] = {}
        # Of a map: the fields that every object of a built-in kind has.
        self.present: frozenset[str] = frozenset()

    def of_field(self, name: str) -> FieldType:
        """The type of a field of a map."""
        return self.fields.get(name) or self.element or DEDUCED


DEDUCED: Final = FieldType(ANY)
DEDUCED.element = DEDUCED
_NOTHING: Final[frozenset[str]] = frozenset()


@cache
def _present_fields() -> dict[str, frozenset[str]]:
    data = importlib.resources.files("k8sactors.api") / "data" / "present_fields.json"
    table: dict[str, str] = json.loads(data.read_text("utf-8"))
    return {name: frozenset(fields.split()) for name, fields in table.items()}


_named: dict[tuple[str, str], FieldType] = {}


@cache
def type_of_kind(api_version: str, kind: str) -> FieldType:
    """The type of a built-in kind.

    Raises:
        UnknownKindError: the release has no such kind.
    """
    return _named_type(definitions.definition_name(api_version, kind), "")


@lru_cache(maxsize=_OWN_TYPES_MAX)
def type_of_schema(schema: Schema) -> FieldType:
    """The type of a kind that brings its own schema."""
    return _type(schema.root)


def _named_type(name: str, map_type: str) -> FieldType:
    """The type of a definition; `map_type` is what a field says of it, "" nothing."""
    found = _named.get((name, map_type))
    if found is None:
        definition = definitions.definitions()[name]
        if map_type:
            definition = {**definition, "x-kubernetes-map-type": map_type}
        # Known before it is complete: a type may contain itself.
        found = _named[name, map_type] = FieldType(ANY)
        _fill(found, definition)
        if name == _QUANTITY:
            found.scalar = UNTYPED
        found.present = _present_fields().get(name, _NOTHING)
        found.defaults = {
            field: default for (owner, field), default in _KEY_DEFAULTS.items() if owner == name
        }
    return found


def _type(schema: Mapping[str, Any]) -> FieldType:
    name = definitions.referred(dict(schema)) if "$ref" in schema else None
    if name is not None:
        return _named_type(name, schema.get("x-kubernetes-map-type", ""))
    found = FieldType(ANY)
    _fill(found, schema)
    return found


def _fill(found: FieldType, schema: Mapping[str, Any]) -> None:
    _fill_kind(found, schema)
    found.leaf = found.atomic or found.kind == SCALAR


def _fill_kind(found: FieldType, schema: Mapping[str, Any]) -> None:
    kind = _json_type(schema)
    if schema.get("x-kubernetes-int-or-string") or "oneOf" in schema:
        found.kind = SCALAR
    elif kind == "object" or (not kind and schema.get("properties")):
        _fill_map(found, schema)
    elif kind == "array":
        _fill_list(found, schema)
    elif kind in _SCALARS:
        found.kind = SCALAR
        if kind != "string" or not schema.get("format") or schema.get("format") == "byte":
            found.scalar = _SCALARS[kind]
    else:
        found.element = DEDUCED


def _json_type(schema: Mapping[str, Any]) -> str:
    types = schema.get("type") or ()
    listed = [types] if isinstance(types, str) else types
    return next((kind for kind in listed if kind != "null"), "")


def _fill_map(found: FieldType, schema: Mapping[str, Any]) -> None:
    found.kind = MAP
    found.atomic = schema.get("x-kubernetes-map-type") == "atomic"
    properties: Definition = schema.get("properties") or {}
    found.fields = {name: _type(inner) for name, inner in properties.items()}
    found.defaults = {
        name: inner["default"]
        for name, inner in properties.items()
        if isinstance(inner, dict) and "default" in inner
    }
    if schema.get("x-kubernetes-embedded-resource"):
        for name, inner in _EMBEDDED.items():
            found.fields.setdefault(name, _type(inner))
    extra = schema.get("additionalProperties")
    if isinstance(extra, dict):
        found.element = _type(extra)
        return
    preserves = extra is True or schema.get("x-kubernetes-preserve-unknown-fields")
    if preserves or (extra is None and not properties):
        found.element = DEDUCED


_EMBEDDED: Final = {
    "apiVersion": {"type": "string"},
    "kind": {"type": "string"},
    "metadata": {"$ref": "#/$defs/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"},
}


def _fill_list(found: FieldType, schema: Mapping[str, Any]) -> None:
    found.kind = LIST
    items = schema.get("items")
    found.element = _type(items) if isinstance(items, dict) else DEDUCED
    list_type = schema.get("x-kubernetes-list-type")
    if list_type == "map":
        found.keys = tuple(sorted(schema.get("x-kubernetes-list-map-keys") or ()))
    elif list_type != "set":
        # Lists without a list type say how they merge by their patch strategy, if at all.
        merges = "merge" in schema.get("x-kubernetes-patch-strategy", "").split(",")
        key = schema.get("x-kubernetes-patch-merge-key")
        found.atomic = list_type == "atomic" or not merges
        if key and not found.atomic:
            found.keys = (key,)
