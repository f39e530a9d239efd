"""kube-proxy: turns Services and EndpointSlices into the node's redirection rules.

It assigns no addresses and carries no traffic. Changes are collected for at least a second (the
iptables mode's minimum sync period), and only Services that changed are written. When it dies, the
kernel keeps what it had.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from k8sactors.actors import Connection, Message
from k8sactors.api.user import UserInfo
from k8sactors.client import Client, InformerFactory
from k8sactors.network import kernel_messages as kernel
from k8sactors.network.kernel_client import KernelClient
from k8sactors.network.service_rules import SERVICE_NAME_LABEL, ServicePort, nat_table, rules_of
from k8sactors.simulation import SECOND

MIN_SYNC_NS = SECOND
_SERVICE_INDEX = "service"
Key = tuple[str, str]


class KubeProxy(KernelClient):
    """The proxy of one node."""

    def __init__(self, node_name: str, servers: Sequence[str], dataplane: str) -> None:
        super().__init__(node_name, servers, dataplane)
        self._dirty: dict[Key, None] = {}
        self._full = True
        self._next_sync_ns = 0
        self._scheduled = False
        self.rules: dict[Key, list[ServicePort]] = {}

    def on_start(self) -> None:
        """Follow Services and EndpointSlices, connect to the kernel."""
        self._client = Client(self.ctx, self._servers, UserInfo("system:kube-proxy"))
        self._informers = InformerFactory(self._client)
        self._services = self._informers.informer("services")
        self._services.add_handler(
            on_add=self._service_changed,
            on_update=lambda _, service: self._service_changed(service),
            on_delete=self._service_changed,
        )
        self._slices = self._informers.informer("endpointslices.discovery.k8s.io")
        self._slices.add_index(_SERVICE_INDEX, _service_of_slice)
        self._slices.add_handler(
            on_add=self._slice_changed,
            on_update=lambda _, endpoint_slice: self._slice_changed(endpoint_slice),
            on_delete=self._slice_changed,
        )
        self._services.when_synced(self._schedule)
        self._slices.when_synced(self._schedule)
        self._informers.start()
        self.connect_to_kernel()

    def on_message(self, message: Message) -> None:
        """Show the rules as chains."""
        if message.kind == kernel.LIST_RULES:
            rules = [rule for rules in self.rules.values() for rule in rules]
            message.reply(kernel.RULES, nat_table(rules, self._node_name))

    def on_kernel_connected(self, connection: Connection) -> None:
        """Write all rules."""
        del connection
        self._full = True
        self._schedule()

    def _service_changed(self, service: dict[str, Any]) -> None:
        metadata = service["metadata"]
        self._dirty[metadata["namespace"], metadata["name"]] = None
        self._schedule()

    def _slice_changed(self, endpoint_slice: dict[str, Any]) -> None:
        key = _service_of_slice(endpoint_slice)
        if key is not None:
            namespace, _, name = key.partition("/")
            self._dirty[namespace, name] = None
            self._schedule()

    def _schedule(self) -> None:
        if not self._scheduled and self._informers.has_synced:
            self._scheduled = True
            self.ctx.after(max(self._next_sync_ns - self.ctx.now_ns(), 0), self._sync)

    def _sync(self) -> None:
        self._scheduled = False
        self._next_sync_ns = self.ctx.now_ns() + MIN_SYNC_NS
        dirty, self._dirty = self._dirty, {}
        removed: list[Key] = []
        changed: list[Key] = []
        for namespace, name in dirty:
            service = self._services.lister.get(namespace, name)
            if service is None:
                if self.rules.pop((namespace, name), None) is not None:
                    removed.append((namespace, name))
                continue
            slices = self._slices.by_index(_SERVICE_INDEX, f"{namespace}/{name}")
            rules = rules_of(service, slices)
            if self.rules.get((namespace, name)) != rules:
                self.rules[namespace, name] = rules
                changed.append((namespace, name))
        self._write(removed, changed)

    def _write(self, removed: list[Key], changed: list[Key]) -> None:
        connection = self._connection
        if connection is None or connection.closed:
            self._full = True
            return
        if self._full:
            removed, changed = [], list(self.rules)
        elif not (removed or changed):
            return
        entries = [[*key, [rule.to_wire() for rule in self.rules[key]]] for key in changed]
        connection.send(kernel.REPLACE_RULES, [self._full, [list(key) for key in removed], entries])
        self._full = False


def _service_of_slice(endpoint_slice: dict[str, Any]) -> str | None:
    """namespace/name of the Service that a slice belongs to."""
    metadata = endpoint_slice["metadata"]
    name = (metadata.get("labels") or {}).get(SERVICE_NAME_LABEL)
    return f"{metadata['namespace']}/{name}" if name else None
