"""What the manifests of a cluster's network and storage add to its roles."""

from __future__ import annotations

from typing import Any, Final

from k8sactors.controllers.simulated_csi import ACCOUNT as CSI_ACCOUNT
from k8sactors.network.network_agent import ACCOUNT, NAMESPACE

Object = dict[str, Any]

_GROUP: Final = "rbac.authorization.k8s.io"
_READ: Final = ("get", "list", "watch")
_STORAGE: Final = "storage.k8s.io"


def addon_roles() -> list[tuple[str, Object]]:
    """Resource and object of the roles of the network agents and of the simulated CSI driver."""
    return [
        *_role(ACCOUNT, NAMESPACE, [_rule(_READ, "", "nodes")]),
        *_role(
            CSI_ACCOUNT,
            "kube-system",
            [
                _rule(_READ, "", "nodes", "persistentvolumeclaims"),
                _rule(("update", "patch"), "", "persistentvolumeclaims/status"),
                _rule((*_READ, "create", "delete", "patch"), "", "persistentvolumes"),
                _rule(_READ, _STORAGE, "storageclasses"),
                _rule((*_READ, "patch"), _STORAGE, "volumeattachments"),
                _rule(("patch",), _STORAGE, "volumeattachments/status"),
                _rule(("create", "patch", "update"), "", "events"),
            ],
        ),
    ]


def _rule(verbs: tuple[str, ...], group: str, *resources: str) -> Object:
    return {"verbs": list(verbs), "apiGroups": [group], "resources": list(resources)}


def _role(account: str, namespace: str, rules: list[Object]) -> list[tuple[str, Object]]:
    """A cluster role of the account's name, bound to it."""
    common = {"apiVersion": f"{_GROUP}/v1", "metadata": {"name": account}}
    reference = {"apiGroup": _GROUP, "kind": "ClusterRole", "name": account}
    subject = {"kind": "ServiceAccount", "name": account, "namespace": namespace}
    role = {**common, "kind": "ClusterRole", "rules": rules}
    binding = {
        **common,
        "kind": "ClusterRoleBinding",
        "roleRef": reference,
        "subjects": [subject],
    }
    return [(f"clusterroles.{_GROUP}", role), (f"clusterrolebindings.{_GROUP}", binding)]
