"""What `kubectl apply` does on the client's side: three-way merge with the last applied state.

The manifest as applied is kept in an annotation. A later apply removes what the former manifest had
and the new one lacks, sets what the new one says, and leaves alone what others have added
(Kubernetes documentation, "Declarative Management of Kubernetes Objects").
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Literal

from k8sactors.api.errors import StatusError
from k8sactors.api.scheme import Scheme
from k8sactors.client import Client, is_already_exists, is_conflict, is_not_found

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
MAX_ATTEMPTS = 5

Outcome = Literal["created", "configured", "unchanged"]
Object = dict[str, Any]


def reference(scheme: Scheme, manifest: Object) -> str:
    """How kubectl names an object in its output: `deployment.apps/web`."""
    info = scheme.kind(manifest["apiVersion"], manifest["kind"])
    suffix = f".{info.group}" if info.group else ""
    return f"{info.singular}{suffix}/{manifest['metadata']['name']}"


def resource_of(scheme: Scheme, manifest: Object) -> str:
    """The resource that holds objects of this kind: `deployments.apps`."""
    info = scheme.kind(manifest["apiVersion"], manifest["kind"])
    return info.name


def with_namespace(scheme: Scheme, manifest: Object, namespace: str = "default") -> Object:
    """The manifest with the namespace in which it lands."""
    info = scheme.kind(manifest["apiVersion"], manifest["kind"])
    if not info.namespaced or "namespace" in manifest["metadata"]:
        return manifest
    return {**manifest, "metadata": {**manifest["metadata"], "namespace": namespace}}


def with_last_applied(manifest: Object) -> Object:
    """The manifest with itself in the annotation."""
    metadata = manifest["metadata"]
    annotations = {
        **metadata.get("annotations", {}),
        LAST_APPLIED: json.dumps(manifest, separators=(",", ":"), sort_keys=True),
    }
    return {**manifest, "metadata": {**metadata, "annotations": annotations}}


def three_way_patch(
    last: Mapping[str, Any], wanted: Mapping[str, Any], live: Mapping[str, Any]
) -> Object:
    """The JSON merge patch that turns `live` into `wanted`, dropping what only `last` had."""
    patch: Object = {}
    for key in last:
        if key not in wanted and key in live:
            patch[key] = None
    for key, value in wanted.items():
        current = live.get(key)
        if isinstance(value, Mapping) and isinstance(current, Mapping):
            before = last.get(key)
            inner = three_way_patch(before if isinstance(before, Mapping) else {}, value, current)
            if inner:
                patch[key] = inner
        elif value != current:
            patch[key] = value
    return patch


async def apply_manifest(client: Client, scheme: Scheme, manifest: Object) -> Outcome:
    """Create the object or bring it to the manifest; `scheme` says where its kind is served.

    Raises:
        StatusError: what the server says, e.g. 422 with the causes.
    """
    manifest = with_namespace(scheme, manifest)
    resource, metadata = resource_of(scheme, manifest), manifest["metadata"]
    namespace, name = metadata.get("namespace"), metadata["name"]
    wanted = with_last_applied(manifest)
    for attempt in range(MAX_ATTEMPTS):
        try:
            live = await client.get(resource, name, namespace)
        except StatusError as error:
            if not is_not_found(error):
                raise
            try:
                await client.create(resource, wanted, namespace)
            except StatusError as refused:
                if is_already_exists(refused) and attempt < MAX_ATTEMPTS - 1:
                    continue
                raise
            return "created"
        last = json.loads(live["metadata"].get("annotations", {}).get(LAST_APPLIED, "{}"))
        patch = three_way_patch(last, wanted, live)
        patch.pop("apiVersion", None)
        patch.pop("kind", None)
        if not patch:
            return "unchanged"
        try:
            changed = await client.patch(resource, name, patch, namespace)
        except StatusError as error:
            if is_conflict(error) and attempt < MAX_ATTEMPTS - 1:
                continue
            raise
        before, after = live["metadata"], changed["metadata"]
        same = before["resourceVersion"] == after["resourceVersion"]
        return "unchanged" if same else "configured"
    raise AssertionError("the loop returns or raises")
