"""Addresses of Services: cluster IPs and node ports, each given to one Service only.

Every cluster IP in use is an IPAddress object, and every node port has a key of its own, written in
the transaction that writes their Service and guarded by its absence. So two API servers can never
give out the same address, whatever their caches say, and an address is free in the moment its
Service is gone. A lost race costs a retry with another address.

Sources: documentation of Services ("Choosing your own IP address", "type: NodePort"), KEP-1880.
"""

from __future__ import annotations

import functools
import ipaddress
from typing import Any, Final

from k8sactors.api import codec, errors
from k8sactors.api.effects import Effects, Guard, Write
from k8sactors.api.errors import Cause, ResourceName, StatusError
from k8sactors.api.meta import new_uid
from k8sactors.api.strategy import Request

Object = dict[str, Any]
# A set of keys that keeps its order.
Keys = dict[bytes, None]

IP_ADDRESS_PREFIX: Final = b"/registry/ipaddresses.networking.k8s.io/"
# No resource: one key for each node port in use, which all API servers share.
NODE_PORT_PREFIX: Final = b"/registry/ranges.servicenodeports/"
NONE: Final = "None"
WITH_NODE_PORTS: Final = frozenset({"NodePort", "LoadBalancer"})
TRIES: Final = 64


@functools.cache
def _network_of(cidr: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    return ipaddress.ip_network(cidr)


class ServiceAddresses:
    """Plans which addresses a Service gets and gives back in one request."""

    def __init__(self, info: ResourceName, request: Request) -> None:
        environment = request.environment
        self._info = info
        self._request = request
        self._network = _network_of(environment.settings.service_cidr)
        self._base = int(self._network.network_address)
        # The network's own address and the broadcast address are never given out.
        self._size = self._network.num_addresses - 2
        self._ports = environment.settings.node_ports
        self._random = environment.random

    def assign(self, before: Object, obj: Object) -> Effects:
        """The Service with its addresses, and what makes them its own.

        `before` is the specification that an update replaces, empty for a new Service: addresses
        that only the old one has are given back.

        Raises:
            StatusError: 422, an address that the client chose is taken or out of range.
        """
        spec = dict(obj.get("spec") or {})
        owner = f"{self._request.namespace}/{self._request.name}".encode()
        held = dict.fromkeys(_keys_of(before))
        taken: Keys = {}
        self._assign_cluster_ip(spec, held, taken)
        self._assign_node_ports(spec, held, taken)
        self._assign_health_port(spec, held, taken)
        kept = dict.fromkeys(_keys_of(spec))
        guards = [Guard(key, 0) for key in taken]
        writes = [Write(key, self._value(key, owner)) for key in taken]
        writes.extend(Write(key, None) for key in held if key not in kept)
        return Effects({**obj, "spec": spec}, guards, writes)

    def _value(self, key: bytes, owner: bytes) -> bytes:
        """What is stored under the key of an address."""
        if not key.startswith(IP_ADDRESS_PREFIX):
            return owner
        address = key.removeprefix(IP_ADDRESS_PREFIX).decode()
        environment = self._request.environment
        return codec.encode(
            {
                "apiVersion": "networking.k8s.io/v1",
                "kind": "IPAddress",
                "metadata": {
                    "name": address,
                    "uid": new_uid(environment.random),
                    "creationTimestamp": environment.now(),
                    "labels": {
                        "ipaddress.kubernetes.io/ip-family": f"IPv{self._network.version}",
                        "ipaddress.kubernetes.io/managed-by": "ipallocator.k8s.io",
                    },
                },
                "spec": {
                    "parentRef": {
                        "resource": "services",
                        "namespace": self._request.namespace,
                        "name": self._request.name,
                    }
                },
            }
        )

    def _assign_cluster_ip(self, spec: Object, held: Keys, taken: Keys) -> None:
        if spec.get("type") == "ExternalName":
            spec.pop("clusterIP", None)
            spec.pop("clusterIPs", None)
            return
        wanted = spec.get("clusterIP") or next(iter(spec.get("clusterIPs") or ()), "")
        if wanted == NONE:
            spec["clusterIP"], spec["clusterIPs"] = NONE, [NONE]
            return
        if wanted:
            key = IP_ADDRESS_PREFIX + wanted.encode()
            if key not in held:
                self._claim_chosen_ip(wanted, key)
                taken[key] = None
        else:
            wanted = self._free_ip()
            taken[IP_ADDRESS_PREFIX + wanted.encode()] = None
        spec["clusterIP"], spec["clusterIPs"] = wanted, [wanted]

    def _claim_chosen_ip(self, wanted: str, key: bytes) -> None:
        problem = ""
        try:
            inside = ipaddress.ip_address(wanted) in self._network
        except ValueError:
            inside = False
        if not inside:
            problem = (
                "the provided IP is not in the valid range. The range of valid IPs is "
                f"{self._network}"
            )
        elif self._request.found(key) is not None:
            problem = "provided IP is already allocated"
        if problem:
            raise self._refused(
                "spec.clusterIPs",
                f'Invalid value: ["{wanted}"]: failed to allocate IP {wanted}: {problem}',
            )

    def _free_ip(self) -> str:
        found = self._request.found
        for _ in range(TRIES):
            number = self._base + 1 + self._random.randrange(self._size)
            text = str(ipaddress.ip_address(number))
            if found(IP_ADDRESS_PREFIX + text.encode()) is None:
                return text
        for number in range(self._base + 1, self._base + 1 + self._size):
            text = str(ipaddress.ip_address(number))
            if found(IP_ADDRESS_PREFIX + text.encode()) is None:
                return text
        raise errors.internal_error("failed to allocate a serviceIP: range is full")

    def _assign_node_ports(self, spec: Object, held: Keys, taken: Keys) -> None:
        ports = spec.get("ports")
        if not ports:
            return
        if spec.get("type") not in WITH_NODE_PORTS:
            if any("nodePort" in port for port in ports):
                spec["ports"] = [without_node_port(port) for port in ports]
            return
        assigned = []
        for index, port in enumerate(ports):
            number, protocol = port.get("nodePort"), port.get("protocol", "TCP")
            if number:
                key = node_port_key(protocol, number)
                if key not in held and key not in taken:
                    self._claim_chosen_port(f"spec.ports[{index}].nodePort", number, key)
                    taken[key] = None
                assigned.append(port)
            else:
                number = self._free_port(protocol, taken)
                taken[node_port_key(protocol, number)] = None
                assigned.append({**port, "nodePort": number})
        spec["ports"] = assigned

    def _assign_health_port(self, spec: Object, held: Keys, taken: Keys) -> None:
        if spec.get("type") != "LoadBalancer" or spec.get("externalTrafficPolicy") != "Local":
            spec.pop("healthCheckNodePort", None)
            return
        number = spec.get("healthCheckNodePort")
        if not number:
            number = spec["healthCheckNodePort"] = self._free_port("TCP", taken)
            taken[node_port_key("TCP", number)] = None
            return
        key = node_port_key("TCP", number)
        if key not in held:
            self._claim_chosen_port("spec.healthCheckNodePort", number, key)
            taken[key] = None

    def _claim_chosen_port(self, field: str, number: int, key: bytes) -> None:
        low, high = self._ports
        if not low <= number <= high:
            raise self._refused(
                field,
                f"Invalid value: {number}: provided port is not in the valid range. The range of "
                f"valid ports is {low}-{high}",
            )
        if self._request.found(key) is not None:
            raise self._refused(
                field, f"Invalid value: {number}: provided port is already allocated"
            )

    def _free_port(self, protocol: str, taken: Keys) -> int:
        low, high = self._ports
        size = high - low + 1
        first = self._random.randrange(size)
        for offset in range(size):
            number = low + (first + offset) % size
            key = node_port_key(protocol, number)
            if key not in taken and self._request.found(key) is None:
                return int(number)
        raise errors.internal_error("failed to allocate a nodePort: range is full")

    def _refused(self, field: str, message: str) -> StatusError:
        cause = Cause(field, "FieldValueInvalid", message)
        return errors.invalid(self._info, self._request.name, [cause])


def release_addresses(obj: Object) -> list[Write]:
    """What gives all addresses of a Service back."""
    return [Write(key, None) for key in _keys_of(obj.get("spec") or {})]


def keep_addresses(before: Object, spec: Object) -> Object:
    """The specification with the addresses of the old one where the update names none.

    So a client may replace a Service with the manifest that created it. Node ports belong to the
    port of the same name, whatever else of it has changed (`patchAllocatedValues` of the real
    server).
    """
    kept = dict(spec)
    if spec.get("type") != "ExternalName" and before.get("type") != "ExternalName":
        if not spec.get("clusterIP") and before.get("clusterIP"):
            kept["clusterIP"] = before["clusterIP"]
        same = kept.get("clusterIP") == before.get("clusterIP")
        if same and not spec.get("clusterIPs") and before.get("clusterIPs"):
            kept["clusterIPs"] = before["clusterIPs"]
    if spec.get("type") in WITH_NODE_PORTS and before.get("type") in WITH_NODE_PORTS:
        if spec.get("ports"):
            kept["ports"] = _keep_node_ports(before.get("ports") or (), spec["ports"])
        if before.get("healthCheckNodePort") and not spec.get("healthCheckNodePort"):
            kept["healthCheckNodePort"] = before["healthCheckNodePort"]
    return kept


def _keep_node_ports(before: Any, ports: Any) -> list[Object]:
    had = {port.get("name", ""): port["nodePort"] for port in before if port.get("nodePort")}
    used = {port["nodePort"] for port in ports if port.get("nodePort")}
    kept = []
    for port in ports:
        number = had.get(port.get("name", ""))
        if number and not port.get("nodePort") and number not in used:
            used.add(number)
            kept.append({**port, "nodePort": number})
        else:
            kept.append(port)
    return kept


def without_node_port(port: Object) -> Object:
    """The port of a Service without its node port."""
    return {field: value for field, value in port.items() if field != "nodePort"}


def node_port_key(protocol: str, number: int) -> bytes:
    """The key of a node port; TCP and UDP are counted apart."""
    return NODE_PORT_PREFIX + f"{protocol}.{number}".encode()


def _keys_of(spec: Object) -> list[bytes]:
    """The keys of all addresses that a Service holds."""
    keys: list[bytes] = []
    cluster_ip = spec.get("clusterIP")
    if cluster_ip and cluster_ip != NONE:
        keys.append(IP_ADDRESS_PREFIX + cluster_ip.encode())
    keys.extend(
        node_port_key(port.get("protocol", "TCP"), port["nodePort"])
        for port in spec.get("ports") or ()
        if port.get("nodePort")
    )
    if spec.get("healthCheckNodePort"):
        keys.append(node_port_key("TCP", spec["healthCheckNodePort"]))
    return keys
