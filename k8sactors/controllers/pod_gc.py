"""Pod garbage collector: removes pods that no other component will.

Pods of nodes that no longer exist (after a quarantine, and after asking the server), pods that were
deleted before they were scheduled, and finished pods beyond a limit, oldest first.
"""

from __future__ import annotations

import attrs

from k8sactors.api.errors import StatusError
from k8sactors.client import is_not_found
from k8sactors.controllers.machinery.controller import Controller, ManagerContext, Object
from k8sactors.controllers.machinery.options import ControllerOptions
from k8sactors.controllers.machinery.pods import is_finished, with_disruption_target
from k8sactors.simulation import SECOND

PERIOD_NS = 20 * SECOND
QUARANTINE_NS = 40 * SECOND


@attrs.frozen
class PodGarbageCollectorOptions(ControllerOptions):
    """How many finished pods stay."""

    # Finished pods beyond this number are removed; 0 keeps all.
    terminated_pod_gc_threshold: int = 12_500


class PodGarbageCollector(Controller):
    """Looks at all pods every 20 s."""

    name = "pod-garbage-collector-controller"
    aliases = ("podgc",)
    service_account = "pod-garbage-collector"
    options_type = PodGarbageCollectorOptions
    options: PodGarbageCollectorOptions

    def __init__(self, manager: ManagerContext) -> None:
        super().__init__(manager)
        self.workers = 0
        self._pods = self.informer("pods")
        self._nodes = self.informer("nodes")
        self._missing_since_ns: dict[str, int] = {}

    def start(self) -> None:
        """Begin the rounds."""
        self.run_every(PERIOD_NS, self._round)

    async def reconcile(self, key: str) -> None:
        """Nothing comes by key."""
        raise AssertionError(f"unexpected key {key}")

    async def _round(self) -> None:
        self.reconciles += 1
        pods = self._pods.lister.list()
        await self._remove_finished(pods)
        await self._remove_orphaned(pods)
        for pod in pods:
            if "deletionTimestamp" in pod["metadata"] and not pod["spec"].get("nodeName"):
                await self._remove(pod)

    async def _remove_finished(self, pods: list[Object]) -> None:
        threshold = self.options.terminated_pod_gc_threshold
        finished = [pod for pod in pods if is_finished(pod)]
        surplus = len(finished) - threshold
        if threshold <= 0 or surplus <= 0:
            return
        finished.sort(
            key=lambda pod: (
                pod["metadata"].get("creationTimestamp") or "",
                pod["metadata"]["name"],
            )
        )
        for pod in finished[:surplus]:
            await self._remove(pod)

    async def _remove_orphaned(self, pods: list[Object]) -> None:
        now_ns = self.ctx.now_ns()
        orphans: dict[str, list[Object]] = {}
        for pod in pods:
            node = pod["spec"].get("nodeName")
            if node and self._nodes.lister.get(None, node) is None:
                orphans.setdefault(node, []).append(pod)
        self._missing_since_ns = {
            node: self._missing_since_ns.get(node, now_ns) for node in orphans
        }
        for node, left in orphans.items():
            if now_ns - self._missing_since_ns[node] < QUARANTINE_NS:
                continue
            if await self._node_exists(node):
                continue
            for pod in left:
                await self._fail(pod)
                await self._remove(pod)

    async def _node_exists(self, name: str) -> bool:
        try:
            await self.client.get("nodes", name)
        except StatusError as error:
            if is_not_found(error):
                return False
            raise
        return True

    async def _fail(self, pod: Object) -> None:
        """Say that the pod ended, and why: its node will not."""
        if is_finished(pod):
            return
        message = "PodGC: node no longer exists"
        changed = with_disruption_target(pod, "DeletionByPodGC", message, self.ctx.wall_ns())
        changed["status"]["phase"] = "Failed"
        metadata = pod["metadata"]
        # Not of another pod of the same name.
        patch = {"metadata": {"uid": metadata["uid"]}, "status": changed["status"]}
        try:
            await self.client.patch(
                "pods", metadata["name"], patch, metadata.get("namespace"), "status"
            )
        except StatusError as error:
            self.log.debug("cannot fail a pod", error=error.message)

    async def _remove(self, pod: Object) -> None:
        metadata = pod["metadata"]
        try:
            await self.client.delete(
                "pods",
                metadata["name"],
                metadata.get("namespace"),
                gracePeriodSeconds=0,
                preconditions={"uid": metadata["uid"]},
            )
        except StatusError as error:
            if not is_not_found(error):
                self.log.debug("cannot remove a pod", error=error.message)
