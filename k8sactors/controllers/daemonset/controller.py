"""DaemonSet controller: decides, node by node, which pods are missing and which are too many."""

from __future__ import annotations

from typing import Final

import attrs

from k8sactors.api.errors import StatusError
from k8sactors.client import object_key
from k8sactors.controllers.daemonset import status
from k8sactors.controllers.daemonset.node_pods import PodBackoff, surplus_of
from k8sactors.controllers.daemonset.placement import Placement, Verdict, by_node
from k8sactors.controllers.daemonset.rolling_update import RollingUpdate, limits
from k8sactors.controllers.machinery.controller import Controller, ManagerContext, Object
from k8sactors.controllers.machinery.controller_ref_manager import labels_of
from k8sactors.controllers.machinery.options import ControllerOptions
from k8sactors.controllers.machinery.owned_pods import OwnedPods, OwnerKind
from k8sactors.controllers.machinery.pods import is_ready, phase_of
from k8sactors.controllers.machinery.revisions import (
    REVISION_LABEL,
    Numbered,
    RevisionHistory,
)
from k8sactors.controllers.machinery.taints import taints_of
from k8sactors.simulation import SECOND

DAEMON_SETS: Final = "daemonsets.apps"
BURST_REPLICAS: Final = 250
# By the phase of a pod that has ended: how its replacement is announced.
_ENDED: Final = {
    "Failed": ("Warning", "FailedDaemonPod", "Found failed daemon pod", "will try to kill it"),
    "Succeeded": (
        "Normal",
        "SucceededDaemonPod",
        "Found succeeded daemon pod",
        "will try to delete it",
    ),
}


@attrs.frozen
class DaemonSetOptions(ControllerOptions):
    """How many keys are reconciled at the same time."""

    concurrent_daemonset_syncs: int = 2


@attrs.define
class _Sync:
    """One look at one DaemonSet: its nodes, pods and revision."""

    daemon_set: Object
    placement: Placement
    nodes: list[tuple[str, Verdict]]
    pods: dict[str, list[Object]]
    digest: str


class DaemonSetController(Controller):
    """Keeps one pod of each DaemonSet on each node that it is meant for."""

    name = "daemonset-controller"
    aliases = ("daemonset",)
    service_account = "daemon-set-controller"
    options_type = DaemonSetOptions
    options: DaemonSetOptions

    def __init__(self, manager: ManagerContext) -> None:
        super().__init__(manager)
        self.workers = self.options.concurrent_daemonset_syncs
        self._sets = self.informer(DAEMON_SETS)
        self._sets.add_handler(
            on_add=self.enqueue,
            on_update=lambda _old, new: self.enqueue(new),
            on_delete=self._set_deleted,
        )
        owner_kind = OwnerKind(DAEMON_SETS, "DaemonSet", lambda owner: owner["spec"]["selector"])
        self._pods = OwnedPods(self, owner_kind, self._sets, self._pod_updated)
        self._history = RevisionHistory(self, DAEMON_SETS, self._sets, REVISION_LABEL)
        self._nodes = self.informer("nodes")
        self._nodes.add_handler(
            on_add=self._node_added, on_update=self._node_updated, on_delete=self._node_deleted
        )
        self._backoff = PodBackoff(self.ctx)

    # --- events

    def _set_deleted(self, daemon_set: Object) -> None:
        self._pods.forget(object_key(daemon_set))
        self.enqueue(daemon_set)

    def _pod_updated(self, owner: Object, old: Object, pod: Object) -> None:
        """Come back when a pod that became ready counts as available: no event will say so."""
        seconds = owner["spec"].get("minReadySeconds") or 0
        if seconds and is_ready(pod) and not is_ready(old):
            # One second more, because the API server keeps times in whole seconds.
            self.queue.add_after(object_key(owner), (seconds + 1) * SECOND)

    def _node_added(self, node: Object) -> None:
        for daemon_set in self._sets.lister.list():
            if Placement(daemon_set).judge(node).should_run:
                self.enqueue(daemon_set)

    def _node_updated(self, old: Object, node: Object) -> None:
        # Most updates are reports of the kubelet, which change nothing that is looked at here.
        if labels_of(old) == labels_of(node) and taints_of(old) == taints_of(node):
            return
        for daemon_set in self._sets.lister.list():
            placement = Placement(daemon_set)
            if placement.judge(old) != placement.judge(node):
                self.enqueue(daemon_set)

    def _node_deleted(self, node: Object) -> None:
        """Its pods that still wait for the scheduler can only be deleted."""
        for daemon_set in self._sets.lister.list():
            if Placement(daemon_set).judge(node).may_continue:
                self.enqueue(daemon_set)

    # --- reconciliation

    async def reconcile(self, key: str) -> None:
        """Take the next step of one DaemonSet, and write its status."""
        daemon_set = self._sets.lister.get_by_key(key)
        if daemon_set is None:
            self._pods.forget(key)
            self._backoff.forget(key)
            return
        if not any(daemon_set["spec"]["selector"].values()):
            message = "This daemon set is selecting all pods. A non-empty selector is required."
            self.recorder.event(daemon_set, "Warning", "SelectingAll", message)
            return
        if "deletionTimestamp" in daemon_set["metadata"]:
            return
        # Asked before the claim, which waits: what arrives meanwhile is not in the counted pods.
        may_act = self._pods.are_as_expected(key)
        pods = await self._pods.claim(daemon_set, lambda _pod: True)
        numbered = await self._history.number(daemon_set, await self._history.claim(daemon_set))
        await self._drop_duplicates(daemon_set, numbered, pods)
        placement = Placement(daemon_set)
        nodes = [
            (node["metadata"]["name"], placement.judge(node)) for node in self._nodes.lister.list()
        ]
        digest = numbered.current["metadata"]["labels"][REVISION_LABEL]
        sync = _Sync(daemon_set, placement, nodes, by_node(pods), digest)
        failure: StatusError | None = None
        if may_act:
            try:
                await self._take_steps(key, sync, numbered)
            except StatusError as error:
                failure = error
        await self._write_status(key, sync, numbered.collisions)
        if failure is not None:
            raise failure

    async def _take_steps(self, key: str, sync: _Sync, numbered: Numbered) -> None:
        if await self._manage(key, sync):
            return  # its news will bring the key back
        strategy = sync.daemon_set["spec"].get("updateStrategy") or {}
        if strategy.get("type") != "OnDelete" and await self._roll(sync):
            return
        await self._remove_history(sync, numbered)

    async def _manage(self, key: str, sync: _Sync) -> bool:
        """Create what is missing and delete what is too much; whether there was anything."""
        missing: list[str] = []
        victims: list[Object] = []
        known = set()
        for name, verdict in sync.nodes:
            known.add(name)
            pods = sync.pods.get(name)
            if pods is None:
                if verdict.should_run:
                    missing.append(name)
            elif not verdict.may_continue:
                victims += [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]
            else:
                running = self._without_ended(key, sync.daemon_set, name, pods, victims)
                victims += surplus_of(running, sync.daemon_set, sync.digest, self.ctx.wall_ns())
        # No node will ever take these; the pods of a lost node are the pod garbage collector's.
        for name, pods in sync.pods.items():
            if name not in known:
                victims += [
                    pod
                    for pod in pods
                    if not pod["spec"].get("nodeName")
                    and "deletionTimestamp" not in pod["metadata"]
                ]
        return await self._apply(sync, missing, victims)

    def _without_ended(
        self, key: str, daemon_set: Object, node: str, pods: list[Object], victims: list[Object]
    ) -> list[Object]:
        """The pods of a node that run or may; those that have ended are victims, with back-off."""
        running = []
        for pod in pods:
            if "deletionTimestamp" in pod["metadata"]:
                continue
            announcement = _ENDED.get(phase_of(pod))
            if announcement is None:
                running.append(pod)
                continue
            # A node that refuses the pod each time must not keep the controller busy.
            wait_ns = self._backoff.wait_ns(key, daemon_set, node)
            if wait_ns:
                self.queue.add_after(key, wait_ns)
                continue
            self._backoff.failed(key, daemon_set, node)
            event_type, reason, found, consequence = announcement
            namespace, name = pod["metadata"]["namespace"], pod["metadata"]["name"]
            message = f"{found} {namespace}/{name} on node {node}, {consequence}"
            self.recorder.event(daemon_set, event_type, reason, message)
            victims.append(pod)
        return running

    async def _roll(self, sync: _Sync) -> bool:
        """Replace pods of earlier templates, within the limits; whether there was anything."""
        desired = [name for name, verdict in sync.nodes if verdict.should_run]
        pods = {**{name: [] for name in desired}, **sync.pods}
        rollout = RollingUpdate(sync.daemon_set, sync.digest, pods, self.ctx.wall_ns())
        steps = rollout.next_steps(*limits(sync.daemon_set, len(desired)))
        return await self._apply(sync, steps.nodes, steps.victims)

    async def _apply(self, sync: _Sync, nodes: list[str], victims: list[Object]) -> bool:
        if not nodes and not victims:
            return False
        bodies = [sync.placement.pod_for(node, sync.digest) for node in nodes[:BURST_REPLICAS]]
        await self._pods.create_and_delete(sync.daemon_set, bodies, victims[:BURST_REPLICAS])
        return True

    # --- revisions

    async def _drop_duplicates(
        self, daemon_set: Object, numbered: Numbered, pods: list[Object]
    ) -> None:
        """Keep one of several revisions of the same template, and move its pods there."""
        kept = numbered.current["metadata"]["labels"][REVISION_LABEL]
        for revision in numbered.duplicates:
            digest = labels_of(revision).get(REVISION_LABEL)
            for pod in pods:
                if labels_of(pod).get(REVISION_LABEL) == digest:
                    patch = {"metadata": {"labels": {REVISION_LABEL: kept}}}
                    name = pod["metadata"]["name"]
                    await self.client.patch(
                        "pods", name, patch, daemon_set["metadata"]["namespace"]
                    )
            await self._history.remove(revision)

    async def _remove_history(self, sync: _Sync, numbered: Numbered) -> None:
        digests = {
            labels_of(pod).get(REVISION_LABEL) for found in sync.pods.values() for pod in found
        }
        live = frozenset(
            each["metadata"]["name"]
            for each in numbered.older
            if labels_of(each).get(REVISION_LABEL) in digests
        )
        limit = sync.daemon_set["spec"].get("revisionHistoryLimit")
        if limit is not None:
            count = len(numbered.older) - limit
            await self._history.remove_oldest(numbered.older, count, live)

    # --- status

    async def _write_status(self, key: str, sync: _Sync, collisions: int) -> None:
        daemon_set, wall_ns = sync.daemon_set, self.ctx.wall_ns()
        counted = status.count(daemon_set, sync.nodes, sync.pods, sync.digest, collisions, wall_ns)
        if counted != daemon_set.get("status"):
            await self.client.update_status(DAEMON_SETS, {**daemon_set, "status": counted})
        seconds = daemon_set["spec"].get("minReadySeconds") or 0
        if seconds and counted["numberReady"] != counted.get("numberAvailable", 0):
            self.queue.add_after(key, seconds * SECOND)
