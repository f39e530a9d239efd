"""Static pods: those that a kubelet runs from files of its own, and their mirrors in the API.

A static pod's name gets the node's as suffix and its uid is a hash of the manifest.  The API server
shows a mirror pod that nobody can use to change the real one: it carries the hash as annotation and
is made again when it is deleted.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import msgpack

CONFIG_HASH = "kubernetes.io/config.hash"
CONFIG_MIRROR = "kubernetes.io/config.mirror"
CONFIG_SOURCE = "kubernetes.io/config.source"
CONFIG_SEEN = "kubernetes.io/config.seen"
_NO_EXECUTE_ANY = {"operator": "Exists", "effect": "NoExecute"}


def static_pod(manifest: Mapping[str, Any], node_name: str, seen: str) -> dict[str, Any]:
    """The pod that the kubelet runs for a manifest."""
    metadata = dict(manifest["metadata"])
    digest = hashlib.sha256(msgpack.packb([manifest, node_name])).hexdigest()[:32]
    annotations = {
        **(metadata.get("annotations") or {}),
        CONFIG_HASH: digest,
        CONFIG_SEEN: seen,
        CONFIG_SOURCE: "file",
    }
    spec = {
        "restartPolicy": "Always",
        **manifest["spec"],
        "nodeName": node_name,
        "tolerations": [*(manifest["spec"].get("tolerations") or ()), _NO_EXECUTE_ANY],
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            **metadata,
            "name": f"{metadata['name']}-{node_name}",
            "namespace": metadata.get("namespace") or "kube-system",
            "uid": digest,
            "annotations": annotations,
        },
        "spec": spec,
    }


def mirror_pod(pod: Mapping[str, Any], node: Mapping[str, Any] | None) -> dict[str, Any]:
    """The object that shows a static pod in the API."""
    metadata = {key: value for key, value in pod["metadata"].items() if key != "uid"}
    digest = pod["metadata"]["annotations"][CONFIG_HASH]
    metadata["annotations"] = {**metadata["annotations"], CONFIG_MIRROR: digest}
    if node is not None:
        metadata["ownerReferences"] = [
            {
                "apiVersion": "v1",
                "kind": "Node",
                "name": node["metadata"]["name"],
                "uid": node["metadata"]["uid"],
                "controller": True,
            }
        ]
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": pod["spec"]}


def is_mirror(pod: Mapping[str, Any]) -> bool:
    """Whether a pod object only shows a static pod."""
    return CONFIG_MIRROR in (pod["metadata"].get("annotations") or {})


def control_plane_pods(version: str, *, store_member: bool) -> list[dict[str, Any]]:
    """Manifests of the components that run beside the kubelet of a control-plane host.

    They show in the API what runs on the host; the components themselves are actors of the host.
    """
    components = [
        ("kube-apiserver", f"registry.k8s.io/kube-apiserver:{version}", "250m", 6443),
        (
            "kube-controller-manager",
            f"registry.k8s.io/kube-controller-manager:{version}",
            "200m",
            10257,
        ),
        ("kube-scheduler", f"registry.k8s.io/kube-scheduler:{version}", "100m", 10259),
    ]
    if store_member:
        components.insert(0, ("etcd", "registry.k8s.io/etcd:3.6.4-0", "100m", 2379))
    return [_component(*component) for component in components]


def _component(name: str, image: str, cpu: str, port: int) -> dict[str, Any]:
    container = {
        "name": name,
        "image": image,
        "command": [name],
        "resources": {"requests": {"cpu": cpu}},
        "ports": [{"name": "serving", "containerPort": port, "hostPort": port}],
    }
    return {
        "metadata": {
            "name": name,
            "namespace": "kube-system",
            "labels": {"component": name, "tier": "control-plane"},
        },
        "spec": {
            "hostNetwork": True,
            "priorityClassName": "system-node-critical",
            "containers": [container],
        },
    }
