"""Addresses of Services: cluster IPs and node ports, each given to one Service only.

Every address in use has a key of its own, written in the transaction that writes its Service and
guarded by its absence. So two API servers can never give out the same address, whatever their
caches say, and an address is free in the moment its Service is gone. A lost race costs a retry
with another address.

Sources: documentation of Services ("Choosing your own IP address", "type: NodePort").
"""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Any

from k8sactors.api import errors
from k8sactors.api.errors import Cause, StatusError
from k8sactors.apiserver.config import APIServerConfig
from k8sactors.apiserver.keys import NODE_PORT_PREFIX, SERVICE_IP_PREFIX
from k8sactors.apiserver.store import Guard, Write

if TYPE_CHECKING:
    from k8sactors.apiserver.call import Call

Object = dict[str, Any]
Plan = tuple[Object, list[Guard], list[Write]]

NONE = "None"
WITH_NODE_PORTS = frozenset({"NodePort", "LoadBalancer"})
TRIES = 64


class ServiceAddresses:
    """Plans which addresses a Service gets and gives back."""

    def __init__(self, config: APIServerConfig, rng: Any) -> None:
        network = ipaddress.ip_network(config.service_cidr)
        self._base = int(network.network_address)
        # The network's own address and the broadcast address are never given out.
        self._size = network.num_addresses - 2
        self._network = network
        self._ports = config.node_ports
        self._random = rng

    def for_create(self, call: Call, obj: Object) -> Plan:
        """The Service with its addresses, and what makes them its own.

        Raises:
            StatusError: 422, an address that the client chose is taken or out of range.
        """
        return self._plan(call, {}, obj)

    def for_update(self, call: Call, old: Object, new: Object) -> Plan:
        """As `for_create`; addresses that the Service has already are kept or given back."""
        before, spec = old.get("spec") or {}, dict(new.get("spec") or {})
        if spec.get("type") != "ExternalName" and before.get("type") != "ExternalName":
            for field in ("clusterIP", "clusterIPs"):
                if not spec.get(field) and before.get(field):
                    spec[field] = before[field]
        _keep_node_ports(before, spec)
        return self._plan(call, before, {**new, "spec": spec})

    def for_delete(self, obj: Object) -> list[Write]:
        """What gives the addresses back."""
        return [Write(key, None) for key in _keys_of(obj.get("spec") or {})]

    def _plan(self, call: Call, before: Object, obj: Object) -> Plan:
        spec = dict(obj.get("spec") or {})
        owner = f"{call.namespace}/{call.name}".encode()
        held = dict.fromkeys(_keys_of(before))
        taken: dict[bytes, None] = {}
        self._assign_cluster_ip(call, spec, held, taken)
        self._assign_node_ports(call, spec, held, taken)
        self._assign_health_port(call, spec, held, taken)
        kept = dict.fromkeys(_keys_of(spec))
        guards = [Guard(key, 0) for key in taken]
        writes = [Write(key, owner) for key in taken]
        writes.extend(Write(key, None) for key in held if key not in kept)
        return {**obj, "spec": spec}, guards, writes

    def _assign_cluster_ip(
        self, call: Call, spec: Object, held: dict[bytes, None], taken: dict[bytes, None]
    ) -> None:
        if spec.get("type") == "ExternalName":
            spec.pop("clusterIP", None)
            spec.pop("clusterIPs", None)
            return
        wanted = spec.get("clusterIP") or next(iter(spec.get("clusterIPs") or ()), "")
        if wanted == NONE:
            spec["clusterIP"], spec["clusterIPs"] = NONE, [NONE]
            return
        if wanted:
            key = SERVICE_IP_PREFIX + wanted.encode()
            if key not in held:
                self._claim_chosen_ip(call, wanted, key)
                taken[key] = None
        else:
            wanted = self._free_ip(call)
            taken[SERVICE_IP_PREFIX + wanted.encode()] = None
        spec["clusterIP"], spec["clusterIPs"] = wanted, [wanted]

    def _claim_chosen_ip(self, call: Call, wanted: str, key: bytes) -> None:
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
        elif call.known and call.known.get(key) is not None:
            problem = "provided IP is already allocated"
        if problem:
            raise _refused(
                call,
                "spec.clusterIPs",
                f'Invalid value: ["{wanted}"]: failed to allocate IP {wanted}: {problem}',
            )

    def _free_ip(self, call: Call) -> str:
        known = call.known or {}
        used = self._used(call, SERVICE_IP_PREFIX)
        for _ in range(TRIES):
            number = self._base + 1 + self._random.randrange(self._size)
            text = str(ipaddress.ip_address(number))
            key = SERVICE_IP_PREFIX + text.encode()
            if text not in used and known.get(key) is None:
                return text
        for number in range(self._base + 1, self._base + 1 + self._size):
            text = str(ipaddress.ip_address(number))
            key = SERVICE_IP_PREFIX + text.encode()
            if text not in used and known.get(key) is None:
                return text
        raise errors.internal_error("failed to allocate a serviceIP: range is full")

    def _assign_node_ports(
        self, call: Call, spec: Object, held: dict[bytes, None], taken: dict[bytes, None]
    ) -> None:
        ports = spec.get("ports")
        if not ports:
            return
        if spec.get("type") not in WITH_NODE_PORTS:
            if any("nodePort" in port for port in ports):
                spec["ports"] = [
                    {name: value for name, value in port.items() if name != "nodePort"}
                    for port in ports
                ]
            return
        assigned = []
        for index, port in enumerate(ports):
            number = port.get("nodePort")
            if number:
                key = node_port_key(port.get("protocol", "TCP"), number)
                if key not in held and key not in taken:
                    self._claim_chosen_port(call, f"spec.ports[{index}].nodePort", number, key)
                    taken[key] = None
                assigned.append(port)
            else:
                number = self._free_port(call, port.get("protocol", "TCP"), taken)
                taken[node_port_key(port.get("protocol", "TCP"), number)] = None
                assigned.append({**port, "nodePort": number})
        spec["ports"] = assigned

    def _assign_health_port(
        self, call: Call, spec: Object, held: dict[bytes, None], taken: dict[bytes, None]
    ) -> None:
        if spec.get("type") != "LoadBalancer" or spec.get("externalTrafficPolicy") != "Local":
            spec.pop("healthCheckNodePort", None)
            return
        number = spec.get("healthCheckNodePort")
        if not number:
            number = spec["healthCheckNodePort"] = self._free_port(call, "TCP", taken)
            taken[node_port_key("TCP", number)] = None
            return
        key = node_port_key("TCP", number)
        if key not in held:
            self._claim_chosen_port(call, "spec.healthCheckNodePort", number, key)
            taken[key] = None

    def _claim_chosen_port(self, call: Call, field: str, number: int, key: bytes) -> None:
        low, high = self._ports
        if not low <= number <= high:
            raise _refused(
                call,
                field,
                f"Invalid value: {number}: provided port is not in the valid range. The range of "
                f"valid ports is {low}-{high}",
            )
        if call.known and call.known.get(key) is not None:
            raise _refused(
                call, field, f"Invalid value: {number}: provided port is already allocated"
            )

    def _free_port(self, call: Call, protocol: str, taken: dict[bytes, None]) -> int:
        low, high = self._ports
        known = call.known or {}
        size = high - low + 1
        first = self._random.randrange(size)
        for offset in range(size):
            number = low + (first + offset) % size
            keys = (node_port_key(protocol, number),)
            if all(key not in taken and known.get(key) is None for key in keys):
                return int(number)
        raise errors.internal_error("failed to allocate a nodePort: range is full")

    def _used(self, call: Call, prefix: bytes) -> dict[str, None]:
        """Addresses that earlier tries of this call have found taken."""
        known = call.known or {}
        return {
            key[len(prefix) :].decode(): None
            for key, state in known.items()
            if state is not None and key.startswith(prefix)
        }


def node_port_key(protocol: str, number: int) -> bytes:
    """The key of a node port; TCP and UDP are counted apart."""
    return NODE_PORT_PREFIX + f"{protocol}.{number}".encode()


def _keys_of(spec: Object) -> list[bytes]:
    """The keys of all addresses that a Service holds."""
    keys: list[bytes] = []
    cluster_ip = spec.get("clusterIP")
    if cluster_ip and cluster_ip != NONE:
        keys.append(SERVICE_IP_PREFIX + cluster_ip.encode())
    keys.extend(
        node_port_key(port.get("protocol", "TCP"), port["nodePort"])
        for port in spec.get("ports") or ()
        if port.get("nodePort")
    )
    if spec.get("healthCheckNodePort"):
        keys.append(node_port_key("TCP", spec["healthCheckNodePort"]))
    return keys


def _place(port: Object) -> tuple[str, int]:
    return port.get("protocol", "TCP"), port.get("port", 0)


def _keep_node_ports(before: Object, spec: Object) -> None:
    """Ports that the update does not number keep the number they had."""
    if spec.get("type") not in WITH_NODE_PORTS or before.get("type") not in WITH_NODE_PORTS:
        return
    had = {
        _place(port): port["nodePort"] for port in before.get("ports") or () if port.get("nodePort")
    }
    spec["ports"] = [
        {**port, "nodePort": had[place]}
        if not port.get("nodePort") and (place := _place(port)) in had
        else port
        for port in spec.get("ports") or ()
    ]
    if before.get("healthCheckNodePort") and not spec.get("healthCheckNodePort"):
        spec["healthCheckNodePort"] = before["healthCheckNodePort"]


def _refused(call: Call, field: str, message: str) -> StatusError:
    return errors.invalid(
        call.resource.info, call.name, [Cause(field, "FieldValueInvalid", message)]
    )
