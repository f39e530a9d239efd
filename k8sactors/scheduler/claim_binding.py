"""What happens between the choice of volumes and the binding of the pod.

Volumes are bound to claims, provisioners are asked, and the pod waits until the binder of
persistent volumes has finished with all its claims, ten minutes at most.
"""

from __future__ import annotations

from typing import Any, Final

import attrs

from k8sactors.api.persistent_volumes import (
    BOUND_BY_CONTROLLER,
    CLAIMS,
    SELECTED_NODE,
    VOLUMES,
    annotations_of,
    is_bound_to,
    is_fully_bound,
)
from k8sactors.client import Lister
from k8sactors.scheduler.framework.handle import Handle
from k8sactors.scheduler.framework.interfaces import Done
from k8sactors.scheduler.framework.status import Code, Status
from k8sactors.scheduler.nodeinfo import NodeInfo
from k8sactors.scheduler.podinfo import PodInfo
from k8sactors.scheduler.volume_choice import Choice, ClaimToBind, Volume
from k8sactors.simulation import SECOND

__all__ = ["ClaimBinding"]

Object = dict[str, Any]

# bindTimeoutSeconds of the real plugin, and how often it looks.
BIND_TIMEOUT_NS: Final = 600 * SECOND
CHECK_PERIOD_NS: Final = 1 * SECOND
_PLUGIN: Final = "VolumeBinding"


class ClaimBinding:
    """Writes what one pod has chosen, then waits for the binder; ends with one call of `done`."""

    def __init__(
        self,
        handle: Handle,
        claims: Lister,
        volumes: Lister,
        choice: Choice,
        pod: PodInfo,
        node: NodeInfo,
        done: Done,
    ) -> None:
        self._handle = handle
        self._claims = claims
        self._volumes = volumes
        self._choice = choice
        self._pod = pod
        self._node = node
        self._done = done
        self._left = len(choice.bindings) + len(choice.provisions)
        self._failure: Status | None = None
        self._waited_ns = 0

    def start(self) -> None:
        """Send all writes at once."""
        for claim, volume in self._choice.bindings:
            self._bind(claim, volume)
        for claim in self._choice.provisions:
            self._ask_provisioner(claim)

    def _bind(self, claim: ClaimToBind, volume: Volume) -> None:
        metadata = claim.obj["metadata"]
        if is_bound_to(volume.obj, claim.obj) and volume.obj["spec"]["claimRef"].get("uid"):
            self._written(None)
            return
        reference = {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "namespace": metadata["namespace"],
            "name": metadata["name"],
            "uid": metadata["uid"],
            "resourceVersion": metadata["resourceVersion"],
        }
        patch: Object = {"spec": {"claimRef": reference}}
        if volume.obj["spec"].get("claimRef") is None:
            patch["metadata"] = {"annotations": {BOUND_BY_CONTROLLER: "yes"}}
        self._change(VOLUMES, volume.obj, patch)

    def _ask_provisioner(self, claim: ClaimToBind) -> None:
        if annotations_of(claim.obj).get(SELECTED_NODE) == self._node.name:
            self._written(None)
            return
        patch = {"metadata": {"annotations": {SELECTED_NODE: self._node.name}}}
        self._change(CLAIMS, claim.obj, patch)

    def _change(self, resource: str, obj: Object, patch: Object) -> None:
        assert self._handle.api is not None
        self._handle.api.change(resource, obj, patch, self._written)

    def _written(self, status: Status | None) -> None:
        self._failure = self._failure or status
        self._left -= 1
        if self._left:
            return
        if self._failure is not None:
            self._done(attrs.evolve(self._failure, plugin=_PLUGIN))
        else:
            self._wait()

    def _wait(self) -> None:
        self._handle.after(CHECK_PERIOD_NS, self._check)

    def _check(self) -> None:
        self._waited_ns += CHECK_PERIOD_NS
        failure = self._failure_now()
        if failure is not None:
            self._done(Status(Code.ERROR, (f"binding volumes: {failure}",), _PLUGIN))
        elif self._all_bound():
            self._done(None)
        elif self._waited_ns >= BIND_TIMEOUT_NS:
            text = "binding volumes: context deadline exceeded"
            self._done(Status(Code.ERROR, (text,), _PLUGIN))
        else:
            self._wait()

    def _failure_now(self) -> str | None:
        if self._handle.cache.pod(self._pod.uid) is None:
            return "pod does not exist any more"
        for claim in self._choice.claims:
            now = self._claim_now(claim)
            if now is None:
                return f'persistentvolumeclaim "{claim.obj["metadata"]["name"]}" not found'
        for claim in self._choice.provisions:
            now = self._claim_now(claim)
            assert now is not None
            # The cache may be behind what was written: only a later removal is an answer.
            written = now["metadata"]["resourceVersion"] != claim.obj["metadata"]["resourceVersion"]
            if written and annotations_of(now).get(SELECTED_NODE) != self._node.name:
                return f'provisioning failed for PVC "{now["metadata"]["name"]}"'
        return None

    def _claim_now(self, claim: ClaimToBind) -> Object | None:
        namespace, _, name = claim.key.partition("/")
        found = self._claims.get(namespace, name)
        if found is None or found["metadata"]["uid"] != claim.obj["metadata"]["uid"]:
            return None
        return found

    def _all_bound(self) -> bool:
        for claim in self._choice.claims:
            now = self._claim_now(claim)
            name = "" if now is None else now["spec"].get("volumeName") or ""
            volume = self._volumes.get(None, name) if name else None
            if now is None or not is_fully_bound(now, volume):
                return False
        return True
