"""Looking into objects: paths to values, and the columns that kubectl would print."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from k8sactors.scenario.result import Table

Object = Mapping[str, Any]

_STEP = re.compile(r"([^.\[\]]+)|\[([^\]]+)\]")


class _Missing:
    """There is no value at a path."""

    def __repr__(self) -> str:
        return "(absent)"


MISSING = _Missing()


def value_at(obj: Any, path: str) -> Any:
    """The value at `status.conditions[type=Ready].status`; MISSING when there is none.

    A part in brackets is an index, a key (`metadata.labels[app.kubernetes.io/name]`), or selects
    the first item of a list that has a certain value.
    """
    value = obj
    for plain, bracketed in _STEP.findall(path):
        value = _inside(value, plain or bracketed, is_bracketed=not plain)
        if value is MISSING:
            return MISSING
    return value


def _inside(value: Any, part: str, *, is_bracketed: bool) -> Any:
    if isinstance(value, Mapping):
        return value.get(part, MISSING)
    if not isinstance(value, list):
        return MISSING
    if part.lstrip("-").isdigit():
        index = int(part)
        return value[index] if -len(value) <= index < len(value) else MISSING
    key, equals, wanted = part.partition("=")
    if not (is_bracketed and equals):
        return MISSING
    for item in value:
        if isinstance(item, Mapping) and str(item.get(key)) == wanted:
            return item
    return MISSING


def _text(value: Any) -> str:
    return "" if value is MISSING or value is None else str(value)


def _at(path: str) -> Callable[[Object], str]:
    return lambda obj: _text(value_at(obj, path))


def _number(path: str) -> Callable[[Object], str]:
    return lambda obj: _text(value_at(obj, path)) or "0"


def _ready_of(done: str, wanted: str) -> Callable[[Object], str]:
    return lambda obj: f"{_number(done)(obj)}/{_number(wanted)(obj)}"


def _pod_ready(pod: Object) -> str:
    statuses = pod.get("status", {}).get("containerStatuses") or []
    ready = sum(1 for each in statuses if each.get("ready"))
    return f"{ready}/{len(pod['spec'].get('containers') or [])}"


def _pod_status(pod: Object) -> str:
    if "deletionTimestamp" in pod["metadata"]:
        return "Terminating"
    status = pod.get("status", {})
    for each in status.get("containerStatuses") or []:
        waiting = value_at(each, "state.waiting.reason")
        if waiting is not MISSING and waiting:
            return str(waiting)
    return str(status.get("reason") or status.get("phase") or "Pending")


def _restarts(pod: Object) -> str:
    statuses = pod.get("status", {}).get("containerStatuses") or []
    return str(sum(each.get("restartCount", 0) for each in statuses))


def _node_status(node: Object) -> str:
    ready = value_at(node, "status.conditions[type=Ready].status")
    status = "Ready" if ready == "True" else "NotReady"
    return status + (",SchedulingDisabled" if node.get("spec", {}).get("unschedulable") else "")


def _roles(node: Object) -> str:
    prefix = "node-role.kubernetes.io/"
    labels = node["metadata"].get("labels") or {}
    roles = [label.removeprefix(prefix) for label in labels if label.startswith(prefix)]
    return ",".join(roles) or "<none>"


def _ports(service: Object) -> str:
    ports = service.get("spec", {}).get("ports") or []
    return ",".join(f"{each.get('port')}/{each.get('protocol', 'TCP')}" for each in ports)


COLUMNS: dict[str, list[tuple[str, Callable[[Object], str]]]] = {
    "pods": [
        ("READY", _pod_ready),
        ("STATUS", _pod_status),
        ("RESTARTS", _restarts),
        ("IP", _at("status.podIP")),
        ("NODE", _at("spec.nodeName")),
    ],
    "nodes": [
        ("STATUS", _node_status),
        ("ROLES", _roles),
        ("ZONE", _at("metadata.labels[topology.kubernetes.io/zone]")),
    ],
    "deployments.apps": [
        ("READY", _ready_of("status.readyReplicas", "spec.replicas")),
        ("UP-TO-DATE", _number("status.updatedReplicas")),
        ("AVAILABLE", _number("status.availableReplicas")),
    ],
    "replicasets.apps": [
        ("DESIRED", _number("spec.replicas")),
        ("CURRENT", _number("status.replicas")),
        ("READY", _number("status.readyReplicas")),
    ],
    "services": [
        ("TYPE", _at("spec.type")),
        ("CLUSTER-IP", _at("spec.clusterIP")),
        ("PORT(S)", _ports),
    ],
    "namespaces": [("STATUS", _at("status.phase"))],
    "events": [
        ("TYPE", _at("type")),
        ("REASON", _at("reason")),
        (
            "OBJECT",
            lambda event: "/".join(
                (_at("involvedObject.kind")(event).lower(), _at("involvedObject.name")(event))
            ),
        ),
        ("MESSAGE", _at("message")),
    ],
    "leases.coordination.k8s.io": [("HOLDER", _at("spec.holderIdentity"))],
}


def table_of(resource: str, objects: Sequence[Object], *, namespaced: bool) -> Table:
    """What `kubectl get` would print, without the age."""
    extra = COLUMNS.get(resource, [])
    columns = [*(["NAMESPACE"] if namespaced else []), "NAME", *(name for name, _ in extra)]
    rows = [
        [
            *([str(obj["metadata"].get("namespace", ""))] if namespaced else []),
            str(obj["metadata"]["name"]),
            *(column(obj) for _, column in extra),
        ]
        for obj in objects
    ]
    return Table(columns, rows)
