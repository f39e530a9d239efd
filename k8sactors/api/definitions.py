"""The form of every kind, as data: the OpenAPI definitions of one Kubernetes release.

The package `kubernetes-validate` carries them with patch merge keys and list types. They are read
once, when a form is first asked for, so that importing this module costs nothing.
"""

from __future__ import annotations

import importlib.resources
import json
from functools import cache
from typing import Any

from k8sactors.api.errors import UnknownKindError
from k8sactors.api.meta import split_api_version
from k8sactors.api.release import DEFAULT_RELEASE

Definition = dict[str, Any]

_FOLDER = "kubernetes-json-schema"
_SUFFIX = "-local-strict"
_REFERENCE = "#/$defs/"


@cache
def definitions() -> dict[str, Definition]:
    """All definitions of the release by their full name."""
    root = importlib.resources.files("kubernetes_validate") / _FOLDER
    text = (root / f"v{DEFAULT_RELEASE}{_SUFFIX}" / "_definitions.json").read_bytes()
    found: dict[str, Definition] = json.loads(text)["$defs"]
    return found


@cache
def _names_by_kind() -> dict[tuple[str, str, str], str]:
    names: dict[tuple[str, str, str], str] = {}
    for name, definition in definitions().items():
        for gvk in definition.get("x-kubernetes-group-version-kind", ()):
            names.setdefault((gvk["group"], gvk["version"], gvk["kind"]), name)
    return names


@cache
def definition_name(api_version: str, kind: str) -> str:
    """The full name of a kind's definition; raises UnknownKindError."""
    name = _names_by_kind().get((*split_api_version(api_version), kind))
    if name is None:
        raise UnknownKindError(api_version, kind)
    return name


def definition(api_version: str, kind: str) -> Definition:
    """The definition of a kind; raises UnknownKindError."""
    return definitions()[definition_name(api_version, kind)]


def referred(schema: Definition) -> str | None:
    """The name that a schema refers to, if it is a reference."""
    reference: str | None = schema.get("$ref")
    return None if reference is None else reference.removeprefix(_REFERENCE)


def resolve(schema: Definition) -> Definition:
    """The schema itself, or the definition that it refers to."""
    name = referred(schema)
    return schema if name is None else definitions()[name]
