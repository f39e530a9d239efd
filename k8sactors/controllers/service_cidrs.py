"""Service CIDR controller: a range of cluster IPs is ready, and stays while it is in use.

Source: KEP-1880. A range that is deleted is kept by a finalizer as long as an IPAddress lies in it
that no other range holds.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

from k8sactors.api import meta
from k8sactors.controllers.machinery.controller import Controller, ManagerContext, Object

Network = IPv4Network | IPv6Network

CIDRS: Final = "servicecidrs.networking.k8s.io"
ADDRESSES: Final = "ipaddresses.networking.k8s.io"
FINALIZER: Final = "networking.k8s.io/service-cidr-finalizer"
READY: Final = {
    "type": "Ready",
    "status": "True",
    "reason": "",
    "message": "Kubernetes Service CIDR is ready",
}
IN_USE: Final = {
    "type": "Ready",
    "status": "False",
    "reason": "Terminating",
    "message": "There are still IPAddresses referencing the ServiceCIDR, please remove them or "
    "create a new ServiceCIDR",
}


class ServiceCIDRController(Controller):
    """Reconciles ServiceCIDRs."""

    name = "service-cidr-controller"
    aliases = ("servicecidr",)
    service_account = "service-cidrs-controller"

    def __init__(self, manager: ManagerContext) -> None:
        super().__init__(manager)
        self._cidrs = self.watch_own(CIDRS)
        self._addresses = self.informer(ADDRESSES)
        self._addresses.add_handler(on_delete=self._look_again)
        self._cidrs.add_handler(on_add=self._look_again)

    def _look_again(self, _obj: Object) -> None:
        """An address has gone, or there is another range: what is deleted may not be in use now."""
        for cidr in self._cidrs.lister.list():
            if cidr["metadata"].get("deletionTimestamp"):
                self.enqueue(cidr)

    async def reconcile(self, key: str) -> None:
        """Report a range as ready, or let a deleted one go once it is not in use."""
        cidr = self._cidrs.lister.get(None, key)
        if cidr is None:
            return
        finalizers = cidr["metadata"].get("finalizers") or []
        if not cidr["metadata"].get("deletionTimestamp"):
            if FINALIZER not in finalizers:
                await self._write(cidr, [*finalizers, FINALIZER])
            else:
                await self._report(cidr, READY)
        elif FINALIZER in finalizers:
            if self._is_needed(cidr):
                await self._report(cidr, IN_USE)
            else:
                await self._write(cidr, [each for each in finalizers if each != FINALIZER])

    async def _write(self, cidr: Object, finalizers: list[str]) -> None:
        metadata = {**cidr["metadata"], "finalizers": finalizers}
        await self.client.update(CIDRS, {**cidr, "metadata": metadata})

    async def _report(self, cidr: Object, condition: Object) -> None:
        if meta.condition_is(cidr, condition["type"], condition["status"]):
            return
        status = cidr.get("status") or {}
        now = meta.format_time(self.manager.ctx.wall_ns())
        conditions = meta.set_condition(status.get("conditions"), condition, now)
        changed = {**cidr, "status": {**status, "conditions": conditions}}
        await self.client.update_status(CIDRS, changed)

    def _is_needed(self, cidr: Object) -> bool:
        others = [
            network
            for other in self._cidrs.lister.list()
            if other is not cidr and not other["metadata"].get("deletionTimestamp")
            for network in _networks(other)
        ]
        own = _networks(cidr)
        used = [ip_address(obj["metadata"]["name"]) for obj in self._addresses.lister.list()]
        return any(_holds(own, address) and not _holds(others, address) for address in used)


def _networks(cidr: Object) -> list[Network]:
    return [ip_network(text) for text in (cidr.get("spec") or {}).get("cidrs") or ()]


def _holds(networks: list[Network], address: IPv4Address | IPv6Address) -> bool:
    return any(address in network for network in networks)
