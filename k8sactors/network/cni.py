"""The Container Network Interface: one address per pod, out of the node's own range.

A plugin answers ADD and DEL for a sandbox. The `bridge` plugin with `host-local` addresses is the
one that the reference configuration of CNI describes: addresses are handed out round robin, so that
a freed address rests as long as possible, the first one is the bridge's, and DEL may be repeated.
A node whose range is not yet known has no plugin, which the runtime reports as NetworkReady=false.
"""

from __future__ import annotations

import ipaddress
from collections.abc import MutableMapping
from typing import Protocol

import attrs

from k8sactors.network.errors import AddressPoolExhaustedError


@attrs.frozen
class Attachment:
    """What ADD returns: the pod's end of its link."""

    ip: str
    gateway: str
    interface: str


_LAST_RESERVED = "last_reserved"


class CNIPlugin(Protocol):
    """The two verbs that a runtime uses."""

    def add(self, sandbox_id: str) -> Attachment:
        """Attach a sandbox.

        Raises:
            AddressPoolExhaustedError: no address is free.
        """
        ...

    def delete(self, sandbox_id: str) -> None:
        """Detach a sandbox and free its address; unknown sandboxes are fine."""
        ...


class HostLocalAddresses:
    """Addresses of one range, each given to one owner, round robin.

    Args:
        cidr: the range.
        disk: where the last given address is kept, so that a rebooted node does not begin with
            addresses that its pods of before are still known by.
    """

    def __init__(self, cidr: str, disk: MutableMapping[str, int] | None = None) -> None:
        network = ipaddress.ip_network(cidr)
        self._first = int(network.network_address) + 2
        self._count = max(network.num_addresses - 3, 0)
        self._disk = {} if disk is None else disk
        self._owner_of: dict[int, str] = {}
        self._address_of: dict[str, int] = {}
        self.gateway = str(network.network_address + 1)

    def allocate(self, owner: str) -> str:
        """The owner's address, the same one when asked again."""
        known = self._address_of.get(owner)
        if known is not None:
            return str(ipaddress.ip_address(known))
        last = self._disk.get(_LAST_RESERVED, -1)
        for step in range(1, self._count + 1):
            offset = (last + step) % self._count
            address = self._first + offset
            if address not in self._owner_of:
                self._disk[_LAST_RESERVED] = offset
                self._owner_of[address] = owner
                self._address_of[owner] = address
                return str(ipaddress.ip_address(address))
        raise AddressPoolExhaustedError("no IP addresses available in range set")

    def release(self, owner: str) -> None:
        """Free the owner's address, if it has one."""
        address = self._address_of.pop(owner, None)
        if address is not None:
            del self._owner_of[address]

    def __len__(self) -> int:
        return len(self._owner_of)


class BridgePlugin:
    """Pods on a bridge that is their gateway, addresses from the node's pod range."""

    def __init__(self, pod_cidr: str, disk: MutableMapping[str, int] | None = None) -> None:
        self.pod_cidr = pod_cidr
        self.addresses = HostLocalAddresses(pod_cidr, disk)

    def add(self, sandbox_id: str) -> Attachment:
        """Attach a sandbox to the bridge."""
        return Attachment(self.addresses.allocate(sandbox_id), self.addresses.gateway, "eth0")

    def delete(self, sandbox_id: str) -> None:
        """Detach a sandbox from the bridge."""
        self.addresses.release(sandbox_id)
