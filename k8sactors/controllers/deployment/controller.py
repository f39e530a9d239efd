"""Deployment controller: decides which step a Deployment needs next."""

from __future__ import annotations

import attrs

from k8sactors.api.meta import controller_of, get_condition
from k8sactors.client import object_key
from k8sactors.controllers.deployment import arithmetic, status, strategies
from k8sactors.controllers.deployment.rollout import DEPLOYMENTS, REPLICA_SETS, Rollout
from k8sactors.controllers.machinery.controller import Controller, ManagerContext, Object
from k8sactors.controllers.machinery.controller_ref_manager import (
    CONTROLLER_INDEX,
    ControllerRefManager,
    controlled_by,
    controller_index,
    label_matcher,
    labels_of,
    orphans_for,
)
from k8sactors.controllers.machinery.options import ControllerOptions
from k8sactors.controllers.machinery.pods import is_finished


@attrs.frozen
class DeploymentOptions(ControllerOptions):
    """How many keys are reconciled at the same time."""

    concurrent_deployment_syncs: int = 5


class DeploymentController(Controller):
    """Follows Deployments, their ReplicaSets, and (for Recreate) the end of old pods."""

    name = "deployment-controller"
    aliases = ("deployment",)
    options_type = DeploymentOptions
    options: DeploymentOptions

    def __init__(self, manager: ManagerContext) -> None:
        super().__init__(manager)
        self.workers = self.options.concurrent_deployment_syncs
        self._deployments = self.watch_own(DEPLOYMENTS)
        self._sets = self.informer(REPLICA_SETS)
        self._sets.add_index(CONTROLLER_INDEX, controller_index)
        self._sets.add_handler(
            on_add=self._set_changed, on_update=self._set_updated, on_delete=self._set_changed
        )
        self._pods = self.informer("pods")
        self._pods.add_index(CONTROLLER_INDEX, controller_index)
        self._pods.add_handler(on_delete=self._pod_deleted)

    # --- events

    def _owner_of(self, obj: Object) -> Object | None:
        reference = controller_of(obj)
        if reference is None or reference["kind"] != "Deployment":
            return None
        owner = self._deployments.lister.get(obj["metadata"]["namespace"], reference["name"])
        if owner is None or owner["metadata"]["uid"] != reference["uid"]:
            return None
        return owner

    def _set_changed(self, each: Object) -> None:
        if controller_of(each) is not None:
            owner = self._owner_of(each)
            if owner is not None:
                self.enqueue(owner)
            return
        labels = labels_of(each)
        for deployment in self._deployments.lister.list(each["metadata"]["namespace"]):
            if label_matcher(deployment["spec"]["selector"])(labels):
                self.enqueue(deployment)

    def _set_updated(self, old: Object, new: Object) -> None:
        if controller_of(old) != controller_of(new):
            owner = self._owner_of(old)
            if owner is not None:
                self.enqueue(owner)
        self._set_changed(new)

    def _pod_deleted(self, pod: Object) -> None:
        reference = controller_of(pod)
        if reference is None or reference["kind"] != "ReplicaSet":
            return
        owner = self._sets.lister.get(pod["metadata"]["namespace"], reference["name"])
        deployment = self._owner_of(owner) if owner is not None else None
        if deployment is not None and not arithmetic.is_rolling(deployment):
            self.queue.add(object_key(deployment))

    # --- reconciliation

    async def reconcile(self, key: str) -> None:
        """Take the next step of one Deployment, and write its status."""
        deployment = self._deployments.lister.get_by_key(key)
        if deployment is None:
            return
        if not any(deployment["spec"]["selector"].values()):
            message = "This deployment is selecting all pods. A non-empty selector is required."
            self.recorder.event(deployment, "Warning", "SelectingAll", message)
            return
        sets = await self._claim(deployment)
        rollout = Rollout(self.ctx, self.client, self.recorder, deployment, sets)
        if "deletionTimestamp" in deployment["metadata"]:
            await self._write_counters(rollout)
            return
        await self._note_pause(rollout)
        paused = bool(deployment["spec"].get("paused"))
        if paused or self._was_scaled(rollout):
            if rollout.new_set is not None:
                await rollout.ensure_new_set()
            await strategies.scale_in_place(rollout)
            if paused:
                await rollout.remove_history()
            await self._write_counters(rollout)
        elif arithmetic.is_rolling(deployment):
            await self._roll(key, rollout)
        else:
            await self._recreate(key, rollout)

    async def _claim(self, deployment: Object) -> list[Object]:
        metadata = deployment["metadata"]
        namespace = metadata["namespace"]
        manager = ControllerRefManager(
            self.client,
            REPLICA_SETS,
            deployment,
            label_matcher(deployment["spec"]["selector"]),
            lambda: self.client.get(DEPLOYMENTS, metadata["name"], namespace),
        )
        return await manager.claim(
            controlled_by(self._sets, deployment),
            orphans_for(self._sets, namespace, deployment["spec"]["selector"]),
        )

    async def _note_pause(self, rollout: Rollout) -> None:
        """Stop and restart the clock of the progress deadline with the pause."""
        deployment = rollout.deployment
        if status.deadline_s(deployment) is None:
            return
        conditions = status.conditions_of(deployment)
        current = get_condition(deployment, status.PROGRESSING)
        reason = current.get("reason") if current else None
        if reason == status.TIMED_OUT:
            return
        paused = bool(deployment["spec"].get("paused"))
        if paused == (reason == status.PAUSED):
            return
        now_paused = (status.PAUSED, "Deployment is paused")
        now_resumed = (status.RESUMED, "Deployment is resumed")
        reason, message = now_paused if paused else now_resumed
        new = status.make(status.PROGRESSING, "Unknown", reason, message, self.ctx.wall_ns())
        changed = status.with_condition(conditions, new)
        await rollout.write_status({**(deployment.get("status") or {}), "conditions": changed})

    def _was_scaled(self, rollout: Rollout) -> bool:
        wanted = arithmetic.replicas(rollout.deployment)
        for each in arithmetic.active(rollout.sets):
            known = arithmetic.annotation_count(each, arithmetic.DESIRED_ANNOTATION)
            if known is not None and known != wanted:
                return True
        return False

    async def _roll(self, key: str, rollout: Rollout) -> None:
        await rollout.ensure_new_set()
        moved = await strategies.scale_new_set(rollout) or await strategies.roll_old_sets(rollout)
        if not moved:
            await self._clean_up(rollout)
        await self._write_progress(key, rollout)

    async def _recreate(self, key: str, rollout: Rollout) -> None:
        if not await strategies.stop_old_sets(rollout) and not self._old_pods_run(rollout):
            await rollout.ensure_new_set()
            await strategies.scale_new_set(rollout)
            await self._clean_up(rollout)
        await self._write_progress(key, rollout)

    def _old_pods_run(self, rollout: Rollout) -> bool:
        return any(
            not is_finished(pod)
            for each in rollout.old_sets
            for pod in controlled_by(self._pods, each)
        )

    async def _clean_up(self, rollout: Rollout) -> None:
        if status.is_complete(rollout.deployment, rollout.deployment.get("status") or {}):
            await rollout.remove_history()

    async def _write_counters(self, rollout: Rollout) -> None:
        sets, new_set = rollout.sets, rollout.new_set
        wall_ns = self.ctx.wall_ns()
        await rollout.write_status(status.counters(rollout.deployment, sets, new_set, wall_ns))

    async def _write_progress(self, key: str, rollout: Rollout) -> None:
        wall_ns = self.ctx.wall_ns()
        deployment = rollout.deployment
        new_status = status.rollout_status(deployment, rollout.sets, rollout.new_set, wall_ns)
        if new_status != deployment.get("status"):
            await rollout.write_status(new_status)
            return
        # Nothing happened: come back when the deadline passes, since no event will say so.
        wait_ns = status.time_until_judged_ns(deployment, new_status, wall_ns)
        if wait_ns is not None:
            self.queue.add_after(key, wait_ns)
