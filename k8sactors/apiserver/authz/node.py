"""The Node authorizer: a kubelet may do what its node needs, and with the objects of its pods.

Source: documentation of Node authorization. A node reads its own Node, the pods that are bound to
it, and the Secrets, ConfigMaps, claims, volumes and ServiceAccounts that these pods refer to; it
asks for tokens of these ServiceAccounts; the lease and the CSINode of its name are its own. What is
not limited to objects is in the rules of the role `system:node`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, Protocol

from k8sactors.api import codec, selectors
from k8sactors.api.errors import SelectorError
from k8sactors.api.field_labels import SelectableFields
from k8sactors.api.user import NODES, UserInfo
from k8sactors.apiserver.authz.attributes import Attributes
from k8sactors.apiserver.authz.rbac import Decision
from k8sactors.apiserver.authz.rules import Rule
from k8sactors.apiserver.keys import key_of
from k8sactors.apiserver.watch_cache import WatchCache

Object = dict[str, Any]

_PREFIX: Final = "system:node:"
_READS: Final = frozenset({"get", "list", "watch"})
_OWN: Final = frozenset({"create", "get", "update", "patch", "delete"})
_NODE_LEASES: Final = "kube-node-lease"
_ACCOUNTS: Final = "serviceaccounts"

Check = Callable[[str, Attributes], Decision]


class Caches(Protocol):
    """Where pods and claims are cached (`feed.Feed`)."""

    def add_resource(self, resource: str, indexed: SelectableFields = ...) -> WatchCache:
        """The cache of a resource."""


def node_of(user: UserInfo) -> str:
    """The name of the node whose kubelet this is; "": it is no kubelet."""
    if NODES not in user.groups or not user.name.startswith(_PREFIX):
        return ""
    return user.name.removeprefix(_PREFIX)


class Node:
    """Decides for kubelets. `rules` are those of the role `system:node`."""

    def __init__(self, caches: Caches, rules: Sequence[Rule]) -> None:
        self._rules = tuple(rules)
        self._pods = caches.add_resource("pods")
        self._claims = caches.add_resource("persistentvolumeclaims")
        self._checks: dict[tuple[str, str], Check] = {
            ("", "secrets"): self._check_read,
            ("", "configmaps"): self._check_read,
            ("", "persistentvolumes"): self._check_read,
            ("", "persistentvolumeclaims"): self._check_claim,
            ("", "pods"): self._check_pod,
            ("", "nodes"): self._check_node,
            ("", _ACCOUNTS): self._check_token,
            ("coordination.k8s.io", "leases"): self._check_lease,
            ("storage.k8s.io", "csinodes"): _check_own,
        }

    def decide(self, attributes: Attributes) -> Decision:
        """Whether a kubelet may do this; the request of another user is not allowed here."""
        node = node_of(attributes.user)
        if not node:
            return Decision(False)
        check = self._checks.get((attributes.group, attributes.resource))
        if check is not None and not attributes.path:
            return check(node, attributes)
        return self._by_rules(node, attributes)

    def _by_rules(self, _node: str, attributes: Attributes) -> Decision:
        return Decision(any(rule.grants(attributes) for rule in self._rules))

    def _check_read(self, node: str, attributes: Attributes) -> Decision:
        if attributes.verb not in _READS:
            return Decision(False, "can only read resources of this type")
        if attributes.subresource:
            return Decision(False, "cannot read subresource")
        return self._related(node, attributes)

    def _check_claim(self, node: str, attributes: Attributes) -> Decision:
        if attributes.subresource != "status":
            return self._check_read(node, attributes)
        if attributes.verb not in {"get", "update", "patch"}:
            return Decision(False, "can only get, update, or patch PVC status")
        return self._related(node, attributes)

    def _check_token(self, node: str, attributes: Attributes) -> Decision:
        if not attributes.subresource:
            return self._check_read(node, attributes)
        if attributes.verb != "create" or attributes.subresource != "token":
            return Decision(False, "can only create tokens for individual service accounts")
        return self._related(node, attributes)

    def _check_pod(self, node: str, attributes: Attributes) -> Decision:
        if attributes.verb == "get" and not attributes.subresource:
            return self._related(node, attributes)
        if attributes.verb in {"list", "watch"} and not attributes.subresource:
            if _exact(attributes.field_selector, "spec.nodeName") == node:
                return Decision(True)
            return Decision(False, "can only list/watch pods with spec.nodeName field selector")
        return self._by_rules(node, attributes)

    def _check_node(self, node: str, attributes: Attributes) -> Decision:
        if attributes.verb in _READS and not attributes.subresource and attributes.name != node:
            text = f"node '{node}' cannot read '{attributes.name}', only its own Node object"
            if not attributes.name:
                text = f"node '{node}' cannot read all nodes, only its own Node object"
            return Decision(False, text)
        return self._by_rules(node, attributes)

    def _check_lease(self, node: str, attributes: Attributes) -> Decision:
        if attributes.namespace != _NODE_LEASES:
            return Decision(
                False, f"can only access leases in the {_NODE_LEASES!r} system namespace"
            )
        return _check_own(node, attributes)

    def _related(self, node: str, attributes: Attributes) -> Decision:
        if not attributes.name:
            return Decision(False, "No Object name found")
        related = self._find(node, attributes)
        text = f"no relationship found between node '{node}' and this object"
        return Decision(True) if related else Decision(False, text)

    def _find(self, node: str, attributes: Attributes) -> bool:
        resource, name = attributes.resource, attributes.name
        if resource == "persistentvolumes":
            return any(name == volume for volume in self._volumes_of(node))
        pods = self._pods_on(node, attributes.namespace)
        if resource == "pods":
            return any(pod["metadata"]["name"] == name for pod in pods)
        return any(name in references(pod, resource) for pod in pods)

    def _pods_on(self, node: str, namespace: str) -> Iterator[Object]:
        fields = self._pods.indexed
        spaces = [namespace] if namespace else sorted(self._pods.namespaces)
        for space in spaces:
            for entry in self._pods.namespaces.get(space, {}).values():
                if entry.trigger(fields) == node:
                    yield codec.decode(entry.data, 0)

    def _volumes_of(self, node: str) -> Iterator[str]:
        """The volumes that are bound to the claims of the node's pods."""
        for pod in self._pods_on(node, ""):
            namespace = pod["metadata"]["namespace"]
            for claim in references(pod, "persistentvolumeclaims"):
                key = key_of("persistentvolumeclaims", namespace, claim)
                entry = self._claims.entries.get(key)
                if entry is not None:
                    spec = codec.decode(entry.data, 0).get("spec") or {}
                    yield spec.get("volumeName") or ""


def _check_own(node: str, attributes: Attributes) -> Decision:
    """An object of the node's own name."""
    if attributes.verb not in _OWN:
        return Decision(False, "can only get, create, update, patch, or delete a node lease")
    # The name of what is created is in its body: admission looks at it.
    if attributes.name != node and attributes.verb != "create":
        return Decision(
            False, "can only access node lease with the same name as the requesting node"
        )
    return Decision(True)


def _exact(field_selector: str, path: str) -> str | None:
    if not field_selector:
        return None
    try:
        return selectors.parse_field_selector(field_selector).exact(path)
    except SelectorError:
        return None


def references(pod: Object, resource: str) -> set[str]:
    """The names of the objects of a resource that a pod refers to, in its namespace."""
    spec = pod.get("spec") or {}
    if resource == _ACCOUNTS:
        return {spec.get("serviceAccountName") or ""}
    found: set[str] = set()
    if resource == "secrets":
        found.update(each.get("name") or "" for each in spec.get("imagePullSecrets") or ())
    for volume in spec.get("volumes") or ():
        found.update(_of_volume(pod, volume, resource))
    for container in (
        *(spec.get("initContainers") or ()),
        *(spec.get("containers") or ()),
        *(spec.get("ephemeralContainers") or ()),
    ):
        found.update(_of_container(container, resource))
    return found - {""}


def _of_volume(pod: Object, volume: Object, resource: str) -> Iterator[str]:
    if resource == "persistentvolumeclaims":
        yield (volume.get("persistentVolumeClaim") or {}).get("claimName") or ""
        if "ephemeral" in volume:
            yield f"{pod['metadata']['name']}-{volume.get('name')}"
        return
    sources = [volume, *((volume.get("projected") or {}).get("sources") or ())]
    for source in sources:
        if resource == "configmaps":
            yield (source.get("configMap") or {}).get("name") or ""
        elif resource == "secrets":
            secret = source.get("secret") or {}
            yield secret.get("secretName") or secret.get("name") or ""


def _of_container(container: Object, resource: str) -> Iterator[str]:
    whole, one = ("secretRef", "secretKeyRef")
    if resource == "configmaps":
        whole, one = ("configMapRef", "configMapKeyRef")
    elif resource != "secrets":
        return
    for source in container.get("envFrom") or ():
        yield (source.get(whole) or {}).get("name") or ""
    for variable in container.get("env") or ():
        yield ((variable.get("valueFrom") or {}).get(one) or {}).get("name") or ""
