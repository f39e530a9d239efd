"""What exists in every cluster because an API server makes it.

System namespaces, priority classes, and the Service `kubernetes` on the first address of the
service range. Every API server tries; what is there already is left alone.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from typing import Any

from k8sactors.api import codec
from k8sactors.apiserver.admission.priority import SYSTEM_CLASSES
from k8sactors.apiserver.config import APIServerConfig
from k8sactors.simulation import SECOND

Object = dict[str, Any]

NAMESPACES = ("default", "kube-system", "kube-public", "kube-node-lease")
USER = "system:apiserver"
ALREADY_EXISTS = 409
FAILURE = 400
RETRY_NS = SECOND
_DESCRIPTIONS = {
    "system-cluster-critical": "Used for system critical pods that must run in the cluster, but "
    "can be moved to another node if necessary.",
    "system-node-critical": "Used for system critical pods that must not be moved from their "
    "current node.",
}


def initial_objects(config: APIServerConfig) -> list[tuple[str, str, Object]]:
    """Resource, namespace and object of everything to make, in order."""
    made: list[tuple[str, str, Object]] = [
        ("namespaces", "", _object("v1", "Namespace", name, "")) for name in NAMESPACES
    ]
    for name, value in SYSTEM_CLASSES.items():
        priority = _object("scheduling.k8s.io/v1", "PriorityClass", name, "")
        priority["value"] = value
        priority["description"] = _DESCRIPTIONS[name]
        made.append(("priorityclasses.scheduling.k8s.io", "", priority))
    service = _object("v1", "Service", "kubernetes", "default")
    service["metadata"]["labels"] = {"component": "apiserver", "provider": "kubernetes"}
    address = ipaddress.ip_network(config.service_cidr).network_address + 1
    service["spec"] = {
        "type": "ClusterIP",
        "clusterIP": str(address),
        "clusterIPs": [str(address)],
        "ports": [{"name": "https", "port": 443, "protocol": "TCP", "targetPort": 6443}],
    }
    made.append(("services", "default", service))
    return made


def _object(api_version: str, kind: str, name: str, namespace: str) -> Object:
    metadata: Object = {"name": name}
    if namespace:
        metadata["namespace"] = namespace
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata}


class Bootstrap:
    """Makes the objects one after the other; tries again when the store is away."""

    def __init__(
        self,
        config: APIServerConfig,
        submit: Callable[[Bootstrap, list[Any]], None],
        environment: Any,
    ) -> None:
        self.done = False
        self._objects = initial_objects(config)
        self._submit = submit
        self._environment = environment
        self._next = 0

    def start(self) -> None:
        """Make the next object."""
        if self._next >= len(self._objects):
            self.done = True
            return
        resource, namespace, obj = self._objects[self._next]
        body = codec.encode(obj)
        self._submit(self, ["create", resource, namespace, "", "", body, {"user": USER}])

    def reply(self, kind: str, payload: Any) -> None:
        """The answer to a create (a call's origin is whoever has this method)."""
        del kind
        code = payload[0]
        if code < FAILURE or code == ALREADY_EXISTS:
            self._next += 1
            self.start()
        else:
            self._environment.after(RETRY_NS, self.start)
