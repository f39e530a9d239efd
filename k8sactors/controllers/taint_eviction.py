"""Taint eviction controller: pods leave nodes whose NoExecute taints they do not tolerate.

A pod that does not tolerate a taint is deleted at once; one that tolerates it for some seconds is
deleted after them, unless the taint goes first. Admission gives every pod 300 s for not-ready and
unreachable nodes.
"""

from __future__ import annotations

import attrs

from k8sactors.api.errors import StatusError
from k8sactors.api.meta import split_key
from k8sactors.client import is_not_found, object_key
from k8sactors.controllers.machinery.controller import Controller, ManagerContext, Object
from k8sactors.controllers.machinery.pods import is_finished, with_disruption_target
from k8sactors.controllers.machinery.taints import NO_EXECUTE, taints_of, toleration_seconds
from k8sactors.simulation import SECOND, Timer

NODE_INDEX = "node"


@attrs.define
class _Eviction:
    """A pod that will be deleted unless something changes."""

    uid: str
    since_ns: int
    due_ns: int
    timer: Timer


def _no_execute(node: Object | None) -> list[Object]:
    return [taint for taint in taints_of(node) if taint["effect"] == NO_EXECUTE] if node else []


def _taint_keys(node: Object) -> list[tuple[str, str]]:
    return [(taint["key"], taint.get("value") or "") for taint in _no_execute(node)]


class TaintEvictionController(Controller):
    """Deletes pods in obedience to NoExecute taints."""

    name = "taint-eviction-controller"
    service_account = "node-controller"

    def __init__(self, manager: ManagerContext) -> None:
        super().__init__(manager)
        self._evictions: dict[str, _Eviction] = {}
        self._due: dict[str, str] = {}
        self._nodes = self.informer("nodes")
        self._nodes.add_handler(
            on_add=self._node_changed,
            on_update=self._node_updated,
            on_delete=self._node_deleted,
        )
        self._pods = self.informer("pods")
        self._pods.add_index(NODE_INDEX, lambda pod: pod["spec"].get("nodeName"))
        self._pods.add_handler(
            on_add=self._consider, on_update=self._pod_updated, on_delete=self._pod_deleted
        )

    def stop(self) -> None:
        """Evict no pods any more."""
        super().stop()
        for eviction in self._evictions.values():
            eviction.timer.cancel()

    # --- events

    def _node_updated(self, old: Object, new: Object) -> None:
        if _taint_keys(old) != _taint_keys(new):
            self._node_changed(new)

    def _node_changed(self, node: Object) -> None:
        for pod in self._pods.by_index(NODE_INDEX, node["metadata"]["name"]):
            self._consider(pod)

    def _node_deleted(self, node: Object) -> None:
        for pod in self._pods.by_index(NODE_INDEX, node["metadata"]["name"]):
            self._cancel(pod)

    def _pod_updated(self, old: Object, new: Object) -> None:
        old_spec, spec = old["spec"], new["spec"]
        if (
            old_spec.get("nodeName") != spec.get("nodeName")
            or old_spec.get("tolerations") != spec.get("tolerations")
            or is_finished(old) != is_finished(new)
            or old["metadata"]["uid"] != new["metadata"]["uid"]
        ):
            self._consider(new)

    def _pod_deleted(self, pod: Object) -> None:
        key = object_key(pod)
        self._due.pop(key, None)
        eviction = self._evictions.pop(key, None)
        if eviction is not None:
            eviction.timer.cancel()

    # --- decisions

    def _consider(self, pod: Object) -> None:
        node_name = pod["spec"].get("nodeName")
        if not node_name or "deletionTimestamp" in pod["metadata"] or is_finished(pod):
            return
        taints = _no_execute(self._nodes.lister.get(None, node_name))
        seconds = toleration_seconds(pod, taints)
        if seconds is None or seconds == float("inf"):
            self._cancel(pod)
            return
        key, now_ns = object_key(pod), self.ctx.now_ns()
        since_ns = now_ns
        delay_ns = int(seconds) * SECOND
        scheduled = self._evictions.get(key)
        if scheduled is not None:
            since_ns = scheduled.since_ns
            if delay_ns and scheduled.due_ns <= now_ns + delay_ns:
                return  # another taint has it go sooner already
            scheduled.timer.cancel()
        uid = pod["metadata"]["uid"]
        timer = self.ctx.after(delay_ns, lambda: self._evict(key, uid))
        self._evictions[key] = _Eviction(uid, since_ns, now_ns + delay_ns, timer)

    def _cancel(self, pod: Object) -> None:
        eviction = self._evictions.pop(object_key(pod), None)
        if eviction is None:
            return
        eviction.timer.cancel()
        message = f"Cancelling deletion of Pod {object_key(pod)}"
        self.recorder.event(pod, "Normal", "TaintManagerEviction", message)

    def _evict(self, key: str, uid: str) -> None:
        self._evictions.pop(key, None)
        self._due[key] = uid
        self.queue.add(key)

    async def reconcile(self, key: str) -> None:
        """Delete a pod whose time is up."""
        uid = self._due.get(key)
        pod = self._pods.lister.get_by_key(key)
        if uid is None or pod is None or pod["metadata"]["uid"] != uid:
            self._due.pop(key, None)
            return
        message = f"Marking for deletion Pod {key}"
        self.recorder.event(pod, "Normal", "TaintManagerEviction", message)
        await self._say_why(pod)
        namespace, name = split_key(key)
        try:
            await self.client.delete("pods", name, namespace, preconditions={"uid": uid})
        except StatusError as error:
            if not is_not_found(error):
                raise
        self._due.pop(key, None)

    async def _say_why(self, pod: Object) -> None:
        """The condition DisruptionTarget tells others that the pod did not fail by itself."""
        message = "Taint manager: deleting due to NoExecute taint"
        changed = with_disruption_target(pod, "DeletionByTaintManager", message, self.ctx.wall_ns())
        try:
            await self.client.update_status("pods", changed)
        except StatusError as error:
            # The pod goes either way; its deletion must not depend on the explanation.
            self.log.debug("cannot set DisruptionTarget", pod=object_key(pod), error=error.message)
