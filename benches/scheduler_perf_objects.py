"""The objects that the operations of scheduler_perf make from templates."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from benches.scheduler_perf_client import PodRecord, Request
from benches.scheduler_perf_files import Operation
from benches.scheduler_perf_templates import Template
from k8sactors.api.kind import Kind
from k8sactors.api.kinds import builtin_kinds

__all__ = [
    "NotBuiltError",
    "any_requests",
    "kind_of",
    "namespace_requests",
    "node_requests",
    "pod_requests",
    "resource_slice_requests",
    "updated",
]

Object = dict[str, Any]

_HOSTNAME = "kubernetes.io/hostname"
_MIGRATED = "storage.alpha.kubernetes.io/migrated-plugins"
_RESOURCES = {"cpu": "4", "memory": "32Gi", "pods": "110"}
_DEFAULT_NODE: Object = {
    "apiVersion": "v1",
    "kind": "Node",
    "metadata": {"generateName": "scheduler-perf-"},
    "status": {
        "capacity": _RESOURCES,
        "allocatable": _RESOURCES,
        "conditions": [{"type": "Ready", "status": "True"}],
    },
}
_REQUESTS = {"cpu": "100m", "memory": "500Mi"}
_DEFAULT_POD: Object = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"generateName": "pod-"},
    "spec": {
        "containers": [
            {
                "name": "pause",
                "image": "registry.k8s.io/pause:3.10",
                "ports": [{"containerPort": 80}],
                "resources": {"requests": _REQUESTS, "limits": _REQUESTS},
            }
        ]
    },
}


class NotBuiltError(Exception):
    """The workload needs something that is not built; the message says what."""


@cache
def _kinds() -> dict[tuple[str, str], Kind]:
    return {
        (f"{served.group}/{served.version}".lstrip("/"), kind.kind): kind
        for kind in builtin_kinds()
        for served in kind.served
    }


def kind_of(obj: Object, path: Path) -> Kind:
    """The kind of a template's object.

    Raises:
        NotBuiltError: the server does not serve it.
    """
    kind = _kinds().get((obj["apiVersion"], obj["kind"]))
    if kind is None:
        raise NotBuiltError(f"{obj['apiVersion']} {obj['kind']} of {path.name} is not served here")
    return kind


def _rendered(op: Operation, path: Path | None, default: Object, count: int) -> Iterator[Object]:
    """`count` objects, each with metadata of its own."""
    template = None if path is None else Template(path)
    for index in range(count):
        if template is None:
            yield {**default, "metadata": dict(default["metadata"])}
        else:
            values = {**op.get("templateParams", {}), "Index": index, "Count": count}
            yield template.render(values)


def _name(obj: Object, unique: str) -> str:
    """The object's name, else the prefix that it generates names from and what makes it unique."""
    metadata = obj["metadata"]
    prefix = metadata.pop("generateName", "") or f"{obj['kind'].lower()}-"
    return str(metadata.setdefault("name", f"{prefix}{unique}"))


def node_requests(op: Operation, number: int) -> list[Request]:
    """Nodes, and their CSINodes where the operation says what these allow.

    Every node has a hostname label, which kubelets set, unless its template sets another one.
    """
    requests = []
    labels = op.get("labelNodePrepareStrategy") or {}
    unique = op.get("uniqueNodeLabelStrategy") or {}
    allocatable = op.get("nodeAllocatableStrategy") or {}
    values = labels.get("labelValues") or [labels.get("labelValue")]
    count = op.get("count")
    for index, node in enumerate(
        _rendered(op, op.template("nodeTemplatePath"), _DEFAULT_NODE, count)
    ):
        name = _name(node, f"{number}-{index}")
        own = {_HOSTNAME: name, **(node["metadata"].get("labels") or {})}
        if labels:
            own[labels["labelKey"]] = values[index % len(values)]
        if unique:
            own[unique["labelKey"]] = name
        node["metadata"]["labels"] = own
        status = dict(node.get("status") or {})
        more = allocatable.get("nodeAllocatable") or {}
        status["capacity"] = {**(status.get("capacity") or {}), **more}
        status["allocatable"] = {**status["capacity"], **(status.get("allocatable") or {}), **more}
        node["status"] = status
        requests.append(Request("create", "nodes", body=node))
        drivers = allocatable.get("csiNodeAllocatable")
        if drivers:
            requests.append(_csi_node(name, drivers, allocatable.get("migratedPlugins") or ()))
    return requests


def _csi_node(name: str, drivers: Mapping[str, Any], migrated: Any) -> Request:
    metadata: Object = {"name": name}
    if migrated:
        metadata["annotations"] = {_MIGRATED: ",".join(migrated)}
    listed = [
        {"name": driver, "nodeID": name, "allocatable": {"count": (limits or {}).get("count")}}
        for driver, limits in drivers.items()
    ]
    body = {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "CSINode",
        "metadata": metadata,
        "spec": {"drivers": listed},
    }
    return Request("create", "csinodes.storage.k8s.io", body=body)


def namespace_requests(op: Operation) -> list[Request]:
    """Namespaces `<prefix>-<number>`."""
    default = {"apiVersion": "v1", "kind": "Namespace", "metadata": {}}
    rendered = _rendered(op, op.template("namespaceTemplatePath"), default, op.get("count"))
    requests = []
    for index, namespace in enumerate(rendered):
        namespace["metadata"].pop("generateName", None)
        namespace["metadata"]["name"] = f"{op.get('prefix')}-{index}"
        requests.append(Request("create", "namespaces", body=namespace))
    return requests


def pod_requests(
    op: Operation, default_template: Path | None, namespace: str, unique: str, count: int
) -> tuple[list[Request], list[Request]]:
    """What pods need before them, and the pods."""
    before: list[Request] = []
    requests = []
    volumes = op.template("persistentVolumeTemplatePath")
    claims = op.template("persistentVolumeClaimTemplatePath")
    path = op.template("podTemplatePath") or default_template
    for index, pod in enumerate(_rendered(op, path, _DEFAULT_POD, count)):
        name = _name(pod, f"{unique}-{index}")
        pod["metadata"]["namespace"] = namespace
        if volumes is not None and claims is not None:
            before += _bound_volume(op, volumes, claims, namespace, f"{unique}-{index}")
            claim = {"claimName": f"pvc-{unique}-{index}"}
            spec = pod["spec"]
            own = [*(spec.get("volumes") or ()), {"name": "vol", "persistentVolumeClaim": claim}]
            pod["spec"] = {**spec, "volumes": own}
        record = PodRecord(namespace, name, pod["metadata"].get("labels") or {})
        requests.append(Request("create", "pods", namespace, body=pod, record=record))
    return before, requests


def _bound_volume(
    op: Operation, volumes: Path, claims: Path, namespace: str, unique: str
) -> list[Request]:
    """A volume and a claim that are bound to each other, without a controller that binds them."""
    (volume,) = _rendered(op, volumes, {}, 1)
    (claim,) = _rendered(op, claims, {}, 1)
    volume_name, claim_name = f"pv-{unique}", f"pvc-{unique}"
    volume["metadata"]["name"] = volume_name
    reference = {"apiVersion": "v1", "kind": "PersistentVolumeClaim"}
    spec = {**volume["spec"], "claimRef": {**reference, "namespace": namespace, "name": claim_name}}
    for source, identity in (("csi", "volumeHandle"), ("awsElasticBlockStore", "volumeID")):
        if source in spec:
            spec[source] = {**spec[source], identity: volume_name}
    volume["spec"] = spec
    claim["metadata"] |= {"name": claim_name, "namespace": namespace}
    claim["spec"] = {**claim["spec"], "volumeName": volume_name, "storageClassName": ""}
    capacity = spec.get("capacity") or {}
    bound = {
        "phase": "Bound",
        "capacity": capacity,
        "accessModes": claim["spec"].get("accessModes") or [],
    }
    return [
        Request("create", "persistentvolumes", body=volume),
        Request("create", "persistentvolumeclaims", namespace, body=claim),
        Request(
            "update",
            "persistentvolumes",
            name=volume_name,
            subresource="status",
            change=lambda found: {**found, "status": {"phase": "Bound"}},
        ),
        Request(
            "update",
            "persistentvolumeclaims",
            namespace,
            claim_name,
            subresource="status",
            change=lambda found: {**found, "status": bound},
        ),
    ]


def any_requests(
    op: Operation,
    path: Path,
    namespace: str | None,
    unique: str,
    count: int,
) -> list[Request]:
    """Objects of any kind from one template."""
    requests = []
    for index, obj in enumerate(_rendered(op, path, {}, count)):
        kind = kind_of(obj, path)
        name = _name(obj, f"{unique}-{index}")
        where = (obj["metadata"].get("namespace") or namespace) if kind.namespaced else None
        if kind.namespaced and where is None:
            raise op.error(f"{path.name} makes a {kind.kind}, which needs a namespace: add one")
        if where is not None:
            obj["metadata"]["namespace"] = where
        record = None
        if kind.plural == "pods" and where is not None:
            record = PodRecord(where, name, obj["metadata"].get("labels") or {})
        requests.append(
            Request("create", kind.storage_name, where, name=None, body=obj, record=record)
        )
    return requests


def resource_slice_requests(op: Operation, nodes: list[str]) -> list[Request]:
    """The slices in which a driver of dynamic resources publishes its devices, one per node."""
    driver = op.get("driverName")
    devices = [{"name": f"device-{n}"} for n in range(op.get("maxClaimsPerNode", 1))]
    return [
        Request(
            "create",
            "resourceslices.resource.k8s.io",
            body={
                "apiVersion": "resource.k8s.io/v1",
                "kind": "ResourceSlice",
                "metadata": {"name": f"{node}-{driver}"},
                "spec": {
                    "driver": driver,
                    "nodeName": node,
                    "pool": {"name": node, "generation": 1, "resourceSliceCount": 1},
                    "devices": devices,
                },
            },
        )
        for node in nodes
    ]


def updated(wanted: Object, found: Object) -> Object:
    """An object as its template has it now, with what the server and the scheduler have set.

    A pod's gates go when the template has none any more: that is how a gate is removed.
    """
    metadata = {**found["metadata"]}
    for name in ("labels", "annotations"):
        if name in wanted["metadata"]:
            metadata[name] = wanted["metadata"][name]
    changed = {**found, "metadata": metadata}
    spec = wanted.get("spec")
    if spec is None:
        return changed
    before = found.get("spec") or {}
    changed["spec"] = {**before, **spec}
    if "schedulingGates" not in spec:
        changed["spec"].pop("schedulingGates", None)
    if "containers" in spec:
        known = {container["name"]: container for container in before.get("containers") or ()}
        changed["spec"]["containers"] = [
            {**known.get(container["name"], {}), **container} for container in spec["containers"]
        ]
    return changed
