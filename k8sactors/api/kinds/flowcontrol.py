"""Priority and fairness of requests (`flowcontrol.apiserver.k8s.io`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from k8sactors.api.columns import AGE, NAME, NONE, Column, field, value_at
from k8sactors.api.defaulting import cluster as cluster_defaulting
from k8sactors.api.kind import Kind, Served
from k8sactors.api.validation.flow_control import check_flow_schema, check_priority_level

_QUEUING = "spec.limited.limitResponse.queuing"


def _missing(schema: Mapping[str, Any], _now_ns: int) -> str:
    for condition in value_at(schema, "status.conditions", ()):
        if condition.get("type") == "Dangling":
            return str(condition.get("status", ""))
    return "?"


KINDS = (
    Kind(
        kind="FlowSchema",
        plural="flowschemas",
        columns=(
            NAME,
            field("PriorityLevel", "spec.priorityLevelConfiguration.name"),
            field("MatchingPrecedence", "spec.matchingPrecedence", 0),
            field("DistinguisherMethod", "spec.distinguisherMethod.type", NONE),
            AGE,
            Column("MissingPL", _missing),
        ),
        served=(
            Served(
                "flowcontrol.apiserver.k8s.io", "v1", default=cluster_defaulting.default_flow_schema
            ),
        ),
        namespaced=False,
        check=check_flow_schema,
        subresources=("status",),
    ),
    Kind(
        kind="PriorityLevelConfiguration",
        plural="prioritylevelconfigurations",
        columns=(
            NAME,
            field("Type", "spec.type"),
            field("NominalConcurrencyShares", "spec.limited.nominalConcurrencyShares", NONE),
            field("Queues", f"{_QUEUING}.queues", NONE),
            field("HandSize", f"{_QUEUING}.handSize", NONE),
            field("QueueLengthLimit", f"{_QUEUING}.queueLengthLimit", NONE),
            AGE,
        ),
        served=(
            Served(
                "flowcontrol.apiserver.k8s.io",
                "v1",
                default=cluster_defaulting.default_priority_level,
            ),
        ),
        namespaced=False,
        check=check_priority_level,
        subresources=("status",),
    ),
)
