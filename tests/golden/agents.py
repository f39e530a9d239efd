"""Scripted nodes: what a kubelet would do with pods, by a script that annotations of the pod steer.

An `agent` makes a pod Running and Ready 0.3 s after it was bound and removes it 0.3 s after its
deletion was asked for. A `bare` node is only kept alive. A dead one does nothing any more.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any

from k8sactors.api.meta import format_time
from k8sactors.simulation import SECOND
from tests.golden.observer import Observer

Object = dict[str, Any]

HEARTBEAT_NS = 8 * SECOND
DEFAULT_DELAY_S = "0.3"
DEFAULT_CAPACITY = {"cpu": "4", "memory": "8Gi", "pods": "110", "ephemeral-storage": "20Gi"}
HEALTHY = (
    ("MemoryPressure", "False", "KubeletHasSufficientMemory"),
    ("DiskPressure", "False", "KubeletHasNoDiskPressure"),
    ("PIDPressure", "False", "KubeletHasSufficientPID"),
    ("Ready", "True", "KubeletReady"),
)


def annotation(pod: Object, name: str, default: str = "") -> str:
    """A `sim/` annotation of a pod."""
    return str((pod["metadata"].get("annotations") or {}).get(f"sim/{name}", default))


def condition(pod: Object, kind: str) -> str | None:
    """Status of a pod's condition."""
    conditions = pod["status"].get("conditions") or []
    return next((c["status"] for c in conditions if c["type"] == kind), None)


class Agents:
    """All scripted nodes of one cluster."""

    def __init__(self, observer: Observer) -> None:
        self.observer = observer
        self.kinds: dict[str, str] = {}
        self._addresses: dict[str, str] = {}
        self._seen: set[str] = set()
        self._stopping: set[str] = set()
        observer.sinks.append(self._observe)
        observer.ctx.after(HEARTBEAT_NS, self._beat)

    # Nodes

    async def add(self, node: Mapping[str, Any]) -> None:
        """Create a node and report it healthy."""
        name = node["name"]
        labels = {
            "kubernetes.io/hostname": name,
            "kubernetes.io/os": "linux",
            "kubernetes.io/arch": "amd64",
            **(node.get("labels") or {}),
        }
        self.kinds[name] = node.get("kind", "agent")
        await self.renew(name)
        taints = node.get("taints")
        body = {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": name, "labels": labels},
            "spec": {"taints": taints} if taints else {},
        }
        code, answer = await self.observer.call("create", "Node", body=body)
        assert code in {201, 409}, answer
        capacity = {**DEFAULT_CAPACITY, **_texts(node.get("capacity"))}
        allocatable = {**capacity, **_texts(node.get("allocatable"))}
        await self.report(name, {"capacity": capacity, "allocatable": allocatable})

    async def report(self, name: str, extra: Object | None = None) -> None:
        """Write the status of a healthy node."""
        now = self._now()
        conditions = [
            {
                "type": kind,
                "status": status,
                "reason": reason,
                "message": "scripted",
                "lastHeartbeatTime": now,
                "lastTransitionTime": now,
            }
            for kind, status, reason in HEALTHY
        ]
        addresses = [{"type": "Hostname", "address": name}]
        status = {"conditions": conditions, "addresses": addresses, **(extra or {})}
        await self.observer.call("patch", "Node", None, name, "status", {"status": status})

    async def renew(self, name: str) -> None:
        """Renew a node's lease."""
        spec = {"holderIdentity": name, "leaseDurationSeconds": 40, "renewTime": self._micro()}
        body = {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": name, "namespace": "kube-node-lease"},
            "spec": spec,
        }
        code, _ = await self.observer.call("patch", "Lease", "kube-node-lease", name, None, body)
        if code == 404:
            await self.observer.call("create", "Lease", "kube-node-lease", body=body)

    def _beat(self) -> None:
        for name, kind in self.kinds.items():
            if kind != "dead":
                self.observer.ctx.spawn_task(self.renew, name)
        self.observer.ctx.after(HEARTBEAT_NS, self._beat)

    # Pods

    def _serves(self, pod: Object) -> bool:
        return self.kinds.get(pod["spec"].get("nodeName", "")) == "agent"

    def _observe(self, _now: float, kind: str, event: str, pod: Object, _old: Any) -> None:
        if kind != "Pod" or not self._serves(pod):
            return
        uid = pod["metadata"]["uid"]
        if event == "DELETED":
            self._stopping.discard(uid)
        elif pod["metadata"].get("deletionTimestamp"):
            if uid not in self._stopping:
                self._stopping.add(uid)
                self._later(pod, annotation(pod, "stop-after", DEFAULT_DELAY_S), self._remove)
        elif pod["status"].get("phase") in {"Succeeded", "Failed"}:
            return
        elif uid not in self._seen:
            self._seen.add(uid)
            self._later(pod, annotation(pod, "start-after", DEFAULT_DELAY_S), self._run)
        elif uid in self._addresses and self._readiness_differs(pod):
            self._later(pod, "0", self._refresh)

    def _later(self, pod: Object, delay: str, action: Callable[[Object], Awaitable[None]]) -> None:
        """Do something with the pod as it is then, if it is still there and its node lives."""
        if delay == "never":
            return
        metadata = pod["metadata"]

        async def act() -> None:
            code, current = await self.observer.call(
                "get", "Pod", metadata["namespace"], metadata["name"]
            )
            if (
                code == 200
                and current["metadata"]["uid"] == metadata["uid"]
                and self._serves(current)
            ):
                await action(current)

        delay_ns = round(float(delay) * SECOND)
        self.observer.ctx.after(delay_ns, partial(self.observer.ctx.spawn_task, act))

    async def _remove(self, pod: Object) -> None:
        metadata = pod["metadata"]
        await self.observer.call(
            "delete",
            "Pod",
            metadata["namespace"],
            metadata["name"],
            gracePeriodSeconds=0,
            preconditions={"uid": metadata["uid"]},
        )

    async def _run(self, pod: Object) -> None:
        if pod["metadata"].get("deletionTimestamp") or pod["status"].get("phase") != "Pending":
            return
        number = len(self._addresses)
        address = f"10.64.{number // 250}.{number % 250 + 1}"
        self._addresses[pod["metadata"]["uid"]] = address
        addresses = {
            "hostIP": "10.0.0.1",
            "podIP": address,
            "podIPs": [{"ip": address}],
            "startTime": self._now(),
        }
        await self._report_running(pod, addresses)
        seconds = annotation(pod, "run-seconds")
        if seconds:
            self._later(pod, seconds, self._exit)

    async def _refresh(self, pod: Object) -> None:
        if pod["status"].get("phase") == "Running" and self._readiness_differs(pod):
            await self._report_running(pod)

    async def _exit(self, pod: Object) -> None:
        if not pod["metadata"].get("deletionTimestamp"):
            await self.finish(pod, int(annotation(pod, "exit-code", "0")))

    def _readiness(self, pod: Object) -> tuple[bool, bool]:
        """Whether the containers, and whether the pod, should be ready."""
        containers = annotation(pod, "ready", "true") != "false"
        gates = pod["spec"].get("readinessGates") or []
        passed = all(condition(pod, gate["conditionType"]) == "True" for gate in gates)
        return containers, passed and containers

    def _readiness_differs(self, pod: Object) -> bool:
        containers, ready = self._readiness(pod)
        have = (condition(pod, "ContainersReady"), condition(pod, "Ready"))
        return pod["status"].get("phase") == "Running" and have != (str(containers), str(ready))

    async def _report_running(self, pod: Object, extra: Object | None = None) -> None:
        containers, ready = self._readiness(pod)
        why = "ReadinessGatesNotReady" if containers else "ContainersNotReady"
        conditions = [
            self._condition(pod, "Initialized", True, ""),
            self._condition(pod, "Ready", ready, why),
            self._condition(pod, "ContainersReady", containers, "ContainersNotReady"),
        ]
        status = {
            "phase": "Running",
            "conditions": conditions,
            "containerStatuses": [
                {
                    **self._container(pod, item, ready=containers),
                    "started": True,
                    "state": {"running": {"startedAt": self._now()}},
                }
                for item in pod["spec"]["containers"]
            ],
            **(extra or {}),
        }
        await self._write(pod, status)

    async def finish(self, pod: Object, exit_code: int) -> tuple[int, Object]:
        """Let a pod's containers end."""
        now = self._now()
        why = "ContainersNotReady" if exit_code else "PodCompleted"
        ended = {
            "exitCode": exit_code,
            "startedAt": now,
            "finishedAt": now,
            "reason": "Error" if exit_code else "Completed",
        }
        status = {
            "phase": "Failed" if exit_code else "Succeeded",
            "conditions": [
                {"type": kind, "status": "False", "reason": why, "lastTransitionTime": now}
                for kind in ("Ready", "ContainersReady")
            ],
            "containerStatuses": [
                {
                    **self._container(pod, item, ready=False),
                    "started": False,
                    "state": {"running": None, "waiting": None, "terminated": ended},
                }
                for item in pod["spec"]["containers"]
            ],
        }
        return await self._write(pod, status)

    async def _write(self, pod: Object, status: Object) -> tuple[int, Object]:
        metadata = pod["metadata"]
        body = {"metadata": {"uid": metadata["uid"]}, "status": status}
        return await self.observer.call(
            "patch",
            "Pod",
            metadata["namespace"],
            metadata["name"],
            "status",
            body,
            patchType="strategic",
        )

    def _condition(self, pod: Object, kind: str, holds: bool, why_not: str) -> Object:
        known = pod["status"].get("conditions") or []
        before = next((c for c in known if c["type"] == kind), None)
        same = before is not None and before["status"] == str(holds)
        since = before.get("lastTransitionTime") if same and before else self._now()
        reason = None if holds else why_not
        return {"type": kind, "status": str(holds), "reason": reason, "lastTransitionTime": since}

    @staticmethod
    def _container(pod: Object, container: Object, *, ready: bool) -> Object:
        return {
            "name": container["name"],
            "image": container["image"],
            "imageID": container["image"],
            "containerID": f"scripted://{pod['metadata']['uid']}{container['name']}",
            "ready": ready,
            "restartCount": 0,
            "lastState": {},
        }

    def _now(self) -> str:
        return format_time(self.observer.ctx.wall_ns())

    def _micro(self) -> str:
        fraction = self.observer.ctx.wall_ns() % SECOND // 1000
        return f"{self._now()[:-1]}.{fraction:06d}Z"


def _texts(quantities: Mapping[str, Any] | None) -> dict[str, str]:
    return {key: str(value) for key, value in (quantities or {}).items()}
