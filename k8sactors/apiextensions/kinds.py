"""From a CustomResourceDefinition to the record of its kind.

The definition is valid and its names are accepted. The storage version is the first of the record.
With the conversion strategy None all versions are one object with another apiVersion; with Webhook
a converter makes one of the other, which may suspend the step that needs it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

import attrs

from k8sactors.api.errors import Cause
from k8sactors.api.field_labels import NO_FIELDS, FieldLabel, SelectableFields
from k8sactors.api.kind import ALL_VERBS, Kind, ScalePaths, Served
from k8sactors.apiextensions import json_path
from k8sactors.apiextensions.columns import columns_of
from k8sactors.apiextensions.strategy import CustomResourceStrategy
from k8sactors.apiextensions.structural import Node, StructuralSchema, has_rules
from k8sactors.apiextensions.values import ABSENT, check_value

Object = dict[str, Any]
# Makes of an object the same in another apiVersion.
Converter = Callable[[Object, str], Object]
_VERSION: Final = re.compile(r"v(\d+)(?:(alpha|beta)(\d+))?", re.ASCII)
_ALPHA, _BETA, _STABLE = range(3)
_LEVELS: Final = {"alpha": _ALPHA, "beta": _BETA, None: _STABLE}


def version_priority(name: str) -> tuple[int, int, int, int, str]:
    """Sorts versions as clients prefer them: v2, v1, v1beta2, v1alpha1, others by name."""
    found = _VERSION.fullmatch(name)
    if found is None:
        return (1, 0, 0, 0, name)
    major, level, minor = found.groups()
    return (0, -_LEVELS[level], -int(major), -int(minor or 0), name)


class VersionRules:
    """What the schema of one version says of its objects (`kind.Rules`)."""

    def __init__(self, schema: Node) -> None:
        self._schema = schema
        self._rules: Any = None
        self._has_rules = has_rules(schema)

    def check_create(self, obj: Object, causes: list[Cause]) -> None:
        """Why a new object is refused."""
        self._check(obj, ABSENT, causes)

    def check_update(self, old: Object, new: Object, causes: list[Cause]) -> None:
        """Why `old` may not become `new`."""
        self._check(new, old, causes)

    def _check(self, obj: Object, old: Any, causes: list[Cause]) -> None:
        before = len(causes)
        check_value(obj, self._schema, "", causes, old)
        # Rules rely on the types that the schema promises.
        if self._has_rules and len(causes) == before:
            from k8sactors.apiextensions import rules  # noqa: PLC0415 - loads native code

            if self._rules is None:
                self._rules = rules.compile_rules(self._schema)
            rules.check_rules(self._rules, obj, old, causes)


def _renamed(obj: Object, api_version: str) -> Object:
    return {**obj, "apiVersion": api_version}


def kind_of(definition: Mapping[str, Any], convert: Converter = _renamed) -> Kind:
    """The record of the kind that a definition brings; nothing new while it is being deleted."""
    deleting = "deletionTimestamp" in definition["metadata"]
    spec = definition["spec"]
    names = (definition.get("status") or {}).get("acceptedNames") or spec["names"]
    versions = sorted(
        (each for each in spec["versions"] if each.get("storage") or each.get("served")),
        key=lambda each: (not each.get("storage"), version_priority(each["name"])),
    )
    stored = f"{spec['group']}/{versions[0]['name']}"
    return Kind(
        kind=names["kind"],
        plural=names["plural"],
        singular=names.get("singular") or names["kind"].lower(),
        list_kind=names.get("listKind") or f"{names['kind']}List",
        short_names=tuple(names.get("shortNames") or ()),
        categories=tuple(names.get("categories") or ()),
        namespaced=spec["scope"] == "Namespaced",
        verbs=tuple(verb for verb in ALL_VERBS if not (deleting and verb == "create")),
        served=tuple(
            attrs.evolve(
                _served(spec["group"], each, stored, _warning(definition, each), convert),
                # What is deleted with its definition must be found, if only to be deleted.
                only_stored=not each.get("served") and not (deleting and each.get("storage")),
            )
            for each in versions
        ),
        fields=_selectable(versions),
        strategy=CustomResourceStrategy,
    )


def _warning(definition: Mapping[str, Any], version: Mapping[str, Any]) -> str:
    """What clients of a deprecated version are told (KEP-1693)."""
    if not version.get("deprecated"):
        return ""
    given: str | None = version.get("deprecationWarning")
    if given is not None:
        return given
    spec, kind = definition["spec"], definition["spec"]["names"]["kind"]
    text = f"{spec['group']}/{version['name']} {kind} is deprecated"
    priority = version_priority(version["name"])
    newer = [
        name
        for each in spec["versions"]
        if each.get("served") and not each.get("deprecated")
        if version_priority(name := each["name"]) < priority
    ]
    if not newer:
        return text
    return f"{text}; use {spec['group']}/{min(newer, key=version_priority)} {kind}"


def _served(
    group: str, version: Mapping[str, Any], stored: str, warning: str, convert: Converter
) -> Served:
    openapi = (version.get("schema") or {}).get("openAPIV3Schema") or {}
    schema = StructuralSchema(openapi)
    parts = version.get("subresources") or {}
    scale = parts.get("scale")
    api_version = f"{group}/{version['name']}"
    return Served(
        group,
        version["name"],
        default=schema.with_defaults,
        to_storage=None if api_version == stored else _to_version(convert, stored),
        from_storage=_shown(schema, api_version, convert),
        schema=schema,
        columns=columns_of(version.get("additionalPrinterColumns")),
        subresources=tuple(name for name in ("status", "scale") if name in parts),
        rules=VersionRules(openapi),
        warning=warning,
        scale=None if scale is None else _scale_paths(scale),
    )


def _to_version(convert: Converter, api_version: str) -> Callable[[Object], Object]:
    return lambda obj: convert(obj, api_version)


def _shown(
    schema: StructuralSchema, api_version: str, convert: Converter
) -> Callable[[Object], Object]:
    """What a stored object is in a version: its schema may have changed since it was written."""

    def show(obj: Object) -> Object:
        if obj.get("apiVersion") != api_version:
            obj = convert(obj, api_version)
        return schema.with_defaults(schema.known_part(obj))

    return show


def _scale_paths(scale: Mapping[str, Any]) -> ScalePaths:
    return ScalePaths(
        scale["specReplicasPath"], scale["statusReplicasPath"], scale.get("labelSelectorPath") or ""
    )


def _selectable(versions: list[Any]) -> SelectableFields:
    labels: dict[str, FieldLabel] = {}
    for version in versions:
        for each in version.get("selectableFields") or ():
            path = each["jsonPath"]
            labels.setdefault(path.removeprefix("."), _label(path))
    return SelectableFields(labels) if labels else NO_FIELDS


def _label(path: str) -> FieldLabel:
    def tell(obj: Mapping[str, Any]) -> str:
        found = json_path.find(obj, path)
        if not found or found[0] is None:
            return ""
        value = found[0]
        return str(value).lower() if isinstance(value, bool) else str(value)

    return tell
