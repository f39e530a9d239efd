"""What kube-proxy makes of a Service and its EndpointSlices: one rule per service port. Pure.

A rule says for which addresses packets are redirected (cluster IP and port, node port) and to which
endpoints. The choice among endpoints follows the traffic policies and KEP-1669: ready ones; if
there are none, those that still serve while they terminate.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import attrs

from k8sactors.actors.record import Record

SERVICE_NAME_LABEL = "kubernetes.io/service-name"
_AFFINITY_DEFAULT_SECONDS = 10_800
_CHAIN_HASH_LENGTH = 16


@attrs.frozen
class Endpoint(Record):
    """One backend of a rule."""

    ip: str
    port: int
    node: str
    pod: str
    ready: bool
    serving: bool
    terminating: bool

    @property
    def address(self) -> str:
        """ip:port."""
        return f"{self.ip}:{self.port}"


@attrs.frozen
class ServicePort(Record):
    """The rule of one port of one Service.

    `cluster_ip` is "None" for a headless Service; `external_name` is set for that type only; an
    `affinity_seconds` above 0 keeps a client's address with its endpoint.
    """

    namespace: str
    name: str
    port_name: str
    protocol: str
    cluster_ip: str
    port: int
    node_port: int
    affinity_seconds: int
    internal_local: bool
    external_local: bool
    external_name: str
    endpoints: list[Endpoint]

    @property
    def key(self) -> str:
        """namespace/name:port, as kube-proxy names it."""
        suffix = f":{self.port_name}" if self.port_name else ""
        return f"{self.namespace}/{self.name}{suffix}"

    @property
    def chain(self) -> str:
        """Name of the chain that chooses an endpoint."""
        return f"KUBE-SVC-{_chain_hash(self.key + self.protocol.lower())}"

    def endpoint_chain(self, endpoint: Endpoint) -> str:
        """Name of the chain that rewrites the destination to this endpoint."""
        return f"KUBE-SEP-{_chain_hash(self.key + self.protocol.lower() + endpoint.address)}"

    def eligible(self, node: str, *, external: bool) -> list[Endpoint]:
        """The endpoints that a packet on this node may go to."""
        endpoints: Iterable[Endpoint] = self.endpoints
        if self.external_local if external else self.internal_local:
            endpoints = [endpoint for endpoint in self.endpoints if endpoint.node == node]
        ready = [endpoint for endpoint in endpoints if endpoint.ready]
        return ready or [e for e in endpoints if e.serving and e.terminating]

    def to_wire(self) -> list[Any]:
        """The fields in order, endpoints as lists."""
        return [*super().to_wire()[:-1], [endpoint.to_wire() for endpoint in self.endpoints]]

    @classmethod
    def from_wire(cls, fields: Sequence[Any]) -> ServicePort:
        """The rule that `to_wire` took apart."""
        parts: list[Any] = [*fields[:-1], [Endpoint.from_wire(item) for item in fields[-1]]]
        return cls(*parts)


def _chain_hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return base64.b32encode(digest).decode()[:_CHAIN_HASH_LENGTH]


def _endpoints(port: Mapping[str, Any], slices: Iterable[Mapping[str, Any]]) -> list[Endpoint]:
    """The backends of one service port, each address once, in a stable order."""
    found: dict[tuple[str, int], Endpoint] = {}
    for endpoint_slice in slices:
        for slice_port in endpoint_slice.get("ports") or ():
            if (slice_port.get("name") or "") != (port.get("name") or ""):
                continue
            if (slice_port.get("protocol") or "TCP") != (port.get("protocol") or "TCP"):
                continue
            for item in endpoint_slice.get("endpoints") or ():
                conditions = item.get("conditions") or {}
                target = item.get("targetRef") or {}
                ready = conditions.get("ready") is not False
                serving = conditions.get("serving")
                for ip in item.get("addresses") or ():
                    found[ip, slice_port["port"]] = Endpoint(
                        ip,
                        slice_port["port"],
                        item.get("nodeName") or "",
                        f"{target.get('namespace', '')}/{target.get('name', '')}" if target else "",
                        ready,
                        ready if serving is None else bool(serving),
                        bool(conditions.get("terminating")),
                    )
    return [found[key] for key in sorted(found)]


def rules_of(service: Mapping[str, Any], slices: Sequence[Mapping[str, Any]]) -> list[ServicePort]:
    """The rules of one Service."""
    spec, metadata = service["spec"], service["metadata"]
    affinity_seconds = 0
    if spec.get("sessionAffinity") == "ClientIP":
        config = (spec.get("sessionAffinityConfig") or {}).get("clientIP") or {}
        affinity_seconds = int(config.get("timeoutSeconds") or _AFFINITY_DEFAULT_SECONDS)
    external_name = spec.get("externalName", "") if spec.get("type") == "ExternalName" else ""
    ports = spec.get("ports") or ([{"port": 0}] if external_name else ())
    return [
        ServicePort(
            metadata["namespace"],
            metadata["name"],
            port.get("name") or "",
            port.get("protocol") or "TCP",
            spec.get("clusterIP") or "",
            int(port["port"]),
            int(port.get("nodePort") or 0),
            affinity_seconds,
            spec.get("internalTrafficPolicy") == "Local",
            spec.get("externalTrafficPolicy") == "Local",
            external_name,
            _endpoints(port, slices),
        )
        for port in ports
    ]


def nat_table(rules: Iterable[ServicePort], node: str) -> dict[str, list[str]]:
    """The chains of the nat table, name to rules, as `iptables --list-rules` would word them."""
    services: list[str] = []
    node_ports: list[str] = []
    table = {"KUBE-SERVICES": services, "KUBE-NODEPORTS": node_ports}
    for rule in rules:
        if rule.cluster_ip in {"", "None"}:
            continue
        protocol = rule.protocol.lower()
        comment = f'-m comment --comment "{rule.key}"'
        eligible = rule.eligible(node, external=False)
        services.append(
            f"-d {rule.cluster_ip}/32 -p {protocol} {comment} --dport {rule.port}"
            f" -j {rule.chain if eligible else 'REJECT'}"
        )
        if rule.node_port:
            node_ports.append(f"-p {protocol} {comment} --dport {rule.node_port} -j {rule.chain}")
        chain = table[rule.chain] = []
        for index, endpoint in enumerate(eligible):
            left = len(eligible) - index
            chance = f"-m statistic --mode random --probability {1 / left:.11f} "
            target = rule.endpoint_chain(endpoint)
            chain.append(f"{comment} {chance if left > 1 else ''}-j {target}")
            table[target] = [f"-p {protocol} -j DNAT --to-destination {endpoint.address}"]
    services.append("-m addrtype --dst-type LOCAL -j KUBE-NODEPORTS")
    return table
