"""StatefulSet controller: finds the pods and revisions of a set, and lets one step be taken."""

from __future__ import annotations

from typing import Final

import attrs

from k8sactors.api.errors import StatusError
from k8sactors.client import is_conflict, object_key
from k8sactors.controllers.machinery.controller import Controller, ManagerContext, Object
from k8sactors.controllers.machinery.options import ControllerOptions
from k8sactors.controllers.machinery.owned_pods import OwnedPods, OwnerKind
from k8sactors.controllers.machinery.pods import available_in_ns, is_ready
from k8sactors.controllers.machinery.revisions import RevisionHistory, in_order
from k8sactors.controllers.statefulset import status
from k8sactors.controllers.statefulset.identity import (
    claim_templates,
    is_member,
    parent_and_ordinal,
    revision_name,
)
from k8sactors.controllers.statefulset.pod_control import CLAIMS, StatefulPodControl
from k8sactors.controllers.statefulset.rollout import Step
from k8sactors.simulation import SECOND

STATEFUL_SETS: Final = "statefulsets.apps"
HASH_LABEL: Final = "controller.kubernetes.io/hash"


@attrs.frozen
class StatefulSetOptions(ControllerOptions):
    """How many keys are reconciled at the same time."""

    concurrent_statefulset_syncs: int = 5


class StatefulSetController(Controller):
    """Keeps the pods of StatefulSets, each under its own name, with its own claims."""

    name = "statefulset-controller"
    aliases = ("statefulset",)
    options_type = StatefulSetOptions
    options: StatefulSetOptions

    def __init__(self, manager: ManagerContext) -> None:
        super().__init__(manager)
        self.workers = self.options.concurrent_statefulset_syncs
        self._sets = self.watch_own(STATEFUL_SETS)
        owner_kind = OwnerKind(
            STATEFUL_SETS, "StatefulSet", lambda owner: owner["spec"]["selector"]
        )
        self._pods = OwnedPods(self, owner_kind, self._sets, self._pod_updated)
        self._history = RevisionHistory(self, STATEFUL_SETS, self._sets, HASH_LABEL)
        claims = self.informer(CLAIMS)
        claims.add_handler(on_delete=self._claim_deleted)
        self._control = StatefulPodControl(self.client, self.recorder, claims)

    def _pod_updated(self, owner: Object, old: Object, pod: Object) -> None:
        """Come back when a pod that became ready counts as available: no event will say so."""
        seconds = owner["spec"].get("minReadySeconds") or 0
        if seconds and is_ready(pod) and not is_ready(old):
            # One second more, because the API server keeps times in whole seconds.
            self.queue.add_after(object_key(owner), (seconds + 1) * SECOND)

    def _claim_deleted(self, claim: Object) -> None:
        """A pod may wait for the claim to go, or for it to come back."""
        prefix, _ = parent_and_ordinal(claim["metadata"]["name"])
        for stateful_set in self._sets.lister.list(claim["metadata"]["namespace"]):
            name = stateful_set["metadata"]["name"]
            if prefix.endswith(f"-{name}") and claim_templates(stateful_set):
                self.enqueue(stateful_set)

    async def reconcile(self, key: str) -> None:
        """Take the next step of one StatefulSet, and write its status."""
        stateful_set = self._sets.lister.get_by_key(key)
        if stateful_set is None:
            return
        if not any(stateful_set["spec"]["selector"].values()):
            message = "This StatefulSet is selecting all pods. A non-empty selector is required."
            self.recorder.event(stateful_set, "Warning", "SelectingAll", message)
            return
        revisions = await self._history.claim(stateful_set)
        pods = await self._pods.claim(stateful_set, lambda pod: is_member(pod, stateful_set))
        numbered = await self._history.number(stateful_set, revisions)
        update = numbered.current
        before = (stateful_set.get("status") or {}).get("currentRevision")
        others = in_order([*numbered.older, *numbered.duplicates])
        named = [each for each in [*others, update] if each["metadata"]["name"] == before]
        current = named[0] if named else update
        wall_ns = self.ctx.wall_ns()
        step = Step(stateful_set, pods, current, update, self._control, self.recorder, wall_ns)
        failure: StatusError | None = None
        if "deletionTimestamp" not in stateful_set["metadata"]:
            try:
                await step.take()
            except StatusError as error:
                failure = error
        names = current["metadata"]["name"], update["metadata"]["name"]
        counted = status.count(
            stateful_set, [*step.replicas, *step.condemned], *names, numbered.collisions, wall_ns
        )
        await self._write_status(stateful_set, counted)
        if failure is not None:
            raise failure
        await self._remove_history(stateful_set, others, {*names, *map(revision_name, pods)})
        self._come_back_when_available(key, stateful_set, pods)

    async def _remove_history(
        self, stateful_set: Object, revisions: list[Object], live: set[str]
    ) -> None:
        limit = stateful_set["spec"].get("revisionHistoryLimit")
        idle = sum(each["metadata"]["name"] not in live for each in revisions)
        if limit is not None and limit >= 0:
            await self._history.remove_oldest(revisions, idle - limit, frozenset(live))

    async def _write_status(self, stateful_set: Object, counted: Object) -> None:
        if counted == stateful_set.get("status"):
            return
        try:
            await self.client.update_status(STATEFUL_SETS, {**stateful_set, "status": counted})
        except StatusError as error:
            if not is_conflict(error):
                raise
            # The spec may have moved on; the counts are as true as before.
            metadata = stateful_set["metadata"]
            fresh = await self.client.get(STATEFUL_SETS, metadata["name"], metadata["namespace"])
            if fresh["metadata"]["uid"] == metadata["uid"]:
                await self.client.update_status(STATEFUL_SETS, {**fresh, "status": counted})

    def _come_back_when_available(self, key: str, stateful_set: Object, pods: list[Object]) -> None:
        seconds = stateful_set["spec"].get("minReadySeconds") or 0
        wall_ns = self.ctx.wall_ns()
        waits = [available_in_ns(pod, seconds, wall_ns) for pod in pods] if seconds else []
        pending = [wait_ns for wait_ns in waits if wait_ns]
        if pending:
            self.queue.add_after(key, min(pending))
