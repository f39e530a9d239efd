"""A structural schema: what a version of a custom resource holds, prunes and defaults.

The schema is OpenAPI as it stands in the definition, checked beforehand
(`apiextensions.structural_rules`): every field has a type, so that pruning and defaulting follow
from it. Objects are JSON values; functions return new ones that share what did not change.
Source: `apiextensions-apiserver/pkg/apiserver/schema` (`pruning`, `defaulting`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from k8sactors.api.errors import FIELD_UNKNOWN, Cause
from k8sactors.api.schema import Schema

Object = dict[str, Any]
Node = Mapping[str, Any]

PRESERVE: Final = "x-kubernetes-preserve-unknown-fields"
EMBEDDED: Final = "x-kubernetes-embedded-resource"
INT_OR_STRING: Final = "x-kubernetes-int-or-string"
LIST_TYPE: Final = "x-kubernetes-list-type"
LIST_MAP_KEYS: Final = "x-kubernetes-list-map-keys"
MAP_TYPE: Final = "x-kubernetes-map-type"
VALIDATIONS: Final = "x-kubernetes-validations"
# What every object has, whether its schema says so or not.
OF_EVERY_OBJECT: Final = ("apiVersion", "kind", "metadata")
_NOTHING: Final[Node] = {}
# What is said of metadata alone; other fields are the structural schema's matter.
_METADATA: Final = Schema({"additionalProperties": True})


class StructuralSchema(Schema):
    """The schema of one version of a custom resource."""

    def __init__(self, openapi: Mapping[str, Any]) -> None:
        """`openapi` is the openAPIV3Schema of the version."""
        self.node: Node = openapi
        properties = openapi.get("properties") or {}
        known = {name: part for name, part in properties.items() if name not in OF_EVERY_OBJECT}
        self.root = {**openapi, "properties": {**_METADATA.root["properties"], **known}}

    def problems(self, obj: Object) -> list[Cause]:
        """Metadata of a wrong form, and fields that would be pruned.

        Values of wrong types are the validation's matter: a real server answers 422 to them.
        """
        causes = _METADATA.problems(obj)
        unknown: list[str] = []
        pruned(obj, self.node, unknown, embedded=True)
        causes += [Cause(path, FIELD_UNKNOWN, f'unknown field "{path}"') for path in unknown]
        return causes

    def known_part(self, obj: Object) -> Object:
        """The object without fields that are not specified."""
        kept: Object = pruned(_METADATA.known_part(obj), self.node, embedded=True)
        return kept

    def with_defaults(self, obj: Object) -> Object:
        """The object with its defaults; null where it may not be is no value."""
        completed: Object = defaulted(obj, self.node)
        return completed


def pruned(
    value: Any,
    schema: Node,
    unknown: list[str] | None = None,
    path: str = "",
    *,
    embedded: bool = False,
) -> Any:
    """The value without unspecified fields; their paths are added to `unknown`."""
    if isinstance(value, list):
        items = schema.get("items") or _NOTHING
        kept = [
            pruned(item, items, unknown, f"{path}[{place}]") for place, item in enumerate(value)
        ]
        return value if _same(kept, value) else kept
    if not isinstance(value, dict):
        return value
    embedded = embedded or bool(schema.get(EMBEDDED))
    properties = schema.get("properties") or _NOTHING
    others = schema.get("additionalProperties")
    preserves = schema.get(PRESERVE)
    found: Object = {}
    for key, item in value.items():
        where = f"{path}.{key}" if path else key
        if embedded and key in OF_EVERY_OBJECT:
            found[key] = item
        elif key in properties:
            found[key] = pruned(item, properties[key], unknown, where)
        elif isinstance(others, Mapping):
            found[key] = pruned(item, others, unknown, where)
        elif preserves or others:
            found[key] = item
        elif unknown is not None:
            unknown.append(where)
    changed = len(found) != len(value) or any(found[key] is not value[key] for key in found)
    return found if changed else value


def _same(one: list[Any], other: list[Any]) -> bool:
    return all(a is b for a, b in zip(one, other, strict=True))


def defaulted(value: Any, schema: Node) -> Any:
    """The value with the defaults of the fields that it lacks."""
    if isinstance(value, list):
        items = schema.get("items")
        if not items:
            return value
        completed = [
            defaulted(item, items) for item in value if item is not None or items.get("nullable")
        ]
        unchanged = len(completed) == len(value) and _same(completed, value)
        return value if unchanged else completed
    if not isinstance(value, dict):
        return value
    found = dict(value)
    properties = schema.get("properties") or _NOTHING
    for name, part in properties.items():
        if name in found and (found[name] is not None or part.get("nullable")):
            continue
        if "default" in part:
            found[name] = part["default"]
        else:
            found.pop(name, None)
    others = schema.get("additionalProperties")
    for key, item in list(found.items()):
        part = properties.get(key)
        if part is None and isinstance(others, Mapping):
            if item is None and not others.get("nullable"):
                if "default" not in others:
                    del found[key]
                    continue
                item = others["default"]  # noqa: PLW2901 - what stands for null
            part = others
        if part is not None:
            found[key] = defaulted(item, part)
    changed = len(found) != len(value) or any(
        key not in value or found[key] is not value[key] for key in found
    )
    return found if changed else value


def has_rules(schema: Node) -> bool:
    """Whether there are CEL rules in a schema or anywhere below it."""
    parts: list[Any] = [*(schema.get("properties") or {}).values()]
    parts += [schema.get("items"), schema.get("additionalProperties")]
    return bool(schema.get(VALIDATIONS)) or any(
        has_rules(part) for part in parts if isinstance(part, Mapping)
    )
