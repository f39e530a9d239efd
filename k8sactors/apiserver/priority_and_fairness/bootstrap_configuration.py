"""The FlowSchemas and PriorityLevelConfigurations that every cluster starts with.

The mandatory ones hold even when their objects are missing, and cannot be changed; the suggested
ones are kept as they are here as long as their annotation says so. Source: documentation of API
Priority and Fairness ("Defaults"), release 1.34.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from k8sactors.api.user import AUTHENTICATED, MASTERS, NODES, SERVICE_ACCOUNTS, UNAUTHENTICATED

Object = dict[str, Any]

API_VERSION: Final = "flowcontrol.apiserver.k8s.io/v1"
FLOW_SCHEMAS: Final = "flowschemas.flowcontrol.apiserver.k8s.io"
PRIORITY_LEVELS: Final = "prioritylevelconfigurations.flowcontrol.apiserver.k8s.io"
AUTO_UPDATE: Final = "apf.kubernetes.io/autoupdate-spec"
EXEMPT: Final = "Exempt"
LIMITED: Final = "Limited"
QUEUE: Final = "Queue"

_ALL: Final = ["*"]
_BY_USER: Final = "ByUser"
_BY_NAMESPACE: Final = "ByNamespace"
_KUBE_SYSTEM: Final = "kube-system"
_CONTROLLER_MANAGER: Final = "system:kube-controller-manager"
_SCHEDULER: Final = "system:kube-scheduler"
_LEADERS: Final = ["get", "create", "update"]


def _object(kind: str, name: str, spec: Object) -> Object:
    metadata = {"name": name, "annotations": {AUTO_UPDATE: "true"}}
    return {"apiVersion": API_VERSION, "kind": kind, "metadata": metadata, "spec": spec}


def _limited(
    name: str, shares: int, lendable: int, queues: tuple[int, int, int] | None = None
) -> Object:
    response: Object = {"type": "Reject"}
    if queues is not None:
        number, hand_size, length_limit = queues
        queuing = {"queues": number, "handSize": hand_size, "queueLengthLimit": length_limit}
        response = {"type": QUEUE, "queuing": queuing}
    limited = {
        "nominalConcurrencyShares": shares,
        "lendablePercent": lendable,
        "limitResponse": response,
    }
    return _object("PriorityLevelConfiguration", name, {"type": LIMITED, "limited": limited})


def _schema(
    name: str, level: str, precedence: int, distinguisher: str, rules: Sequence[Object]
) -> Object:
    spec: Object = {
        "priorityLevelConfiguration": {"name": level},
        "matchingPrecedence": precedence,
        "rules": list(rules),
    }
    if distinguisher:
        spec["distinguisherMethod"] = {"type": distinguisher}
    return _object("FlowSchema", name, spec)


def _rules(
    subjects: list[Object],
    resources: list[Object] | None = None,
    paths: list[Object] | None = None,
) -> list[Object]:
    """Rules for some subjects; without resources and paths, for all that they ask for."""
    if resources is None and paths is None:
        everything: Object = {
            "verbs": _ALL,
            "apiGroups": _ALL,
            "resources": _ALL,
            "clusterScope": True,
            "namespaces": _ALL,
        }
        resources, paths = [everything], [{"verbs": _ALL, "nonResourceURLs": _ALL}]
    found: Object = {"subjects": subjects}
    if resources:
        found["resourceRules"] = resources
    if paths:
        found["nonResourceRules"] = paths
    return [found]


def _resource(verbs: list[str], group: str, names: list[str], *, cluster: bool = False) -> Object:
    rule: Object = {"verbs": verbs, "apiGroups": [group], "resources": names, "namespaces": _ALL}
    if cluster:
        rule["clusterScope"] = True
    return rule


def _groups(*names: str) -> list[Object]:
    return [{"kind": "Group", "group": {"name": name}} for name in names]


def _users(*names: str) -> list[Object]:
    return [{"kind": "User", "user": {"name": name}} for name in names]


def _system_accounts(*names: str) -> list[Object]:
    return [
        {"kind": "ServiceAccount", "serviceAccount": {"namespace": _KUBE_SYSTEM, "name": name}}
        for name in names
    ]


_ALL_USERS: Final = _groups(UNAUTHENTICATED, AUTHENTICATED)
_LEASES: Final = _resource(_LEADERS, "coordination.k8s.io", ["leases"])

MANDATORY_LEVELS: Final = (
    _object(
        "PriorityLevelConfiguration",
        "exempt",
        {"type": EXEMPT, "exempt": {"nominalConcurrencyShares": 0, "lendablePercent": 0}},
    ),
    _limited("catch-all", 5, 0),
)
MANDATORY_SCHEMAS: Final = (
    _schema("exempt", "exempt", 1, "", _rules(_groups(MASTERS))),
    _schema("catch-all", "catch-all", 10_000, _BY_USER, _rules(_ALL_USERS)),
)
SUGGESTED_LEVELS: Final = (
    _limited("system", 30, 33, (64, 6, 50)),
    _limited("node-high", 40, 25, (64, 6, 50)),
    _limited("leader-election", 10, 0, (16, 4, 50)),
    _limited("workload-high", 40, 50, (128, 6, 50)),
    _limited("workload-low", 100, 90, (128, 6, 50)),
    _limited("global-default", 20, 50, (128, 6, 50)),
)
SUGGESTED_SCHEMAS: Final = (
    _schema("system-nodes", "system", 500, _BY_USER, _rules(_groups(NODES))),
    _schema(
        "system-node-high",
        "node-high",
        400,
        _BY_USER,
        _rules(
            _groups(NODES),
            [
                _resource(_ALL, "", ["nodes", "nodes/status"], cluster=True),
                _resource(_ALL, "coordination.k8s.io", ["leases"]),
            ],
        ),
    ),
    _schema(
        "probes",
        "exempt",
        2,
        "",
        _rules(
            _ALL_USERS,
            paths=[{"verbs": ["get"], "nonResourceURLs": ["/healthz", "/readyz", "/livez"]}],
        ),
    ),
    _schema(
        "system-leader-election",
        "leader-election",
        100,
        _BY_USER,
        _rules([*_users(_CONTROLLER_MANAGER, _SCHEDULER), *_system_accounts("*")], [_LEASES]),
    ),
    _schema(
        "endpoint-controller",
        "workload-high",
        150,
        _BY_USER,
        _rules(
            [
                *_users(_CONTROLLER_MANAGER),
                *_system_accounts("endpoint-controller", "endpointslicemirroring-controller"),
            ],
            [_resource(_LEADERS, "", ["endpoints"])],
        ),
    ),
    _schema(
        "workload-leader-election",
        "leader-election",
        200,
        _BY_USER,
        _rules(_system_accounts("*"), [_LEASES]),
    ),
    _schema(
        "kube-controller-manager",
        "workload-high",
        800,
        _BY_NAMESPACE,
        _rules(_users(_CONTROLLER_MANAGER)),
    ),
    _schema("kube-scheduler", "workload-high", 800, _BY_NAMESPACE, _rules(_users(_SCHEDULER))),
    _schema(
        "kube-system-service-accounts",
        "workload-high",
        900,
        _BY_NAMESPACE,
        _rules(_system_accounts("*")),
    ),
    _schema("service-accounts", "workload-low", 9000, _BY_USER, _rules(_groups(SERVICE_ACCOUNTS))),
    _schema("global-default", "global-default", 9900, _BY_USER, _rules(_ALL_USERS)),
)
