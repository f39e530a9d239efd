"""NodeRestriction: a kubelet changes its own node, and the pods that are bound to it.

Source: documentation of admission controllers, "NodeRestriction", and of the Node authorizer. A
kubelet is a user `system:node:NAME` in the group `system:nodes`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Final

from k8sactors.api import errors, pod_references
from k8sactors.api.user import NODES
from k8sactors.apiserver.admission_chain import Attributes, Operation, Plugin

Object = dict[str, Any]

USER_PREFIX: Final = "system:node:"
MIRROR: Final = "kubernetes.io/config.mirror"
LEASE_NAMESPACE: Final = "kube-node-lease"
RESTRICTED: Final = "node-restriction.kubernetes.io"
KUBELET_LABELS: Final = frozenset(
    {
        "beta.kubernetes.io/arch",
        "beta.kubernetes.io/instance-type",
        "beta.kubernetes.io/os",
        "failure-domain.beta.kubernetes.io/region",
        "failure-domain.beta.kubernetes.io/zone",
        "kubernetes.io/arch",
        "kubernetes.io/hostname",
        "kubernetes.io/os",
        "node.kubernetes.io/instance-type",
        "topology.kubernetes.io/region",
        "topology.kubernetes.io/zone",
    }
)
KUBELET_LABEL_NAMESPACES: Final = ("kubelet.kubernetes.io", "node.kubernetes.io")
_STATUS_FIELDS: Final = frozenset(
    {"allocatedResourceStatuses", "allocatedResources", "capacity", "conditions"}
)


class NodeRestriction(Plugin):
    """Looks at the writes of kubelets alone."""

    default: ClassVar[bool] = False
    order: ClassVar[int] = 80
    resources: ClassVar[tuple[str, ...] | None] = (
        "pods",
        "nodes",
        "persistentvolumeclaims",
        "serviceaccounts",
        "leases.coordination.k8s.io",
        "csinodes.storage.k8s.io",
    )
    operations: ClassVar[tuple[Operation, ...]] = ("CREATE", "UPDATE", "DELETE")
    subresources: ClassVar[tuple[str, ...] | None] = None

    def admit(self, attributes: Attributes) -> None:
        """403 for what is not the kubelet's own."""
        user = attributes.call.user
        if NODES not in user.groups or not user.name.startswith(USER_PREFIX):
            return
        node = user.name.removeprefix(USER_PREFIX)
        if not node:
            _refuse(attributes, f'could not determine node from user "{user.name}"')
        checks: dict[str, Callable[[Attributes, str], None]] = {
            "pods": self._check_pod,
            "nodes": _check_node,
            "persistentvolumeclaims": _check_claim,
            "serviceaccounts": self._check_token,
        }
        checks.get(attributes.resource, _check_own_name)(attributes, node)

    def _check_pod(self, attributes: Attributes, node: str) -> None:
        part, operation = attributes.subresource, attributes.operation
        if part == "status":
            _check_pod_status(attributes, node)
        elif part == "eviction":
            # The eviction is admitted first, then the deletion that it comes to.
            pod = attributes.old or self._pod(attributes, attributes.name)
            if pod["spec"].get("nodeName") != node:
                _refuse(
                    attributes, f"node {node} can only evict pods with spec.nodeName set to itself"
                )
        elif part:
            _refuse(
                attributes,
                f"unexpected pod subresource \"{part}\", only 'status' and 'eviction' are allowed",
            )
        elif operation == "CREATE":
            self._check_mirror_pod(attributes, node)
        elif operation == "DELETE":
            assert attributes.old is not None
            if attributes.old["spec"].get("nodeName") != node:
                _refuse(
                    attributes,
                    f'node "{node}" can only delete pods with spec.nodeName set to itself',
                )
        else:
            _refuse(
                attributes,
                f'unexpected operation "{operation}", node "{node}" can only create and delete '
                "mirror pods",
            )

    def _pod(self, attributes: Attributes, name: str) -> Object:
        pod = self.cluster.get(attributes, "pods", attributes.namespace, name)
        if pod is None:
            raise errors.not_found("pods", name)
        return pod

    def _check_mirror_pod(self, attributes: Attributes, node: str) -> None:
        pod = attributes.obj
        assert pod is not None
        metadata, spec = pod["metadata"], pod["spec"]
        who = f'node "{node}"'
        if MIRROR not in (metadata.get("annotations") or {}):
            _refuse(
                attributes,
                f'pod does not have "{MIRROR}" annotation, {who} can only create mirror pods',
            )
        if spec.get("nodeName") != node:
            _refuse(attributes, f"{who} can only create pods with spec.nodeName set to itself")
        owners = metadata.get("ownerReferences") or []
        if len(owners) > 1:
            _refuse(
                attributes,
                f"{who} can only create pods with a single owner reference set to itself",
            )
        owner = owners[0] if owners else {}
        if (owner.get("apiVersion"), owner.get("kind"), owner.get("name")) != ("v1", "Node", node):
            _refuse(attributes, f"{who} can only create pods with an owner reference set to itself")
        if not owner.get("controller"):
            _refuse(
                attributes,
                f"{who} can only create pods with a controller owner reference set to itself",
            )
        if owner.get("blockOwnerDeletion"):
            _refuse(attributes, f"{who} must not set blockOwnerDeletion on an owner reference")
        found = self.cluster.get(attributes, "nodes", None, node)
        if found is None:
            raise errors.not_found("nodes", node)
        uid = found["metadata"].get("uid")
        if owner.get("uid") != uid:
            _refuse(attributes, f"node {node} UID mismatch: expected {owner.get('uid')} got {uid}")
        _check_references(attributes, pod, who)

    def _check_token(self, attributes: Attributes, node: str) -> None:
        if attributes.operation != "CREATE" or attributes.subresource != "token":
            return
        assert attributes.obj is not None
        bound = (attributes.obj.get("spec") or {}).get("boundObjectRef") or {}
        name = bound.get("name")
        if bound.get("apiVersion") != "v1" or bound.get("kind") != "Pod" or not name:
            _refuse(attributes, "node requested token not bound to a pod")
        uid = bound.get("uid")
        if not uid:
            _refuse(attributes, "node requested token with a pod binding without a uid")
        pod = self._pod(attributes, str(name))
        if pod["metadata"].get("uid") != uid:
            _refuse(
                attributes,
                f"the UID in the bound object reference ({uid}) does not match the UID in record. "
                "The object might have been deleted and then recreated",
            )
        if pod["spec"].get("nodeName") != node:
            _refuse(attributes, "node requested token bound to a pod scheduled on a different node")


def _refuse(attributes: Attributes, text: str) -> None:
    raise errors.forbidden(attributes.info, attributes.name, text)


def _check_references(attributes: Attributes, pod: Object, who: str) -> None:
    spec = pod["spec"]
    what = ""
    if spec.get("serviceAccountName"):
        what = "a service account"
    elif any(True for _ in pod_references.secrets(spec)):
        what = "secrets"
    elif any(True for _ in pod_references.config_maps(spec)):
        what = "configmaps"
    elif pod_references.has_projection(spec, "clusterTrustBundle"):
        what = "clustertrustbundles"
    elif any("persistentVolumeClaim" in volume for volume in spec.get("volumes") or ()):
        what = "persistentvolumeclaims"
    if what:
        _refuse(attributes, f"{who} can not create pods that reference {what}")


def _check_pod_status(attributes: Attributes, node: str) -> None:
    new, old = attributes.obj, attributes.old
    if attributes.operation != "UPDATE" or new is None or old is None:
        _refuse(attributes, f'unexpected operation "{attributes.operation}"')
        return
    if old["spec"].get("nodeName") != node:
        text = "can only update pod status for pods with spec.nodeName set to itself"
        _refuse(attributes, f'node "{node}" {text}')
    if (new["metadata"].get("labels") or {}) != (old["metadata"].get("labels") or {}):
        _refuse(attributes, f'node "{node}" cannot update labels through pod status')
    claims = [(each.get("status") or {}).get("resourceClaimStatuses") or [] for each in (old, new)]
    if claims[0] != claims[1]:
        _refuse(attributes, f'node "{node}" cannot update resource claim statues')


def _check_claim(attributes: Attributes, node: str) -> None:
    new, old = attributes.obj, attributes.old
    if attributes.subresource != "status":
        _refuse(attributes, "may only update PVC status")
    if new is None or old is None:
        _refuse(attributes, f'unexpected operation "{attributes.operation}"')
        return
    kept = []
    for claim in (old, new):
        status = claim.get("status") or {}
        rest = {key: status[key] for key in status if key not in _STATUS_FIELDS}
        ignored = {"managedFields", "resourceVersion"}
        metadata = {key: value for key, value in claim["metadata"].items() if key not in ignored}
        kept.append({"metadata": metadata, "spec": claim.get("spec"), "status": rest})
    kept[1]["spec"] = kept[0]["spec"]
    if kept[0] != kept[1]:
        _refuse(
            attributes,
            f'node "{node}" is not allowed to update fields other than status.capacity and '
            "status.conditions",
        )


def _check_node(attributes: Attributes, node: str) -> None:
    if attributes.name != node:
        _refuse(attributes, f'node "{node}" is not allowed to modify node "{attributes.name}"')
    new, old = attributes.obj, attributes.old
    if new is None:
        return
    labels = new["metadata"].get("labels") or {}
    if attributes.operation == "CREATE":
        forbidden = _forbidden_labels(labels, {})
        if forbidden:
            _refuse(
                attributes,
                f'node "{node}" is not allowed to set the following labels: {forbidden}',
            )
    elif old is not None:
        taints = [
            (each.get("spec") or {}).get("taints") or []
            for each in (old, new if not attributes.subresource else old)
        ]
        if taints[0] != taints[1]:
            _refuse(attributes, f'node "{node}" is not allowed to modify taints')
        forbidden = _forbidden_labels(labels, old["metadata"].get("labels") or {})
        if forbidden:
            _refuse(attributes, f"is not allowed to modify labels: {forbidden}")


def _forbidden_labels(new: dict[str, str], old: dict[str, str]) -> str:
    changed = [key for key in sorted({**new, **old}) if new.get(key) != old.get(key)]
    return ", ".join(key for key in changed if _is_forbidden(key))


def _is_forbidden(label: str) -> bool:
    namespace = label.rpartition("/")[0]
    if namespace == RESTRICTED or namespace.endswith(f".{RESTRICTED}"):
        return True
    owned = ("kubernetes.io", "k8s.io")
    if not any(namespace == each or namespace.endswith(f".{each}") for each in owned):
        return False
    return label not in KUBELET_LABELS and not any(
        namespace == each or namespace.endswith(f".{each}") for each in KUBELET_LABEL_NAMESPACES
    )


def _check_own_name(attributes: Attributes, node: str) -> None:
    """Leases and CSINodes bear the name of their node."""
    what, text = "CSINode", "can only access CSINode with the same name as the requesting node"
    if attributes.resource.startswith("leases"):
        what, text = "Lease", "can only access node lease with the same name as the requesting node"
    if what == "Lease" and attributes.namespace != LEASE_NAMESPACE:
        _refuse(attributes, f'can only access leases in the "{LEASE_NAMESPACE}" system namespace')
    if attributes.name != node:
        _refuse(attributes, text)
