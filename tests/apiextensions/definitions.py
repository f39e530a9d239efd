"""Definitions of custom resources for tests."""

from __future__ import annotations

from typing import Any

GROUP = "example.com"


def version(
    name: str = "v1",
    *,
    storage: bool = True,
    served: bool = True,
    schema: dict[str, Any] | None = None,
    spec: dict[str, Any] | None = None,
    **more: Any,
) -> dict[str, Any]:
    """A version; `spec` is the schema of `.spec` alone."""
    openapi = schema
    if openapi is None and spec is not None:
        openapi = {"type": "object", "properties": {"spec": {"type": "object", **spec}}}
    if openapi is None:
        openapi = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    return {
        "name": name,
        "served": served,
        "storage": storage,
        "schema": {"openAPIV3Schema": openapi},
        **more,
    }


def definition(
    *versions: dict[str, Any], plural: str = "widgets", kind: str = "Widget", **spec: Any
) -> dict[str, Any]:
    names = {"plural": plural, "kind": kind, **spec.pop("names", {})}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{spec.get('group', GROUP)}"},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": names,
            "versions": list(versions) or [version()],
            **spec,
        },
    }


def widget(name: str = "a", **fields: Any) -> dict[str, Any]:
    metadata = {"name": name, **fields.pop("metadata", {})}
    api_version = fields.pop("apiVersion", f"{GROUP}/v1")
    return {"apiVersion": api_version, "kind": "Widget", "metadata": metadata, **fields}
