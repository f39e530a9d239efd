"""The ports of a node that a pod takes."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final, NamedTuple

WILDCARD: Final = "0.0.0.0"  # noqa: S104 - the API's word for every address


class HostPort(NamedTuple):
    """One port of a node: its address, protocol and number."""

    host_ip: str
    protocol: str
    port: int

    def conflicts(self, taken: Collection[HostPort]) -> bool:
        """Whether one of the taken ports is this one; the wildcard is every address."""
        if not taken:
            return False
        if self.host_ip == WILDCARD:
            return any(p.protocol == self.protocol and p.port == self.port for p in taken)
        return self in taken or self._replace(host_ip=WILDCARD) in taken


def host_ports(spec: Mapping[str, Any]) -> tuple[HostPort, ...]:
    """The ports that the containers and sidecars of a pod's specification take.

    In the host's network each container port is a port of the node.
    """
    sidecars = [c for c in spec.get("initContainers") or () if c.get("restartPolicy") == "Always"]
    ports: dict[HostPort, None] = {}
    for container in (*spec["containers"], *sidecars):
        for port in container.get("ports") or ():
            number = port.get("hostPort") or (
                port["containerPort"] if spec.get("hostNetwork") else 0
            )
            if number:
                address = port.get("hostIP") or WILDCARD
                ports[HostPort(address, port.get("protocol") or "TCP", number)] = None
    return tuple(ports)
