"""The columns of a pod: its containers' states summed up as the real server does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from k8sactors.api.columns import (
    AGE,
    NAME,
    NONE,
    Column,
    Object,
    condition_is_true,
    field,
    since,
    value_at,
)

_ENDED = frozenset({"Succeeded", "Failed"})


class _Summary:
    """What the states of a pod's containers come to."""

    def __init__(self, pod: Object) -> None:
        status = pod.get("status") or {}
        spec = pod.get("spec") or {}
        self.pod = pod
        self.sidecars = {
            each["name"]: None
            for each in spec.get("initContainers") or ()
            if each.get("restartPolicy") == "Always"
        }
        self.total = len(spec.get("containers") or ()) + len(self.sidecars)
        self.ready = 0
        self.restarts = 0
        self.last_restart = ""
        self._of_sidecars = 0, ""
        self.reason: str = status.get("reason") or status.get("phase") or ""
        if any(
            each.get("type") == "PodScheduled" and each.get("reason") == "SchedulingGated"
            for each in status.get("conditions") or ()
        ):
            self.reason = "SchedulingGated"
        initializing = self._initialize(status, len(spec.get("initContainers") or ()))
        if not initializing or condition_is_true(pod, "Initialized"):
            self.restarts, self.last_restart = self._of_sidecars
            self._run(status)
        self._end(status)

    def _count(self, container: Mapping[str, Any]) -> None:
        self.restarts += container.get("restartCount") or 0
        ended = value_at(container, "lastState.terminated.finishedAt", "")
        self.last_restart = max(self.last_restart, ended)

    def _initialize(self, status: Mapping[str, Any], count: int) -> bool:
        """Whether an init container is not done; its state is then the pod's."""
        for number, container in enumerate(status.get("initContainerStatuses") or ()):
            self._count(container)
            sidecar = container.get("name") in self.sidecars
            if sidecar:
                restarts, last_restart = self._of_sidecars
                ended = value_at(container, "lastState.terminated.finishedAt", "")
                restarts += container.get("restartCount") or 0
                self._of_sidecars = restarts, max(last_restart, ended)
            state = container.get("state") or {}
            terminated, waiting = state.get("terminated"), state.get("waiting") or {}
            if terminated is not None and not terminated.get("exitCode"):
                continue
            if sidecar and container.get("started"):
                self.ready += bool(container.get("ready"))
                continue
            if terminated is not None:
                self.reason = f"Init:{_why(terminated)}"
            elif waiting.get("reason") and waiting["reason"] != "PodInitializing":
                self.reason = f"Init:{waiting['reason']}"
            else:
                self.reason = f"Init:{number}/{count}"
            return True
        return False

    def _run(self, status: Mapping[str, Any]) -> None:
        running = False
        for container in reversed(status.get("containerStatuses") or ()):
            self._count(container)
            state = container.get("state") or {}
            waiting, terminated = state.get("waiting") or {}, state.get("terminated")
            if waiting.get("reason"):
                self.reason = waiting["reason"]
            elif terminated is not None:
                self.reason = _why(terminated)
            elif container.get("ready") and state.get("running") is not None:
                running = True
                self.ready += 1
        if self.reason == "Completed" and running:
            self.reason = "Running" if condition_is_true(self.pod, "Ready") else "NotReady"

    def _end(self, status: Mapping[str, Any]) -> None:
        if not value_at(self.pod, "metadata.deletionTimestamp"):
            return
        if status.get("reason") == "NodeLost":
            self.reason = "Unknown"
        elif status.get("phase") not in _ENDED:
            self.reason = "Terminating"


def _why(terminated: Mapping[str, Any]) -> str:
    if terminated.get("reason"):
        return str(terminated["reason"])
    if terminated.get("signal"):
        return f"Signal:{terminated['signal']}"
    return f"ExitCode:{terminated.get('exitCode', 0)}"


def _ready(pod: Object, _now_ns: int) -> str:
    summary = _Summary(pod)
    return f"{summary.ready}/{summary.total}"


def _restarts(pod: Object, now_ns: int) -> str:
    summary = _Summary(pod)
    if not summary.restarts or not summary.last_restart:
        return str(summary.restarts)
    return f"{summary.restarts} ({since(summary.last_restart, now_ns)} ago)"


def _gates(pod: Object, _now_ns: int) -> str:
    gates = value_at(pod, "spec.readinessGates", ())
    if not gates:
        return NONE
    true = sum(condition_is_true(pod, gate["conditionType"]) for gate in gates)
    return f"{true}/{len(gates)}"


def _ip(pod: Object, _now_ns: int) -> str:
    addresses = value_at(pod, "status.podIPs", ())
    return addresses[0].get("ip") or NONE if addresses else NONE


COLUMNS = (
    NAME,
    Column("Ready", _ready),
    Column("Status", lambda pod, _: _Summary(pod).reason),
    Column("Restarts", _restarts),
    AGE,
    Column("IP", _ip, priority=1),
    field("Node", "spec.nodeName", NONE, priority=1),
    field("Nominated Node", "status.nominatedNodeName", NONE, priority=1),
    Column("Readiness Gates", _gates, priority=1),
)
