"""Dynamic resource allocation (`resource.k8s.io`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from k8sactors.api.columns import AGE, NAME, Column, field, value_at
from k8sactors.api.field_labels import SelectableFields, texts
from k8sactors.api.kind import Kind, Served


def _state(claim: Mapping[str, Any], _now_ns: int) -> str:
    states = ["allocated"] if value_at(claim, "status.allocation") is not None else ["pending"]
    if value_at(claim, "status.reservedFor"):
        states.append("reserved")
    if value_at(claim, "metadata.deletionTimestamp"):
        states.insert(0, "deleted")
    return ",".join(states)


KINDS = (
    Kind(
        kind="DeviceClass",
        plural="deviceclasses",
        columns=(NAME, AGE),
        served=(Served("resource.k8s.io", "v1"),),
        namespaced=False,
    ),
    Kind(
        kind="ResourceClaim",
        plural="resourceclaims",
        columns=(NAME, Column("State", _state), AGE),
        served=(Served("resource.k8s.io", "v1"),),
        subresources=("status",),
    ),
    Kind(
        kind="ResourceClaimTemplate",
        plural="resourceclaimtemplates",
        columns=(NAME, AGE),
        served=(Served("resource.k8s.io", "v1"),),
    ),
    Kind(
        kind="ResourceSlice",
        plural="resourceslices",
        columns=(
            NAME,
            field("Node", "spec.nodeName"),
            field("Driver", "spec.driver"),
            field("Pool", "spec.pool.name"),
            AGE,
        ),
        fields=SelectableFields(texts("spec.driver", "spec.nodeName")),
        served=(Served("resource.k8s.io", "v1"),),
        namespaced=False,
    ),
)
