"""The forms of objects in the two dialects of OpenAPI.

The definitions of the release are JSON Schema for strict validation: each type may be null, no
other fields are allowed, and the names of a kind are enumerated. OpenAPI documents say none of
that. Source: kube-openapi; OpenAPI 3.0 (section "Reference Object": siblings of `$ref` are ignored,
so that a description next to one needs an `allOf`).
"""

from __future__ import annotations

from typing import Any, Final

import attrs

from k8sactors.api import definitions
from k8sactors.api.errors import UnknownKindError
from k8sactors.api.kind import ResourceInfo

Object = dict[str, Any]

GROUP_VERSION_KIND: Final = "x-kubernetes-group-version-kind"
_INT_OR_STRING: Final = "io.k8s.apimachinery.pkg.util.intstr.IntOrString"
_QUANTITY: Final = "io.k8s.apimachinery.pkg.api.resource.Quantity"
_LIST_META: Final = "io.k8s.apimachinery.pkg.apis.meta.v1.ListMeta"
DELETE_OPTIONS: Final = "io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions"
STATUS: Final = "io.k8s.apimachinery.pkg.apis.meta.v1.Status"
PATCH: Final = "io.k8s.apimachinery.pkg.apis.meta.v1.Patch"
_PATCH_FORM: Final = {
    "description": "Patch is provided to give a concrete name and type to the Kubernetes PATCH "
    "request body.",
    "type": "object",
}
_INNER: Final = frozenset({"properties", "items", "additionalProperties", "type", "$ref", "oneOf"})


@attrs.frozen
class Dialect:
    """A version of OpenAPI."""

    # What stands in front of the name of a definition.
    prefix: str
    # Whether what stands next to a reference counts.
    reference_has_siblings: bool
    scalars: dict[str, Object]


V2: Final = Dialect(
    "#/definitions/",
    reference_has_siblings=True,
    scalars={
        _INT_OR_STRING: {"type": "string", "format": "int-or-string"},
        _QUANTITY: {"type": "string"},
    },
)
V3: Final = Dialect(
    "#/components/schemas/",
    reference_has_siblings=False,
    scalars={
        _INT_OR_STRING: {
            "format": "int-or-string",
            "oneOf": [{"type": "integer"}, {"type": "string"}],
        },
        _QUANTITY: {"oneOf": [{"type": "string"}, {"type": "number"}]},
    },
)


class Schemas:
    """The definitions that a document refers to, in one dialect; collected as they are named."""

    def __init__(self, dialect: Dialect) -> None:
        self.dialect = dialect
        self._found: dict[str, Object] = {}

    def collected(self) -> dict[str, Object]:
        """All of them, by name."""
        return dict(sorted(self._found.items()))

    def of_kind(self, api_version: str, kind: str) -> Object:
        """A reference to a built-in kind; any object if the release does not define it."""
        try:
            return self.reference(definitions.definition_name(api_version, kind))
        except UnknownKindError:
            return {"type": "object"}

    def of_resource(self, info: ResourceInfo) -> Object:
        """A reference to the objects of a resource."""
        if info.schema is None:
            return self.of_kind(info.api_version, info.kind)
        name = _own_name(info, info.kind)
        if name not in self._found:
            self._found[name] = {}
            form = self._converted(info.schema.root, kind=True)
            self._found[name] = {**form, GROUP_VERSION_KIND: [_identity(info, info.kind)]}
        return {"$ref": self.dialect.prefix + name}

    def of_list(self, info: ResourceInfo) -> Object:
        """A reference to the lists of a resource."""
        if info.schema is None:
            return self.of_kind(info.api_version, info.list_kind)
        name = _own_name(info, info.list_kind)
        if name not in self._found:
            self._found[name] = {
                "description": f"{info.list_kind} is a list of {info.kind}",
                "type": "object",
                "required": ["items"],
                "properties": {
                    "apiVersion": {"type": "string"},
                    "kind": {"type": "string"},
                    "metadata": self.reference(_LIST_META),
                    "items": {"type": "array", "items": self.of_resource(info)},
                },
                GROUP_VERSION_KIND: [_identity(info, info.list_kind)],
            }
        return {"$ref": self.dialect.prefix + name}

    def reference(self, name: str) -> Object:
        """A reference to a definition, which is collected with all that it refers to."""
        if name not in self._found:
            self._found[name] = {}
            self._found[name] = self._definition(name)
        return {"$ref": self.dialect.prefix + name}

    def _definition(self, name: str) -> Object:
        if name == PATCH:
            return dict(_PATCH_FORM)
        definition = definitions.definitions()[name]
        scalar = self.dialect.scalars.get(name)
        if scalar is not None:
            return {**_said(definition), **scalar}
        return self._converted(definition, kind=GROUP_VERSION_KIND in definition)

    def _converted(self, schema: Object, *, kind: bool = False) -> Object:
        said = _said(schema)
        name = definitions.referred(schema)
        if name is not None:
            reference = self.reference(name)
            if not said or self.dialect.reference_has_siblings:
                return {**said, **reference}
            return {**said, "allOf": [reference]}
        types = schema.get("type")
        if types:
            said["type"] = types if isinstance(types, str) else _first_type(types)
        if "properties" in schema:
            said["properties"] = {
                field: self._property(field, inner, kind=kind)
                for field, inner in schema["properties"].items()
            }
        if "items" in schema:
            said["items"] = self._converted(schema["items"])
        extra = schema.get("additionalProperties")
        if isinstance(extra, dict):
            said["additionalProperties"] = self._converted(extra)
        return said

    def _property(self, field: str, schema: Object, *, kind: bool) -> Object:
        if kind and field in {"apiVersion", "kind"}:
            schema = {key: value for key, value in schema.items() if key != "enum"}
        return self._converted(schema)


def _said(schema: Object) -> Object:
    """What a schema says of itself: description, format, rules of merging."""
    return {key: value for key, value in schema.items() if key not in _INNER}


def _first_type(types: list[str]) -> str:
    return next(each for each in types if each != "null")


def _identity(info: ResourceInfo, kind: str) -> Object:
    return {"group": info.group, "version": info.version, "kind": kind}


def _own_name(info: ResourceInfo, kind: str) -> str:
    """The name of the definition of a custom resource: `com.example.v1.Widget`."""
    return ".".join([*reversed(info.group.split(".")), info.version, kind])
