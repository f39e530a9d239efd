"""From what the watches say to cache, queue and nominations (kube-scheduler's eventhandlers.go).

Cache and queue need pods and nodes; every other resource is followed because a plugin registered
events of it. A pod is in one of three states here: waiting (no node, ours), placed (has a node) or
irrelevant (ended, or another scheduler's). Every handler asks for the state before and after.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from k8sactors.client import InformerFactory, SharedInformer
from k8sactors.scheduler.events import ASSIGNED_POD_DELETED, ActionType, ClusterEvent
from k8sactors.scheduler.framework.handle import Handle
from k8sactors.scheduler.framework.runtime import Framework
from k8sactors.scheduler.nodeinfo import NodeSpec
from k8sactors.scheduler.podinfo import PodParser
from k8sactors.scheduler.queue import SchedulingQueue

__all__ = ["EventHandlers"]

Object = dict[str, Any]

_POD_ADDED = ClusterEvent("AssignedPod", ActionType.ADD)
_NODE_DELETED = ClusterEvent("Node", ActionType.DELETE)
_POD_CHANGED = ClusterEvent(
    "AssignedPod", ActionType.UPDATE_POD_SCALE_DOWN | ActionType.UPDATE_POD_LABEL
)


class EventHandlers:
    """Feeds the scheduler's state from informers."""

    def __init__(
        self,
        frameworks: Mapping[str, Framework],
        queue: SchedulingQueue,
        handle: Handle,
    ) -> None:
        self._frameworks = frameworks
        self._cache = handle.cache
        self._queue = queue
        self._nominations = handle.nominations
        self._waiting = handle.waiting
        self.parser = PodParser()

    def attach(self, informers: InformerFactory) -> None:
        """Subscribe to pods, nodes, and all that the plugins of any profile wait for."""
        subscribe = {"pods": self._follow_pods, "nodes": self._follow_nodes}
        registered = {r for f in self._frameworks.values() for r in f.followed_resources()}
        for resource in (*subscribe, *sorted(registered - subscribe.keys())):
            informer = informers.informer(resource)
            if resource in subscribe:
                subscribe[resource](informer)
            else:
                self._follow_others(resource, informer)

    def _follow_pods(self, pods: SharedInformer) -> None:
        pods.add_handler(
            on_add=self._pod_added, on_update=self._pod_updated, on_delete=self._pod_deleted
        )

    def _follow_nodes(self, nodes: SharedInformer) -> None:
        nodes.add_handler(
            on_add=self._node_changed,
            on_update=lambda _, node: self._node_changed(node),
            on_delete=self._node_deleted,
        )

    def _follow_others(self, resource: str, informer: SharedInformer) -> None:
        move = self._queue.move
        added = ClusterEvent(resource, ActionType.ADD)
        updated = ClusterEvent(resource, ActionType.UPDATE_OTHER)
        deleted = ClusterEvent(resource, ActionType.DELETE)
        informer.add_handler(
            on_add=lambda obj: move(added, None, obj),
            on_update=lambda old, new: move(updated, old, new),
            on_delete=lambda obj: move(deleted, obj, None),
        )

    # --- nodes

    def _node_changed(self, obj: Object) -> None:
        name = obj["metadata"]["name"]
        action = self._cache.set_node(name, NodeSpec.parse(obj))
        if action:
            event = ClusterEvent("Node", action)
            self._queue.move(event, None, self._cache.nodes[name])

    def _node_deleted(self, obj: Object) -> None:
        node = self._cache.nodes.get(obj["metadata"]["name"])
        if node is not None and self._cache.remove_node(node.name):
            self._queue.move(_NODE_DELETED, node, None)

    # --- pods

    def _pod_added(self, obj: Object) -> None:
        if _is_placed(obj):
            self._place(obj)
        elif self._is_waiting(obj):
            self._wait(obj)

    def _pod_updated(self, old: Object, new: Object) -> None:
        if _uid(old) != _uid(new):
            self._pod_deleted(old)
            self._pod_added(new)
        elif _is_placed(new):
            if _is_placed(old):
                self._placed_pod_changed(old, new)
            else:
                self._pod_got_node(new)
        elif _is_placed(old):
            self._displace(old)
        elif self._is_waiting(new):
            self._waiting_pod_changed(old, new)
        elif self._is_waiting(old):
            self._stop_waiting(_uid(old))

    def _pod_deleted(self, obj: Object) -> None:
        if _is_placed(obj):
            self._displace(obj)
        else:
            self._stop_waiting(_uid(obj))
            held = self._waiting.get(_uid(obj))
            if held is not None:
                held.reject("", "the pod has been deleted")
            elif self._cache.forget(_uid(obj)):
                self._queue.move(ASSIGNED_POD_DELETED, self.parser.parse(obj), None)

    def _pod_got_node(self, obj: Object) -> None:
        uid, node_name = _uid(obj), obj["spec"]["nodeName"]
        self._stop_waiting(uid, node_name)
        if not self._cache.confirm(uid, node_name, obj):
            self._place(obj)
        elif self._queue.concerns(_POD_ADDED):
            self._queue.move(_POD_ADDED, None, self._cache.pod(uid))

    def _place(self, obj: Object) -> None:
        pod = self.parser.parse(obj)
        self._cache.set_pod(pod)
        if self._queue.concerns(_POD_ADDED):
            self._queue.move(_POD_ADDED, None, pod)

    def _placed_pod_changed(self, old: Object, new: Object) -> None:
        if old["spec"] == new["spec"] and old["metadata"].get("labels") == new["metadata"].get(
            "labels"
        ):
            self._cache.refresh(_uid(new), new)
            return
        pod = self.parser.parse(new)
        before = self._cache.pod(pod.uid)
        self._cache.set_pod(pod)
        if self._queue.concerns(_POD_CHANGED):
            self._queue.move(_POD_CHANGED, before, pod)

    def _displace(self, obj: Object) -> None:
        self._stop_waiting(_uid(obj))
        gone = self._cache.remove_pod(_uid(obj))
        if gone is not None:
            self._queue.move(ASSIGNED_POD_DELETED, gone, None)

    def _wait(self, obj: Object) -> None:
        pod = self.parser.parse(obj)
        nominated_node = _nominated_node(obj)
        if nominated_node:
            self._nominations.add(pod, nominated_node)
        self._queue.add(pod)

    def _waiting_pod_changed(self, old: Object, new: Object) -> None:
        uid = _uid(new)
        if self._cache.is_assumed(uid):
            self._queue.refresh(uid, new)
        elif not self._is_waiting(old):
            self._wait(new)
        elif old["spec"] == new["spec"] and old["metadata"].get("labels") == new["metadata"].get(
            "labels"
        ):
            self._queue.refresh(uid, new)
            self._nomination_changed(old, new)
        else:
            pod = self.parser.parse(new)
            self._queue.update(pod)
            self._nominations.refresh(pod)
            self._nomination_changed(old, new)

    def _nomination_changed(self, old: Object, new: Object) -> None:
        """Follow what the status says: this may be a standby, or another component nominates."""
        nominated_node = _nominated_node(new)
        if nominated_node == _nominated_node(old):
            return
        if nominated_node:
            self._nominations.add(self.parser.parse(new), nominated_node)
        else:
            self._nominations.remove(_uid(new))

    def _stop_waiting(self, uid: str, assigned_node: str = "") -> None:
        self._queue.delete(uid)
        self._nominations.remove(uid, assigned_node)

    def _is_waiting(self, obj: Object) -> bool:
        spec = obj["spec"]
        return (
            not spec.get("nodeName")
            and (spec.get("schedulerName") or "default-scheduler") in self._frameworks
            and "deletionTimestamp" not in obj["metadata"]
            and not _has_ended(obj)
        )


def _uid(obj: Object) -> str:
    metadata = obj["metadata"]
    uid: str = metadata.get("uid") or f"{metadata.get('namespace', 'default')}/{metadata['name']}"
    return uid


def _nominated_node(obj: Object) -> str:
    return (obj.get("status") or {}).get("nominatedNodeName") or ""


def _is_placed(obj: Object) -> bool:
    return bool(obj["spec"].get("nodeName")) and not _has_ended(obj)


def _has_ended(obj: Object) -> bool:
    return (obj.get("status") or {}).get("phase") in ("Succeeded", "Failed")
