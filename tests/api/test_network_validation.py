"""Ranges, addresses and ports that a client may not store; each was found by arbitrary requests."""

from __future__ import annotations

from typing import Any

import pytest

from k8sactors.api import validation
from k8sactors.api.kinds.apiregistration import KINDS
from k8sactors.api.scheme import builtin

Object = dict[str, Any]
SCHEME = builtin()


def causes_of(resource: str, obj: Object) -> list[str]:
    return [str(cause) for cause in validation.validate_create(SCHEME.resource(resource), obj)]


def cidr(*cidrs: str) -> Object:
    return {"metadata": {"name": "more"}, "spec": {"cidrs": list(cidrs)}}


@pytest.mark.parametrize(
    ("obj", "expected"),
    [
        (cidr("10.9.0.0/24"), []),
        (cidr("10.9.0.0/24", "2001:db8::/64"), []),
        (cidr(), ["spec.cidrs: Required value: at least one CIDR required"]),
        (cidr("default"), ['spec.cidrs[0]: Invalid value: "default": must be a valid CIDR value']),
        (
            cidr("10.9.0.0/24", "10.8.0.0/24"),
            ["may specify no more than one IP for each IP family"],
        ),
        (cidr("10.9.0.0/24", "2001:db8::/64", "10.8.0.0/24"), ["may only hold up to 2 values"]),
    ],
)
def test_ranges_of_cluster_ips(obj: Object, expected: list[str]) -> None:
    found = causes_of("servicecidrs.networking.k8s.io", obj)
    assert len(found) == len(expected)
    for text, part in zip(found, expected, strict=True):
        assert part in text


def test_a_range_of_cluster_ips_stays() -> None:
    info = SCHEME.resource("servicecidrs.networking.k8s.io")
    old, new = cidr("10.9.0.0/24"), cidr("10.8.0.0/24")
    (cause,) = validation.validate_update(info, old, new)
    assert "field is immutable" in str(cause)
    assert validation.validate_update(info, old, old) == []


@pytest.mark.parametrize(
    ("name", "parent", "field"),
    [
        ("10.9.0.1", {"resource": "services", "name": "web"}, None),
        ("n1210", {"resource": "services", "name": "web"}, "metadata.name"),
        ("10.9.0.1", None, "spec.parentRef"),
        ("10.9.0.1", {"resource": "services"}, "spec.parentRef.name"),
    ],
)
def test_an_address_has_an_owner(name: str, parent: Object | None, field: str | None) -> None:
    spec = {} if parent is None else {"parentRef": parent}
    found = causes_of("ipaddresses.networking.k8s.io", {"metadata": {"name": name}, "spec": spec})
    assert [text.partition(": ")[0] for text in found] == ([] if field is None else [field])


@pytest.mark.parametrize("target", [80.0, -1.5, 0, 70_000])
def test_a_number_that_is_no_port_is_no_target(target: float) -> None:
    port = {"port": 80, "protocol": "TCP", "targetPort": target}
    spec = {"type": "ClusterIP", "sessionAffinity": "None", "ports": [port]}
    (text,) = causes_of("services", {"metadata": {"name": "web", "namespace": "d"}, "spec": spec})
    assert text.startswith("spec.ports[0].targetPort: Invalid value")


def test_a_service_of_an_api_that_is_half_named_is_shown() -> None:
    (column,) = [column for column in KINDS[0].columns if column.name == "Service"]
    assert column.tell({"spec": {"service": {"name": "metrics"}}}, 0) == "/metrics"
    assert column.tell({"spec": {}}, 0) == "Local"
