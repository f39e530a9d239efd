"""What the scheduler writes: bindings, conditions of pods, events, deletions of victims."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from k8sactors.api.errors import StatusError
from k8sactors.api.meta import format_time, get_condition
from k8sactors.client import Client, EventRecorder, FencedError, is_conflict
from k8sactors.scheduler.framework.status import Code, Status
from k8sactors.scheduler.podinfo import PodInfo
from k8sactors.simulation import SECOND

__all__ = ["ApiWriter"]

# Longest message of an event.
_NOTE_LIMIT = 1024
# From this HTTP code on it is unknown whether a write has happened.
_SERVER_ERROR = 500
_FIRST_REPEAT_NS = 1 * SECOND
_LAST_REPEAT_NS = 16 * SECOND

Done = Callable[[Status | None], None]


class ApiWriter:
    """Writes through one client; implements `framework.handle.ApiAccess`."""

    def __init__(self, client: Client, recorder: EventRecorder) -> None:
        self._client = client
        self._recorder = recorder
        self.repeated_bindings = 0
        # Conditions and deletions that failed; the next attempt of the pod repeats them.
        self.lost_writes = 0

    def bind(self, pod: PodInfo, node_name: str, done: Done) -> None:
        """POST pods/binding, until it is certain what became of it.

        A binding whose answer was lost may exist, or come into being later. Giving the room to
        another pod would then fill the node beyond its size, so the pod stays where it was meant
        to go and the binding is repeated; a conflict says that the first one was carried out.
        """
        self._send_binding(pod, node_name, done, repeats=0)

    def _send_binding(self, pod: PodInfo, node_name: str, done: Done, repeats: int) -> None:
        def failed(error: StatusError) -> None:
            if repeats and is_conflict(error):
                done(None)
            elif error.code >= _SERVER_ERROR and not isinstance(error, FencedError):
                delay_ns = min(_FIRST_REPEAT_NS << min(repeats, 4), _LAST_REPEAT_NS)
                self._client.ctx.after(delay_ns, again)
            else:
                done(Status(Code.ERROR, (error.message,), "DefaultBinder"))

        def again() -> None:
            self.repeated_bindings += 1
            self._send_binding(pod, node_name, done, repeats + 1)

        self._client.submit(
            "create",
            "pods",
            namespace=pod.namespace,
            name=pod.name,
            subresource="binding",
            body={
                "apiVersion": "v1",
                "kind": "Binding",
                "metadata": {"namespace": pod.namespace, "name": pod.name, "uid": pod.uid},
                "target": {"kind": "Node", "name": node_name},
            },
            on_done=lambda _: done(None),
            on_error=failed,
            decode=False,
        )

    def evict(self, victim: PodInfo, message: str, failed: Callable[[], None]) -> None:
        """Delete a victim of preemption: condition, event, graceful deletion.

        `failed` is called when the deletion was refused or its outcome is unknown.
        """
        if "deletionTimestamp" in victim.obj["metadata"]:
            return

        def lost(error: StatusError) -> None:
            self._lost(error)
            failed()

        condition = {
            "type": "DisruptionTarget",
            "status": "True",
            "reason": "PreemptionByScheduler",
            "message": message,
        }
        self._patch_status(victim, {"conditions": self._stamped(victim, condition)})
        self._recorder.event(victim.obj, "Normal", "Preempted", message)
        self._client.submit(
            "delete",
            "pods",
            namespace=victim.namespace,
            name=victim.name,
            options={"preconditions": {"uid": victim.uid}},
            on_done=_ignore,
            on_error=lost,
            decode=False,
        )

    def change(self, resource: str, obj: dict[str, Any], patch: dict[str, Any], done: Done) -> None:
        """Change an object by a merge patch; a conflict when it has changed since `obj`."""
        metadata = obj["metadata"]
        own = {"uid": metadata["uid"], "resourceVersion": metadata["resourceVersion"]}

        def failed(error: StatusError) -> None:
            done(Status(Code.ERROR, (error.message,)))

        self._client.submit(
            "patch",
            resource,
            namespace=metadata.get("namespace"),
            name=metadata["name"],
            body={**patch, "metadata": {**patch.get("metadata", {}), **own}},
            options={"patchType": "merge"},
            on_done=lambda _: done(None),
            on_error=failed,
            decode=False,
        )

    def scheduled(self, pod: PodInfo, node_name: str) -> None:
        """Tell that the pod has been bound."""
        message = f"Successfully assigned {pod.namespace}/{pod.name} to {node_name}"
        self._recorder.event(pod.obj, "Normal", "Scheduled", message)

    def failed(self, pod: PodInfo, reason: str, message: str, nominated_node: str) -> None:
        """Tell that the attempt failed: event, and the condition if it says something new."""
        note = message if len(message) <= _NOTE_LIMIT else message[: _NOTE_LIMIT - 4] + " ..."
        self._recorder.event(pod.obj, "Warning", "FailedScheduling", note)
        condition = {
            "type": "PodScheduled",
            "status": "False",
            "reason": reason,
            "message": message,
        }
        status = pod.obj.get("status") or {}
        patch: dict[str, Any] = {}
        if not _says(status, condition):
            patch["conditions"] = self._stamped(pod, condition)
        if nominated_node != (status.get("nominatedNodeName") or ""):
            patch["nominatedNodeName"] = nominated_node or None
        if patch:
            self._patch_status(pod, patch)

    def _stamped(self, pod: PodInfo, condition: dict[str, Any]) -> list[dict[str, Any]]:
        """The condition as a strategic merge patch wants it: the others stay what they are."""
        old = get_condition(pod.obj, condition["type"])
        if old is not None and old["status"] == condition["status"]:
            changed = old.get("lastTransitionTime")
        else:
            changed = format_time(self._client.ctx.wall_ns())
        return [{**condition, "lastTransitionTime": changed}]

    def _patch_status(self, pod: PodInfo, status: dict[str, Any]) -> None:
        self._client.submit(
            "patch",
            "pods",
            namespace=pod.namespace,
            name=pod.name,
            subresource="status",
            body={"metadata": {"uid": pod.uid}, "status": status},
            options={"patchType": "strategic"},
            on_done=_ignore,
            on_error=self._lost,
            decode=False,
        )

    def _lost(self, _error: StatusError) -> None:
        self.lost_writes += 1


def _says(status: dict[str, Any], condition: dict[str, Any]) -> bool:
    return any(condition.items() <= present.items() for present in status.get("conditions") or ())


def _ignore(_answer: dict[str, Any]) -> None:
    """The watch will show it."""
