"""Resizing a pod in place: its containers get other resources while they run (KEP-1287).

The node must have them; what it cannot give now is tried again when another pod has gone. A
container is restarted if its resize policy says so for a resource that changes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol

from k8sactors.api import quantity
from k8sactors.api.meta import format_time
from k8sactors.kubelet import pod_spec
from k8sactors.kubelet.container_record import ContainerRecord, Stage
from k8sactors.kubelet.services import NodeServices, ReportedPod
from k8sactors.runtime import cri

PENDING: Final = "PodResizePending"
RESIZE_CONDITIONS: Final = frozenset({PENDING})


class ResizedPod(ReportedPod, Protocol):
    """The pod worker."""

    @property
    def records(self) -> Sequence[ContainerRecord]:
        """Its containers."""
        ...

    def stop_container(self, record: ContainerRecord, message: str, grace_seconds: int) -> None:
        """End a running container; the pod's policy decides what comes after."""
        ...


class Resizing:
    """The resizes of one pod."""

    def __init__(self, worker: ResizedPod, services: NodeServices) -> None:
        self._worker = worker
        self._services = services
        # Reason and message of a resize that waits, and since when.
        self.pending: tuple[str, str, str] | None = None

    def _changed(self) -> list[tuple[ContainerRecord, Mapping[str, Any]]]:
        """The containers that have other resources than their specification says."""
        spec = self._worker.pod["spec"]
        wanted = {
            each["name"]: each
            for key in ("initContainers", "containers")
            for each in spec.get(key) or ()
        }
        return [
            (record, wanted[record.name])
            for record in self._worker.records
            if record.container_type in {"app", "sidecar"}
            and record.name in wanted
            and _resources(record.spec) != _resources(wanted[record.name])
        ]

    def differs(self) -> bool:
        """Whether there is anything to do."""
        return self.pending is not None or bool(self._changed())

    def begin(self) -> None:
        """Give the containers what they ask for, if the node has it."""
        refusal = self._services.resize(self._worker)
        if refusal is not None:
            since = format_time(self._services.clock.wall_ns())
            if self.pending is not None and self.pending[0] == refusal[0]:
                since = self.pending[2]
            self.pending = (*refusal, since)
        else:
            self.pending = None
            for record, spec in self._changed():
                self._give(record, spec)
        self._services.status_changed(self._worker)

    def _give(self, record: ContainerRecord, spec: Mapping[str, Any]) -> None:
        old, new = _resources(record.spec), _resources(spec)
        record.spec = {**record.spec, "resources": new}
        record.resources = new
        if record.stage is not Stage.RUNNING:
            return
        limits = new.get("limits") or {}
        cpu, memory = limits.get("cpu"), limits.get("memory")
        fields = [
            record.id,
            quantity.parse_cpu_milli(cpu) if cpu is not None else 0,
            quantity.parse_memory_bytes(memory) if memory is not None else 0,
        ]
        self._services.cri.call(cri.UPDATE_CONTAINER_RESOURCES, fields, _ignore, _ignore)
        if _restarts(spec, old, new):
            text = f"Container {record.name} resize requires restart, will be restarted"
            grace_seconds = pod_spec.grace_period_seconds(self._worker.pod)
            self._worker.stop_container(record, text, grace_seconds)

    def report(self, status: dict[str, Any]) -> None:
        """Tell of a resize that waits."""
        if self.pending is not None:
            reason, message, since = self.pending
            condition = {
                "type": PENDING,
                "status": "True",
                "lastTransitionTime": since,
                "reason": reason,
                "message": message,
            }
            status["conditions"] = [*status["conditions"], condition]


def _resources(container: Mapping[str, Any]) -> Mapping[str, Any]:
    return container.get("resources") or {}


def _restarts(spec: Mapping[str, Any], old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    for policy in spec.get("resizePolicy") or ():
        name = policy["resourceName"]
        changed = any(
            (old.get(part) or {}).get(name) != (new.get(part) or {}).get(name)
            for part in ("requests", "limits")
        )
        if changed and policy.get("restartPolicy") == "RestartContainer":
            return True
    return False


def _ignore(outcome: object) -> None:
    """A runtime that is away lists its containers when it is back."""
    del outcome
