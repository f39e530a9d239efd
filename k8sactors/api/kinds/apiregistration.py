"""APIServices (`apiregistration.k8s.io`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from k8sactors.api.columns import AGE, NAME, Column, value_at
from k8sactors.api.kind import Kind, Served


def _service(service: Mapping[str, Any], _now_ns: int) -> str:
    reference = value_at(service, "spec.service")
    if reference is None:
        return "Local"
    return f"{reference.get('namespace', '')}/{reference.get('name', '')}"


def _available(service: Mapping[str, Any], _now_ns: int) -> str:
    for condition in value_at(service, "status.conditions", ()):
        if condition.get("type") == "Available":
            if condition.get("status") == "True":
                return "True"
            return f"{condition.get('status', '')} ({condition.get('reason', '')})"
    return "Unknown"


KINDS = (
    Kind(
        kind="APIService",
        plural="apiservices",
        categories=("api-extensions",),
        columns=(NAME, Column("Service", _service), Column("Available", _available), AGE),
        served=(Served("apiregistration.k8s.io", "v1"),),
        namespaced=False,
        subresources=("status",),
    ),
)
