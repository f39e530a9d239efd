"""Static pods: those that a kubelet runs from files of its own, and their mirrors in the API.

A static pod's name gets the node's as suffix and its uid is a hash of the manifest. The API server
shows a mirror pod, through which the real one cannot be changed: it carries the hash as annotation
and is made again when it is deleted.
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
