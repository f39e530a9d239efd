"""A node kernel's tables: redirection rules, routes, and the names that go with them. Pure state.

`RuleTable` is what kube-proxy has written, `RouteTable` what the network agent has.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from k8sactors.network.service_rules import Endpoint, ServicePort
from k8sactors.simulation import SECOND

Key = tuple[str, str]


class RandomStream(Protocol):
    """The part of a random stream that load balancing draws on."""

    def randrange(self, stop: int, /) -> int:
        """A number below `stop`."""
        ...


class RuleTable:
    """Redirection rules, found by address, by node port and by Service."""

    def __init__(self) -> None:
        self._services: dict[Key, list[ServicePort]] = {}
        self._by_address: dict[tuple[str, int, str], ServicePort] = {}
        self._by_node_port: dict[tuple[int, str], ServicePort] = {}
        self._affinity: dict[tuple[str, str], tuple[str, int]] = {}

    def replace(
        self, *, full: bool, removed: Iterable[Sequence[str]], changed: Iterable[list[Any]]
    ) -> None:
        """Take over what kube-proxy wrote: everything, or what has changed."""
        if full:
            self._services.clear()
            self._by_address.clear()
            self._by_node_port.clear()
        for namespace, name in removed:
            self._forget((namespace, name))
        for namespace, name, wires in changed:
            self._forget((namespace, name))
            rules = [ServicePort.from_wire(wire) for wire in wires]
            self._services[namespace, name] = rules
            for rule in rules:
                self._by_address[rule.cluster_ip, rule.port, rule.protocol] = rule
                if rule.node_port:
                    self._by_node_port[rule.node_port, rule.protocol] = rule

    def _forget(self, key: Key) -> None:
        for rule in self._services.pop(key, ()):
            self._by_address.pop((rule.cluster_ip, rule.port, rule.protocol), None)
            self._by_node_port.pop((rule.node_port, rule.protocol), None)

    def rules(self) -> list[ServicePort]:
        """All rules."""
        return [rule for rules in self._services.values() for rule in rules]

    def service(self, namespace: str, name: str) -> list[ServicePort] | None:
        """The rules of one Service."""
        return self._services.get((namespace, name))

    def at_address(self, ip: str, port: int, protocol: str) -> ServicePort | None:
        """The rule for a cluster IP and port."""
        return self._by_address.get((ip, port, protocol))

    def at_node_port(self, port: int, protocol: str) -> ServicePort | None:
        """The rule for a port of the node itself."""
        return self._by_node_port.get((port, protocol))

    def choose(
        self,
        rule: ServicePort,
        candidates: Sequence[Endpoint],
        client_ip: str,
        now_ns: int,
        rng: RandomStream,
    ) -> Endpoint:
        """One of the candidates: the client's last one if it has affinity, otherwise any."""
        if not rule.affinity_seconds:
            return candidates[rng.randrange(len(candidates))]
        remembered, until_ns = self._affinity.get((rule.key, client_ip), ("", 0))
        chosen = next((e for e in candidates if e.address == remembered), None)
        if chosen is None or now_ns >= until_ns:
            chosen = candidates[rng.randrange(len(candidates))]
        until_ns = now_ns + rule.affinity_seconds * SECOND
        self._affinity[rule.key, client_ip] = (chosen.address, until_ns)
        return chosen


class RouteTable:
    """Where addresses live: nodes by name and address, ranges of pod addresses by node."""

    def __init__(self) -> None:
        self._nodes: dict[str, tuple[str, str]] = {}
        self._node_of_ip: dict[str, str] = {}
        self._node_of_range: dict[int, dict[int, str]] = {}

    def replace(self, routes: Iterable[Sequence[str]]) -> None:
        """Take over what the network agent wrote: node, its address, its range of pod addresses."""
        self._nodes.clear()
        self._node_of_ip.clear()
        self._node_of_range.clear()
        for node, node_ip, pod_cidr in routes:
            self._nodes[node] = (node_ip, pod_cidr)
            if node_ip:
                self._node_of_ip[node_ip] = node
            if pod_cidr:
                host_bits, prefix = _range(pod_cidr)
                self._node_of_range.setdefault(host_bits, {})[prefix] = node

    def address_of(self, node: str) -> str:
        """A node's address, "" if it is not known."""
        return self._nodes.get(node, ("", ""))[0]

    def node_at(self, ip: str) -> str:
        """The node that has this address, as its own or in its range of pod addresses."""
        owner = self._node_of_ip.get(ip)
        if owner is not None:
            return owner
        number = int(ipaddress.ip_address(ip))
        for host_bits, owners in self._node_of_range.items():
            owner = owners.get(number >> host_bits)
            if owner is not None:
                return owner
        return ""

    def range_of(self, node: str) -> str:
        """A node's range of pod addresses."""
        return self._nodes.get(node, ("", ""))[1]


def _range(pod_cidr: str) -> tuple[int, int]:
    """A range as the number of its host bits and the value of the others."""
    network = ipaddress.ip_network(pod_cidr)
    host_bits = network.max_prefixlen - network.prefixlen
    return host_bits, int(network.network_address) >> host_bits


def is_address(text: str) -> bool:
    """Whether the text is an IP address."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
