"""Ingresses, network policies and addresses (`networking.k8s.io`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from k8sactors.api.columns import AGE, NAME, NONE, SHOWN_MAX, Column, field, selector_text, value_at
from k8sactors.api.defaulting import network as network_defaulting
from k8sactors.api.kind import Kind, Served
from k8sactors.api.strategies import SpecStrategy, WorkloadStrategy
from k8sactors.api.validation import network as network_validation


def _hosts(ingress: Mapping[str, Any], _now_ns: int) -> str:
    rules = value_at(ingress, "spec.rules", ())
    hosts = [rule["host"] for rule in rules[:SHOWN_MAX] if rule.get("host")]
    if not hosts:
        return "*"
    shown, more = ",".join(hosts), len(rules) - SHOWN_MAX
    return f"{shown} + {more} more..." if more > 0 else shown


def _address(ingress: Mapping[str, Any], _now_ns: int) -> str:
    points = value_at(ingress, "status.loadBalancer.ingress", ())
    return ",".join(dict.fromkeys(each.get("ip") or each.get("hostname", "") for each in points))


def _ports(ingress: Mapping[str, Any], _now_ns: int) -> str:
    return "80, 443" if value_at(ingress, "spec.tls") else "80"


def _parameters(ingress_class: Mapping[str, Any], _now_ns: int) -> str:
    given = value_at(ingress_class, "spec.parameters")
    if given is None:
        return NONE
    kind = f"{given['kind']}.{given['apiGroup']}" if "apiGroup" in given else given["kind"]
    return f"{kind}/{given['name']}"


def _parent(address: Mapping[str, Any], _now_ns: int) -> str:
    parent = value_at(address, "spec.parentRef", {})
    parts = (parent.get(part) for part in ("resource", "group", "namespace", "name"))
    resource, group, namespace, name = (part or "" for part in parts)
    place = f"{namespace}/{name}" if namespace else name
    return f"{resource}.{group}/{place}" if group else f"{resource}/{place}"


KINDS = (
    Kind(
        kind="Ingress",
        plural="ingresses",
        columns=(
            NAME,
            field("Class", "spec.ingressClassName", NONE),
            Column("Hosts", _hosts),
            Column("Address", _address),
            Column("Ports", _ports),
            AGE,
        ),
        served=(Served("networking.k8s.io", "v1"),),
        subresources=("status",),
        short_names=("ing",),
        initial_status={"loadBalancer": {}},
        check=network_validation.check_ingress,
        strategy=WorkloadStrategy,
    ),
    Kind(
        kind="IngressClass",
        plural="ingressclasses",
        columns=(
            NAME,
            field("Controller", "spec.controller"),
            Column("Parameters", _parameters),
            AGE,
        ),
        served=(
            Served("networking.k8s.io", "v1", default=network_defaulting.default_ingress_class),
        ),
        namespaced=False,
        strategy=SpecStrategy,
    ),
    Kind(
        kind="NetworkPolicy",
        plural="networkpolicies",
        columns=(
            NAME,
            Column(
                "Pod-Selector", lambda obj, _: selector_text(value_at(obj, "spec.podSelector", {}))
            ),
            AGE,
        ),
        served=(
            Served("networking.k8s.io", "v1", default=network_defaulting.default_network_policy),
        ),
        short_names=("netpol",),
        check=network_validation.check_network_policy,
        strategy=SpecStrategy,
    ),
    Kind(
        kind="IPAddress",
        plural="ipaddresses",
        columns=(NAME, Column("ParentRef", _parent)),
        served=(Served("networking.k8s.io", "v1"),),
        namespaced=False,
        short_names=("ip",),
        check=network_validation.check_ip_address,
    ),
    Kind(
        kind="ServiceCIDR",
        plural="servicecidrs",
        columns=(
            NAME,
            Column("CIDRs", lambda obj, _: ",".join(value_at(obj, "spec.cidrs", ()))),
            AGE,
        ),
        served=(Served("networking.k8s.io", "v1"),),
        namespaced=False,
        subresources=("status",),
        check=network_validation.check_service_cidr,
        check_update=network_validation.check_service_cidr_update,
    ),
)
