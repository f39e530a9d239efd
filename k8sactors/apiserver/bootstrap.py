"""What exists in every cluster because an API server creates it.

System namespaces, priority classes, the Service `kubernetes` on the first address of the service
range, the configuration of priority and fairness, and the default roles where roles decide. Every
API server tries; what is there already is left alone.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from typing import Any

from k8sactors.api import codec
from k8sactors.api.protocol import request
from k8sactors.api.user import API_SERVER_USER, UserInfo
from k8sactors.apiserver.admission.priority import SYSTEM_CLASSES
from k8sactors.apiserver.authz.authorizer import RBAC
from k8sactors.apiserver.authz.bootstrap_policy import initial_policy
from k8sactors.apiserver.config import APIServerConfig
from k8sactors.apiserver.priority_and_fairness.configuration_keeper import initial_configuration
from k8sactors.simulation import SECOND, Clock

Object = dict[str, Any]

NAMESPACES = ("default", "kube-system", "kube-public", "kube-node-lease")
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
    """Resource, namespace and object of everything to create, in order."""
    objects: list[tuple[str, str, Object]] = [
        ("namespaces", "", _object("v1", "Namespace", name, "")) for name in NAMESPACES
    ]
    for name, value in SYSTEM_CLASSES.items():
        priority = _object("scheduling.k8s.io/v1", "PriorityClass", name, "")
        priority["value"] = value
        priority["description"] = _DESCRIPTIONS[name]
        objects.append(("priorityclasses.scheduling.k8s.io", "", priority))
    service = _object("v1", "Service", "kubernetes", "default")
    service["metadata"]["labels"] = {"component": "apiserver", "provider": "kubernetes"}
    address = ipaddress.ip_network(config.service_cidr).network_address + 1
    service["spec"] = {
        "type": "ClusterIP",
        "clusterIP": str(address),
        "clusterIPs": [str(address)],
        "ports": [{"name": "https", "port": 443, "protocol": "TCP", "targetPort": 6443}],
    }
    objects.append(("services", "default", service))
    cidr = _object("networking.k8s.io/v1", "ServiceCIDR", "kubernetes", "")
    cidr["spec"] = {"cidrs": [config.service_cidr]}
    objects.append(("servicecidrs.networking.k8s.io", "", cidr))
    return objects


def _object(api_version: str, kind: str, name: str, namespace: str) -> Object:
    metadata: Object = {"name": name}
    if namespace:
        metadata["namespace"] = namespace
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata}


class Bootstrap:
    """Creates the objects, those of a step at once; tries again when the store is away."""

    def __init__(
        self,
        config: APIServerConfig,
        submit: Callable[[_Creation, list[Any], UserInfo], None],
        clock: Clock,
        on_done: Callable[[], None] | None,
    ) -> None:
        self.done = False
        self.clock = clock
        self.submit = submit
        self._steps = [[each] for each in initial_objects(config)]
        if RBAC in config.authorization_modes:
            # After the namespaces. They are many, and none needs another.
            self._steps.insert(len(NAMESPACES), initial_policy())
        if config.enable_priority_and_fairness:
            self._steps.append(initial_configuration())
        self._on_done = on_done
        self._left = 0

    def start(self) -> None:
        """Create the objects of the next step."""
        if not self._steps:
            self.done = True
            if self._on_done is not None:
                self._on_done()
            return
        step = self._steps.pop(0)
        self._left = len(step)
        for resource, namespace, obj in step:
            body = codec.encode(obj)
            _Creation(self, request("create", resource, namespace, body=body)).send()

    def created(self) -> None:
        """An object is there."""
        self._left -= 1
        if not self._left:
            self.start()


class _Creation:
    """One object on its way: the origin of a call."""

    def __init__(self, bootstrap: Bootstrap, payload: list[Any]) -> None:
        self._bootstrap = bootstrap
        self._payload = payload

    def send(self) -> None:
        self._bootstrap.submit(self, self._payload, API_SERVER_USER)

    def reply(self, kind: str, payload: Any) -> None:
        """The answer to a create."""
        del kind
        code = payload[0]
        if code < FAILURE or code == ALREADY_EXISTS:
            self._bootstrap.created()
        else:
            self._bootstrap.clock.after(RETRY_NS, self.send)
