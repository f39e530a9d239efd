"""Services and their Endpoints."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from k8sactors.api.columns import AGE, NAME, NONE, Column, field, labels_text, shortened, value_at
from k8sactors.api.defaulting import network as network_defaulting
from k8sactors.api.effects import Effects
from k8sactors.api.field_labels import SelectableFields, texts
from k8sactors.api.kind import Kind, Object, Served
from k8sactors.api.service_addresses import (
    WITH_NODE_PORTS,
    ServiceAddresses,
    keep_addresses,
    release_addresses,
    without_node_port,
)
from k8sactors.api.strategies import CreatedByUpdateStrategy, StatusStrategy
from k8sactors.api.strategy import Request
from k8sactors.api.validation import names
from k8sactors.api.validation import network as network_validation


class ServiceStrategy(StatusStrategy):
    """Services: each address belongs to one of them."""

    create_on_update = True
    returns_deleted = True

    def begin_create(self, request: Request, obj: Object) -> Effects:
        """Give the Service its addresses."""
        return ServiceAddresses(self.info, request).assign({}, obj)

    def prepare_for_update(self, new: Object, old: Object) -> None:
        """Addresses stay; what belonged to the old type goes, unless the client has changed it."""
        super().prepare_for_update(new, old)
        before = old.get("spec") or {}
        spec = new["spec"] = keep_addresses(before, new.get("spec") or {})
        kind = spec.get("type")
        if kind == before.get("type"):
            return
        fields: list[str] = []
        if kind == "ExternalName":
            fields += ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"]
            fields += ["internalTrafficPolicy"]
        if kind not in WITH_NODE_PORTS:
            fields += ["externalTrafficPolicy", "healthCheckNodePort"]
        for name in fields:
            if name in spec and spec[name] == before.get(name):
                del spec[name]
        if kind not in WITH_NODE_PORTS and spec.get("ports"):
            given = [port.get("nodePort") for port in before.get("ports") or ()]
            spec["ports"] = [
                without_node_port(port) if port.get("nodePort") in given else port
                for port in spec["ports"]
            ]

    def begin_update(self, request: Request, old: Object, new: Object) -> Effects:
        """Claim new addresses, give back those that are left out."""
        return ServiceAddresses(self.info, request).assign(old.get("spec") or {}, new)

    def after_delete(self, request: Request, obj: Object) -> Effects:
        """Give the addresses back."""
        del request
        return Effects(obj, writes=release_addresses(obj))


def _cluster_ip(service: Mapping[str, Any], _now_ns: int) -> str:
    addresses = value_at(service, "spec.clusterIPs", ())
    return str(addresses[0]) if addresses else NONE


def _external_ip(service: Mapping[str, Any], _now_ns: int) -> str:
    kind = value_at(service, "spec.type")
    if kind == "ExternalName":
        return str(value_at(service, "spec.externalName", ""))
    external = value_at(service, "spec.externalIPs", ())
    if kind != "LoadBalancer":
        return ",".join(external) or NONE
    points = value_at(service, "status.loadBalancer.ingress", ())
    balanced = dict.fromkeys(each.get("ip") or each.get("hostname", "") for each in points)
    return ",".join([*filter(None, balanced), *external]) or "<pending>"


def _ports(service: Mapping[str, Any], _now_ns: int) -> str:
    shown = []
    for port in value_at(service, "spec.ports", ()):
        node_port = f":{port['nodePort']}" if port.get("nodePort") else ""
        shown.append(f"{port['port']}{node_port}/{port.get('protocol', 'TCP')}")
    return ",".join(shown) or NONE


def _endpoints(endpoints: Mapping[str, Any], _now_ns: int) -> str:
    shown: list[str] = []
    for subset in value_at(endpoints, "subsets", ()):
        addresses = [each["ip"] for each in subset.get("addresses") or ()]
        ports = subset.get("ports") or ()
        shown += addresses if not ports else []
        for port in ports:
            hosts = (f"[{address}]" if ":" in address else address for address in addresses)
            shown += [f"{host}:{port['port']}" for host in hosts]
    if not value_at(endpoints, "subsets", ()):
        return NONE
    return shortened(shown, len(shown))


KINDS = (
    Kind(
        kind="Service",
        plural="services",
        columns=(
            NAME,
            field("Type", "spec.type"),
            Column("Cluster-IP", _cluster_ip),
            Column("External-IP", _external_ip),
            Column("Port(s)", _ports),
            AGE,
            Column(
                "Selector", lambda obj, _: labels_text(value_at(obj, "spec.selector")), priority=1
            ),
        ),
        served=(Served("", "v1", default=network_defaulting.default_service),),
        subresources=("status", "proxy"),
        short_names=("svc",),
        categories=("all",),
        initial_status={"loadBalancer": {}},
        name_rule=names.dns1035_label,
        check=network_validation.check_service,
        check_update=network_validation.check_service_update,
        fields=SelectableFields(texts("spec.clusterIP", "spec.type")),
        strategy=ServiceStrategy,
    ),
    Kind(
        kind="Endpoints",
        plural="endpoints",
        columns=(NAME, Column("Endpoints", _endpoints), AGE),
        served=(Served("", "v1", default=network_defaulting.default_endpoints),),
        short_names=("ep",),
        check=network_validation.check_endpoints,
        strategy=CreatedByUpdateStrategy,
    ),
)
