"""The status of a pod, computed from what the kubelet knows of its containers.

The rules are those of the Pod API: phase from the containers' states and the restart policy; a
condition keeps its lastTransitionTime while its status stays the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from k8sactors.api.meta import format_time
from k8sactors.kubelet import pod_spec
from k8sactors.kubelet.container_record import ContainerRecord, Exit, Stage

CRASH_LOOP = "CrashLoopBackOff"
_INITS = frozenset({"init", "sidecar"})
_STATUSES = {"app": "containerStatuses", "ephemeral": "ephemeralContainerStatuses"}
_OWN_CONDITIONS = (
    "PodReadyToStartContainers",
    "Initialized",
    "Ready",
    "ContainersReady",
    "PodScheduled",
)


def next_init(records: Sequence[ContainerRecord]) -> ContainerRecord | None:
    """The init container that holds up the ones behind it."""
    for record in records:
        if record.container_type == "init" and not record.succeeded:
            return record
        if record.container_type == "sidecar" and not record.started:
            return record
    return None


def phase_of(records: Sequence[ContainerRecord], policy: str) -> str:
    """Pending, Running, Succeeded or Failed."""
    blocking = next_init(records)
    apps = [record for record in records if record.container_type == "app"]
    if blocking is not None and all(app.exit is None and app.id == "" for app in apps):
        failed = (
            blocking.container_type == "init"
            and blocking.stage is Stage.EXITED
            and not blocking.should_restart(policy)
        )
        return "Failed" if failed else "Pending"
    running = sum(1 for app in apps if app.stage is Stage.RUNNING)
    stopped = sum(1 for app in apps if app.stage is Stage.EXITED)
    waiting = len(apps) - running - stopped
    if any(app.stage not in {Stage.RUNNING, Stage.EXITED} and app.last is None for app in apps):
        return "Pending"
    if running or waiting or any(app.should_restart(policy) for app in apps):
        return "Running"
    return "Succeeded" if all(app.succeeded for app in apps) else "Failed"


def _terminated(ended: Exit) -> dict[str, Any]:
    state: dict[str, Any] = {
        "exitCode": ended.exit_code,
        "reason": ended.reason,
        "startedAt": format_time(ended.started_at_ns),
        "finishedAt": format_time(ended.finished_at_ns),
        "containerID": f"containerd://{ended.container_id}",
    }
    if ended.message:
        state["message"] = ended.message
    return {"terminated": state}


def container_status(
    record: ContainerRecord, *, blocked: bool, ready: bool, ended: bool
) -> dict[str, Any]:
    """The status of one container.

    `blocked`: init containers come first; `ended`: the pod is over.
    """
    last = record.last
    if record.stage is Stage.RUNNING:
        state: dict[str, Any] = {"running": {"startedAt": format_time(record.started_at_ns)}}
    elif record.stage is Stage.EXITED and record.exit is not None:
        if record.waiting_reason == CRASH_LOOP and not ended:
            state = _waiting(record, blocked=blocked)
            last = record.exit
        else:
            state = _terminated(record.exit)
    else:
        state = _waiting(record, blocked=blocked)
    status: dict[str, Any] = {
        "name": record.name,
        "state": state,
        "lastState": {} if last is None else _terminated(last),
        "ready": ready,
        "restartCount": record.restart_count,
        "image": record.spec["image"],
        "imageID": record.image_id,
        "started": record.started and record.stage is Stage.RUNNING,
    }
    if record.resources is not None:
        status["resources"] = record.resources
        if record.resources.get("requests"):
            status["allocatedResources"] = record.resources["requests"]
    if record.id:
        status["containerID"] = f"containerd://{record.id}"
    return status


def _waiting(record: ContainerRecord, *, blocked: bool) -> dict[str, Any]:
    default = "PodInitializing" if blocked else "ContainerCreating"
    waiting = {"reason": record.waiting_reason or default}
    if record.waiting_message:
        waiting["message"] = record.waiting_message
    return {"waiting": waiting}


def is_ready(record: ContainerRecord, pod: pod_spec.Pod) -> bool:
    """Whether a container counts as ready."""
    if record.container_type == "init":
        return record.succeeded
    if record.container_type == "ephemeral":
        return False
    if record.stage is not Stage.RUNNING or not record.started or not record.ready:
        return False
    return pod_spec.pod_annotations(pod).get("sim/ready") != "false"


def _condition(status: bool, reason: str = "", message: str = "") -> dict[str, str]:
    condition = {"status": "True" if status else "False"}
    if reason:
        condition["reason"] = reason
    if message:
        condition["message"] = message
    return condition


def _names(records: Sequence[ContainerRecord]) -> str:
    return " ".join(record.name for record in records)


def _own_conditions(
    pod: pod_spec.Pod, records: Sequence[ContainerRecord], phase: str, *, sandbox_ready: bool
) -> dict[str, dict[str, str]]:
    inits = [record for record in records if record.container_type in _INITS]
    incomplete = [
        record
        for record in inits
        if not (record.started if record.container_type == "sidecar" else record.succeeded)
    ]
    serving = [record for record in records if record.container_type in {"app", "sidecar"}]
    unready = [record for record in serving if not is_ready(record, pod)]
    if phase == "Succeeded":
        not_ready = _condition(False, "PodCompleted")
        containers, ready = not_ready, not_ready
    elif phase == "Failed":
        containers = ready = _condition(False, "PodFailed")
    elif unready:
        message = f"containers with unready status: [{_names(unready)}]"
        containers = ready = _condition(False, "ContainersNotReady", message)
    else:
        containers = _condition(True)
        ready = _gated(pod) or containers
    if phase == "Succeeded" or (phase in {"Running", "Failed"} and not incomplete):
        init = _condition(True, "PodCompleted" if phase == "Succeeded" else "")
    elif incomplete:
        message = f"containers with incomplete status: [{_names(incomplete)}]"
        init = _condition(False, "ContainersNotInitialized", message)
    else:
        init = _condition(True)
    return {
        "PodReadyToStartContainers": _condition(sandbox_ready),
        "Initialized": init,
        "Ready": ready,
        "ContainersReady": containers,
        "PodScheduled": _condition(True),
    }


def _gated(pod: pod_spec.Pod) -> dict[str, str] | None:
    """Ready=False if a readiness gate of the pod does not hold."""
    gates = pod["spec"].get("readinessGates")
    if not gates:
        return None
    conditions = {
        condition["type"]: condition["status"]
        for condition in (pod.get("status") or {}).get("conditions") or ()
    }
    for gate in gates:
        kind = gate["conditionType"]
        if conditions.get(kind) != "True":
            message = f'corresponding condition of pod readiness gate "{kind}" does not exist.'
            if kind in conditions:
                message = f'the status of pod readiness gate "{kind}" is not "True", but '
                message += str(conditions[kind])
            return _condition(False, "ReadinessGatesNotReady", message)
    return None


def merge_conditions(
    known: Sequence[Mapping[str, Any]], wanted: Mapping[str, Mapping[str, str]], now_text: str
) -> list[dict[str, Any]]:
    """The pod's conditions: ours first, transitions stamped, other components' left alone."""
    known_by_type = {condition["type"]: condition for condition in known}
    merged: list[dict[str, Any]] = []
    for kind in _OWN_CONDITIONS:
        previous = known_by_type.pop(kind, None)
        condition: dict[str, Any] = {"type": kind, **wanted[kind]}
        unchanged = previous is not None and previous["status"] == condition["status"]
        since = previous.get("lastTransitionTime") if unchanged and previous else None
        condition["lastTransitionTime"] = since or now_text
        merged.append(condition)
    merged += [dict(condition) for condition in known_by_type.values()]
    return merged


def pod_status(
    pod: pod_spec.Pod,
    records: Sequence[ContainerRecord],
    *,
    conditions: Sequence[Mapping[str, Any]],
    host_ip: str,
    pod_ip: str,
    sandbox_ready: bool,
    start_time: str,
    now_text: str,
    ended_as: str = "",
) -> dict[str, Any]:
    """The whole status.

    Args:
        pod: the pod.
        records: its containers.
        conditions: the conditions as last known, for their transition times and for foreign ones.
        host_ip: the node's address.
        pod_ip: the sandbox's address, "" if it never had one.
        sandbox_ready: whether there is a sandbox now.
        start_time: when the kubelet took the pod on.
        now_text: the present.
        ended_as: the phase of a pod that is over, "" while it lives.
    """
    phase = ended_as or phase_of(records, pod_spec.restart_policy(pod))
    blocked = next_init(records) is not None
    own = _own_conditions(pod, records, phase, sandbox_ready=sandbox_ready)
    status: dict[str, Any] = {
        "phase": phase,
        "conditions": merge_conditions(conditions, own, now_text),
        "hostIP": host_ip,
        "hostIPs": [{"ip": host_ip}],
        "startTime": start_time,
        "qosClass": pod_spec.qos_class(pod),
    }
    if pod_ip:
        status["podIP"] = pod_ip
        status["podIPs"] = [{"ip": pod_ip}]
    entries: dict[str, list[dict[str, Any]]] = {
        "initContainerStatuses": [],
        "containerStatuses": [],
        "ephemeralContainerStatuses": [],
    }
    for record in records:
        key = _STATUSES.get(record.container_type, "initContainerStatuses")
        entries[key].append(
            container_status(
                record, blocked=blocked, ready=is_ready(record, pod), ended=bool(ended_as)
            )
        )
    status.update({key: value for key, value in entries.items() if value})
    return status
