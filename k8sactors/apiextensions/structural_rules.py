"""Is the schema of a definition a structural one?

Every field has a type; `properties` and `additionalProperties` exclude each other; what stands in
`allOf`, `anyOf`, `oneOf` and `not` only restricts values. Deep and huge schemas are refused before
anything walks through them. Source: `apiextensions-apiserver/pkg/apiserver/schema/validation.go`
and `pkg/apis/apiextensions/validation/validation.go`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from k8sactors.api import schema as schema_form
from k8sactors.api.errors import Cause
from k8sactors.api.validation import fields
from k8sactors.apiextensions.structural import (
    EMBEDDED,
    INT_OR_STRING,
    LIST_MAP_KEYS,
    LIST_TYPE,
    MAP_TYPE,
    PRESERVE,
    VALIDATIONS,
    Node,
    defaulted,
    pruned,
)
from k8sactors.apiextensions.values import check_value, pattern_validator

Causes = list[Cause]
_FORM: Final = "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaProps"
DEPTH_MAX: Final = 100
NODES_MAX: Final = 20_000
_TYPES: Final = ("array", "boolean", "integer", "number", "object", "string")
_LISTED: Final = ("allOf", "anyOf", "oneOf")
_UNSUPPORTED: Final = (
    "$ref",
    "$schema",
    "additionalItems",
    "definitions",
    "dependencies",
    "id",
    "patternProperties",
)
# What may not stand inside of allOf, anyOf, oneOf and not.
_OUTSIDE: Final = (
    "title",
    "description",
    "default",
    "type",
    "additionalProperties",
    "nullable",
    PRESERVE,
    EMBEDDED,
    INT_OR_STRING,
    LIST_TYPE,
    LIST_MAP_KEYS,
    MAP_TYPE,
    VALIDATIONS,
)
_METADATA_FIELDS: Final = frozenset({"name", "generateName"})


def _inner_schemas(schema: Node, path: str) -> Iterator[tuple[str, Any]]:
    """The schemas directly inside of one, by their paths."""
    for key, part in (schema.get("properties") or {}).items():
        yield f"{path}.properties[{key}]", part
    for name in _LISTED:
        for place, part in enumerate(schema.get(name) or ()):
            yield f"{path}.{name}[{place}]", part
    # A list of items, and a yes or no to other properties, have rules of their own.
    for name, apart in (("items", list), ("additionalProperties", bool), ("not", ())):
        part = schema.get(name)
        if part is not None and not isinstance(part, apart):
            yield f"{path}.{name}", part


def _is_walkable(schema: Node, path: str, causes: Causes) -> bool:
    """Whether a schema may be walked through: its size, and the form of all schemas in it.

    The form of the whole definition was checked when it was decoded, but for what `items` and
    `additionalProperties` hold, which may be something else than a schema.
    """
    level: list[tuple[str, Any]] = [(path, schema)]
    depth = nodes = 0
    while level:
        depth += 1
        nodes += len(level)
        if depth > DEPTH_MAX:
            text = f"must not be nested more than {DEPTH_MAX} levels deep"
            causes.append(fields.forbidden(path, text))
            return False
        if nodes > NODES_MAX:
            text = f"must not have more than {NODES_MAX} schemas in it"
            causes.append(fields.forbidden(path, text))
            return False
        for where, each in level:
            if not _is_schema(each):
                causes.append(fields.invalid(where, each, "must be a schema"))
                return False
        level = [inner for where, each in level for inner in _inner_schemas(each, where)]
    return True


def _is_schema(value: Any) -> bool:
    if not isinstance(value, Mapping):
        return False
    rules = value.get(VALIDATIONS) or ()
    # Only the outermost of what is not checked yet: its form is that of all below it.
    return all(isinstance(each, Mapping) for each in rules) and all(
        schema_form.is_of_form(value[name], _FORM)
        for name in ("items", "additionalProperties")
        if isinstance(value.get(name), Mapping)
    )


def check_schema(schema: Node, path: str, causes: Causes) -> None:
    """Add what is wrong with the schema of a version; `path` is where it stands."""
    if not _is_walkable(schema, path, causes):
        return
    kind = schema.get("type")
    if not kind:
        causes.append(fields.required(f"{path}.type", "must not be empty at the root"))
    elif kind != "object":
        causes.append(fields.invalid(f"{path}.type", kind, "must be object at the root"))
    if schema.get("nullable"):
        causes.append(fields.forbidden(f"{path}.nullable", "nullable cannot be true at the root"))
    metadata = (schema.get("properties") or {}).get("metadata")
    if metadata is not None and not set(metadata.get("properties") or ()) <= _METADATA_FIELDS:
        text = "must not specify anything other than name and generateName, but metadata is "
        causes.append(
            fields.forbidden(f"{path}.properties[metadata]", f"{text}implicitly specified")
        )
    _check_node(schema, path, causes)


def _check_node(schema: Node, path: str, causes: Causes) -> None:
    _check_unsupported(schema, path, causes)
    _check_type(schema, path, causes)
    _check_extensions(schema, path, causes)
    _check_pattern(schema, path, causes)
    for name in _LISTED:
        for place, part in enumerate(schema.get(name) or ()):
            _check_restriction(part, schema, f"{path}.{name}[{place}]", causes)
    if schema.get("not") is not None:
        _check_restriction(schema["not"], schema, f"{path}.not", causes)
    if "default" in schema:
        _check_default(schema, f"{path}.default", causes)
    for name, part in (schema.get("properties") or {}).items():
        where = f"{path}.properties[{name}]"
        _check_typed(part, where, "must not be empty for specified object fields", causes)
        _check_node(part, where, causes)
    for name, of in (("items", "array items"), ("additionalProperties", "object fields")):
        part = schema.get(name)
        if isinstance(part, Mapping):
            text = f"must not be empty for specified {of}"
            _check_typed(part, f"{path}.{name}", text, causes)
            _check_node(part, f"{path}.{name}", causes)


def _check_typed(schema: Node, path: str, text: str, causes: Causes) -> None:
    if not (schema.get("type") or schema.get(INT_OR_STRING) or schema.get(PRESERVE)):
        causes.append(fields.required(f"{path}.type", text))


def _check_unsupported(schema: Node, path: str, causes: Causes) -> None:
    causes += [
        fields.forbidden(f"{path}.{name}", f"{name} is not supported")
        for name in _UNSUPPORTED
        if schema.get(name) is not None
    ]
    if schema.get("uniqueItems"):
        text = "uniqueItems cannot be set to true since the runtime complexity becomes quadratic"
        causes.append(fields.forbidden(f"{path}.uniqueItems", text))
    others = schema.get("additionalProperties")
    if others is False:
        text = "additionalProperties cannot be set to false"
        causes.append(fields.forbidden(f"{path}.additionalProperties", text))
    if others and schema.get("properties"):
        text = "additionalProperties and properties are mutual exclusive"
        causes.append(fields.forbidden(f"{path}.additionalProperties", text))
    if isinstance(schema.get("items"), list):
        text = "items must be a schema object and not an array"
        causes.append(fields.forbidden(f"{path}.items", text))


def _check_type(schema: Node, path: str, causes: Causes) -> None:
    kind = schema.get("type")
    if kind and kind not in _TYPES:
        causes.append(fields.not_supported(f"{path}.type", kind, _TYPES))
    if kind == "array" and schema.get("items") is None and not schema.get(PRESERVE):
        causes.append(fields.required(f"{path}.items", "must be specified"))
    if schema.get(INT_OR_STRING) and kind:
        text = f"must be empty if {INT_OR_STRING} is true"
        causes.append(fields.invalid(f"{path}.type", kind, text))
    if schema.get(EMBEDDED):
        if kind != "object":
            text = f"must be object if {EMBEDDED} is true"
            causes.append(fields.invalid(f"{path}.type", kind or "", text))
        if not schema.get("properties") and not schema.get(PRESERVE):
            text = f"must not be empty if {EMBEDDED} is true without {PRESERVE}"
            causes.append(fields.required(f"{path}.properties", text))
    if schema.get("properties") and kind not in {None, "", "object"}:
        text = "must be object if properties is specified"
        causes.append(fields.invalid(f"{path}.type", kind, text))


def _check_extensions(schema: Node, path: str, causes: Causes) -> None:
    if schema.get(PRESERVE) is False:
        causes.append(fields.invalid(f"{path}.{PRESERVE}", False, "must be true or undefined"))
    shape = schema.get(MAP_TYPE)
    if shape is not None and shape not in {"atomic", "granular"}:
        causes.append(fields.not_supported(f"{path}.{MAP_TYPE}", shape, ("atomic", "granular")))
    kind, keys = schema.get(LIST_TYPE), schema.get(LIST_MAP_KEYS) or ()
    if kind is not None:
        if kind not in {"atomic", "map", "set"}:
            allowed = ("atomic", "map", "set")
            causes.append(fields.not_supported(f"{path}.{LIST_TYPE}", kind, allowed))
        if schema.get("type") != "array":
            text = f"must be array if {LIST_TYPE} is specified"
            causes.append(fields.invalid(f"{path}.type", schema.get("type") or "", text))
    if kind == "map":
        _check_map_keys(schema, keys, path, causes)
    elif keys:
        text = f"must be empty if {LIST_TYPE} is not map"
        causes.append(fields.forbidden(f"{path}.{LIST_MAP_KEYS}", text))


def _check_map_keys(schema: Node, keys: Any, path: str, causes: Causes) -> None:
    where = f"{path}.{LIST_MAP_KEYS}"
    if not keys:
        text = f"must not be empty if {LIST_TYPE} is map"
        causes.append(fields.required(where, text))
    items = schema.get("items")
    if not isinstance(items, Mapping):
        return
    if items.get("type") != "object":
        text = f"must be object if parent array's {LIST_TYPE} is map"
        causes.append(fields.invalid(f"{path}.items.type", items.get("type") or "", text))
    properties = items.get("properties") or {}
    seen: dict[str, None] = {}
    for place, key in enumerate(keys):
        if key in seen:
            causes.append(fields.duplicate(f"{where}[{place}]", key))
        seen[key] = None
        part = properties.get(key)
        if part is None:
            text = "entries must all be names of item properties"
            causes.append(fields.invalid(f"{where}[{place}]", key, text))
        elif key not in (items.get("required") or ()) and "default" not in part:
            text = f"this property is in {LIST_MAP_KEYS}, so it must have a default or be a "
            field = f"{path}.items.properties[{key}].default"
            causes.append(fields.required(field, f"{text}required property"))


def _check_pattern(schema: Node, path: str, causes: Causes) -> None:
    pattern = schema.get("pattern")
    if not pattern:
        return
    try:
        pattern_validator(pattern)
    except ValueError:
        text = "must be a valid regular expression, but isn't"
        causes.append(fields.invalid(f"{path}.pattern", pattern, text))


def _check_restriction(part: Node, outer: Node, path: str, causes: Causes) -> None:
    """A schema in allOf, anyOf, oneOf or not says nothing of the structure."""
    is_int_or_string = outer.get(INT_OR_STRING) and part.get("type") in {"integer", "string"}
    for name in _OUTSIDE:
        if part.get(name) and not (name == "type" and is_int_or_string):
            text = "must be undefined to be structural"
            if name in {"type", "description", "title", LIST_TYPE, LIST_MAP_KEYS, VALIDATIONS}:
                text = "must be empty to be structural"
            causes.append(fields.forbidden(f"{path}.{name}", text))
    _check_pattern(part, path, causes)
    known = outer.get("properties") or {}
    for name, inner in (part.get("properties") or {}).items():
        where = f"{path}.properties[{name}]"
        if name not in known and not isinstance(outer.get("additionalProperties"), Mapping):
            shown = where.replace(".not.", ".").partition(".properties[")[2]
            text = f"because it is defined in {where}"
            outer_path = path.rpartition(".")[0]
            causes.append(fields.required(f"{outer_path}.properties[{shown}", text))
        _check_restriction(inner, known.get(name) or {}, where, causes)
    items = part.get("items")
    if isinstance(items, Mapping):
        inside = outer.get("items")
        _check_restriction(
            items, inside if isinstance(inside, Mapping) else {}, f"{path}.items", causes
        )
    for name in _LISTED:
        for place, inner in enumerate(part.get(name) or ()):
            _check_restriction(inner, outer, f"{path}.{name}[{place}]", causes)
    if part.get("not") is not None:
        _check_restriction(part["not"], outer, f"{path}.not", causes)


def _check_default(schema: Node, path: str, causes: Causes) -> None:
    value = schema["default"]
    if value is None:
        if not schema.get("nullable"):
            causes.append(fields.invalid(path, None, "must not be null"))
        return
    unknown: list[str] = []
    pruned(value, schema, unknown)
    if unknown:
        causes.append(fields.invalid(path, value, "must not have unknown fields"))
    found: Causes = []
    check_value(defaulted(value, schema), schema, path, found)
    causes += found
