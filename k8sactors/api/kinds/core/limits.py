"""Resource quotas and limit ranges."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from k8sactors.api.columns import AGE, NAME, Column, Tell, value_at
from k8sactors.api.defaulting import cluster as cluster_defaulting
from k8sactors.api.kind import Kind, Served
from k8sactors.api.strategies import CreatedByUpdateStrategy, ReturnedStrategy
from k8sactors.api.validation import cluster as cluster_validation


def _used(prefix: str, *plain: str) -> Tell:
    """`name: used/hard` of the amounts that a quota sets for requests, or for limits."""

    def tell(quota: Mapping[str, Any], _now_ns: int) -> str:
        hard = value_at(quota, "status.hard", {})
        used = value_at(quota, "status.used", {})
        names = [
            name
            for name in sorted(hard)
            if name.startswith(prefix) or (plain and not name.startswith("limits."))
        ]
        return ", ".join(f"{name}: {used.get(name, '0')}/{hard[name]}" for name in names)

    return tell


KINDS = (
    Kind(
        kind="ResourceQuota",
        plural="resourcequotas",
        columns=(
            NAME,
            Column("Request", _used("requests.", "plain")),
            Column("Limit", _used("limits.")),
            AGE,
        ),
        served=(Served("", "v1"),),
        subresources=("status",),
        short_names=("quota",),
        initial_status={},
        check=cluster_validation.check_resource_quota,
        check_update=cluster_validation.check_resource_quota_update,
        strategy=ReturnedStrategy,
    ),
    Kind(
        kind="LimitRange",
        plural="limitranges",
        served=(Served("", "v1", default=cluster_defaulting.default_limit_range),),
        short_names=("limits",),
        check=cluster_validation.check_limit_range,
        strategy=CreatedByUpdateStrategy,
    ),
)
