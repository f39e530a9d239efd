"""Server-side applies of small objects, and what their managers own then."""

from __future__ import annotations

from typing import Any

MAPS = "configmaps"
DEPLOYMENTS = "deployments.apps"


def config_map(data: Any = None, **metadata: Any) -> dict[str, Any]:
    obj: dict[str, Any] = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}}
    obj["metadata"].update(metadata)
    if data is not None:
        obj["data"] = data
    return obj


def deployment(**spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "a"},
        "spec": spec,
    }


def full_deployment(*containers: dict[str, Any], **spec: Any) -> dict[str, Any]:
    labels = {"app": "a"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": list(containers)}}
    return deployment(selector={"matchLabels": labels}, template=template, **spec)


def apply(
    world: Any, body: Any, manager: str | None = "m1", resource: str = MAPS, **options: Any
) -> Any:
    if manager is not None:
        options["fieldManager"] = manager
    return world.do("patch", resource, "default", "a", body=body, patchType="apply", **options)


def managers(answer: Any) -> dict[tuple[str, str], Any]:
    entries = answer.obj["metadata"].get("managedFields") or []
    return {(entry["manager"], entry["operation"]): entry["fieldsV1"] for entry in entries}
