"""Reports pod statuses: one write per pod at a time, only what has changed, one batch per turn.

A pod whose end was asked for is deleted from the API once its last status has arrived there, with
no further grace.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from k8sactors.api.errors import StatusError
from k8sactors.client import Client, is_conflict, is_not_found
from k8sactors.kubelet.services import ReportedPod
from k8sactors.simulation import SECOND, Clock

_RETRY_NS = SECOND
# Fields of a status that other components write.
_FOREIGN = frozenset({"nominatedNodeName", "resize", "observedGeneration", "resourceClaimStatuses"})


@attrs.define
class _Report:
    """What the kubelet has told the API of a pod."""

    worker: ReportedPod
    name: str
    namespace: str
    uid: str
    sent: Mapping[str, Any]
    in_flight: bool = False
    dirty: bool = False
    finish: bool = False
    deleting: bool = False


class StatusManager:
    """Writes the statuses of this node's pods.

    Args:
        client: the kubelet's client.
        clock: the kubelet's clock.
    """

    def __init__(self, client: Client, clock: Clock) -> None:
        self._client = client
        self._clock = clock
        self._reports: dict[str, _Report] = {}
        self._dirty: dict[str, None] = {}

    def track(self, worker: ReportedPod, api_object: Mapping[str, Any]) -> None:
        """Report this worker's status to this object (a static pod's mirror has its own uid)."""
        metadata = api_object["metadata"]
        self._reports[worker.uid] = _Report(
            worker,
            metadata["name"],
            metadata["namespace"],
            metadata["uid"],
            api_object.get("status") or {},
        )

    def object_uid(self, uid: str) -> str:
        """The uid of the object that this worker's status goes to, "" if there is none."""
        report = self._reports.get(uid)
        return report.uid if report is not None else ""

    def seen(self, uid: str, api_object: Mapping[str, Any]) -> None:
        """The object was written: if its status is not what was sent, send it again.

        The node lifecycle controller marks the pods of a silent node not ready; once the node is
        back, only its kubelet can say that they are.
        """
        report = self._reports.get(uid)
        if report is None or report.in_flight or api_object["metadata"]["uid"] != report.uid:
            return
        status = api_object.get("status") or {}
        if status != report.sent:
            report.sent = status
            self._dirty[uid] = None

    def forget(self, uid: str) -> None:
        """The object is gone."""
        self._reports.pop(uid, None)
        self._dirty.pop(uid, None)

    def mark(self, uid: str) -> None:
        """The status may have changed."""
        self._dirty[uid] = None

    def finish(self, uid: str) -> None:
        """Delete the object after the last report."""
        report = self._reports.get(uid)
        if report is not None and not report.finish:
            report.finish = True
            self._dirty[uid] = None

    def flush(self) -> None:
        """Send what has changed; called at the end of each turn."""
        if not self._dirty:
            return
        dirty, self._dirty = self._dirty, {}
        for uid in dirty:
            report = self._reports.get(uid)
            if report is not None:
                self._send(report)

    def _send(self, report: _Report) -> None:
        if report.in_flight:
            report.dirty = True
            return
        report.dirty = False
        status = report.worker.status()
        sent = report.sent
        changed = {key: value for key, value in status.items() if sent.get(key) != value}
        for key in sent:
            if key not in status and key not in _FOREIGN:
                changed[key] = None
        if not changed:
            if report.finish:
                self._delete(report)
            return
        report.in_flight = True

        def done(answer: object) -> None:
            del answer
            report.in_flight = False
            foreign = {key: sent[key] for key in sent if key in _FOREIGN}
            report.sent = {**foreign, **status}
            if report.dirty or report.finish:
                self.mark(report.worker.uid)

        def failed(error: StatusError) -> None:
            report.in_flight = False
            if not _is_gone(error):
                self._clock.after(_RETRY_NS, lambda: self.mark(report.worker.uid))

        self._client.submit(
            "patch",
            "pods",
            namespace=report.namespace,
            name=report.name,
            subresource="status",
            # The uid makes the server refuse if another pod has taken the name.
            body={"metadata": {"uid": report.uid}, "status": changed},
            options={"patchType": "merge"},
            on_done=done,
            on_error=failed,
            decode=False,
        )

    def _delete(self, report: _Report) -> None:
        if report.deleting:
            return
        report.deleting = True

        def done(answer: object) -> None:
            del answer

        def failed(error: StatusError) -> None:
            report.deleting = False
            if not _is_gone(error):
                self._clock.after(_RETRY_NS, lambda: self.mark(report.worker.uid))

        self._client.submit(
            "delete",
            "pods",
            namespace=report.namespace,
            name=report.name,
            options={"gracePeriodSeconds": 0, "preconditions": {"uid": report.uid}},
            on_done=done,
            on_error=failed,
            decode=False,
        )


def _is_gone(error: StatusError) -> bool:
    """Whether the object no longer exists, or another one has its name."""
    return is_not_found(error) or is_conflict(error)
