"""EndpointSlices (`discovery.k8s.io`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from k8sactors.api.columns import AGE, NAME, UNSET, Column, field, shortened, value_at
from k8sactors.api.defaulting import network as network_defaulting
from k8sactors.api.kind import Kind, Object, Served
from k8sactors.api.strategy import Strategy
from k8sactors.api.validation import network as network_validation


class EndpointSliceStrategy(Strategy):
    """EndpointSlices: everything but metadata counts as specification, and labels do."""

    has_generation = True

    def spec_changed(self, new: Object, old: Object) -> bool:
        """kube-proxy looks for its Service by label, so that labels belong to the generation."""
        before, after = old["metadata"].get("labels"), new["metadata"].get("labels")
        if (before or {}) != (after or {}):
            return True
        return {**new, "metadata": None} != {**old, "metadata": None}


def _ports(slice_: Mapping[str, Any], _now_ns: int) -> str:
    ports = value_at(slice_, "ports", ())
    shown = [str(port.get("port", port.get("name", "*"))) for port in ports]
    return shortened(shown, len(shown)) or UNSET


def _endpoints(slice_: Mapping[str, Any], _now_ns: int) -> str:
    shown = [
        address
        for endpoint in value_at(slice_, "endpoints", ())
        for address in endpoint.get("addresses") or ()
    ]
    return shortened(shown, len(shown)) or UNSET


KINDS = (
    Kind(
        kind="EndpointSlice",
        plural="endpointslices",
        columns=(
            NAME,
            field("AddressType", "addressType"),
            Column("Ports", _ports),
            Column("Endpoints", _endpoints),
            AGE,
        ),
        served=(
            Served("discovery.k8s.io", "v1", default=network_defaulting.default_endpoint_slice),
        ),
        check=network_validation.check_endpoint_slice,
        check_update=network_validation.check_endpoint_slice_update,
        strategy=EndpointSliceStrategy,
    ),
)
