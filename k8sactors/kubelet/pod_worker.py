"""The pod worker: one pod's way from bound to gone, as a state machine without I/O of its own.

    set-up (`pod_setup`) -> init containers in order -> app containers together
    -> (deleted or past its deadline) SIGTERM, grace, SIGKILL -> sandbox gone -> reported

`sync` looks at what is known and starts whatever is missing; answers of the runtime change what is
known and call `sync` again. Nothing waits: an answer that comes after the pod's end was asked for
has no further effect.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from k8sactors.api.meta import format_time, parse_time
from k8sactors.kubelet import pod_spec
from k8sactors.kubelet.container_record import (
    ContainerRecord,
    Exit,
    Stage,
    ephemeral_records,
    records_of,
)
from k8sactors.kubelet.container_starter import ContainerStarter
from k8sactors.kubelet.container_stopper import ContainerStopper
from k8sactors.kubelet.pod_setup import PodSetup
from k8sactors.kubelet.pod_status import CRASH_LOOP, next_init, phase_of, pod_status
from k8sactors.kubelet.resizing import RESIZE_CONDITIONS, Resizing
from k8sactors.kubelet.services import NodeServices
from k8sactors.runtime import cri
from k8sactors.simulation import SECOND

_LOST_EXIT_CODE = 137
_STATUSES = ("initContainerStatuses", "containerStatuses", "ephemeralContainerStatuses")


class PodWorker:
    """One pod on this node.

    Args:
        pod: the pod as last seen.
        services: the kubelet.
    """

    def __init__(self, pod: pod_spec.Pod, services: NodeServices) -> None:
        self.pod = pod
        self.services = services
        self.uid: str = pod["metadata"]["uid"]
        self.records = records_of(pod)
        status = pod.get("status") or {}
        self.conditions: list[dict[str, Any]] = [
            condition
            for condition in status.get("conditions") or ()
            if condition["type"] not in RESIZE_CONDITIONS
        ]
        self.start_time: str = status.get("startTime") or format_time(services.clock.wall_ns())
        # A dead pod keeps the address it had; a living one has that of its sandbox or none.
        ip = (status.get("podIP") or "") if pod_spec.is_terminal(pod) else ""
        self.setup = PodSetup(self, services, ip)
        self.terminating = False
        self.over = False
        self.ended_as = ""
        self.failure: tuple[str, str] | None = None
        self._grace_ns = 0
        self._starter = ContainerStarter(self, services)
        self._stopping = ContainerStopper(self, services)
        self.resizing = Resizing(self, services)
        self._resume(status)

    @property
    def key(self) -> str:
        """namespace/name."""
        metadata = self.pod["metadata"]
        return f"{metadata['namespace']}/{metadata['name']}"

    @property
    def sandbox_id(self) -> str:
        """The pod's sandbox, "" if it has none."""
        return self.setup.sandbox_id

    @property
    def ip(self) -> str:
        """The pod's address, "" if it has none."""
        return self.setup.ip

    def _resume(self, status: Mapping[str, Any]) -> None:
        """Take over the restart counts of a former life of the node."""
        if pod_spec.is_terminal(self.pod):
            self.over = True
            self.ended_as = status["phase"]
        known = {entry["name"]: entry for key in _STATUSES for entry in status.get(key) or ()}
        for record in self.records:
            entry = known.get(record.name)
            if entry is not None:
                record.restart_count = int(entry.get("restartCount") or 0)
                if entry.get("containerID"):
                    record.restart_count += 1
        deadline = self.pod["spec"].get("activeDeadlineSeconds")
        if deadline is not None and not self.over:
            clock = self.services.clock
            ends_ns = parse_time(self.start_time) + int(deadline) * SECOND
            clock.after(max(ends_ns - clock.wall_ns(), 0), self._past_deadline)

    # What the kubelet tells

    def update(self, pod: pod_spec.Pod) -> None:
        """The pod object has changed."""
        old, self.pod = self.pod, pod
        if pod["metadata"].get("deletionTimestamp"):
            self.terminate(pod_spec.grace_period_seconds(pod))
            return
        if self.over or self.terminating:
            return
        if pod["spec"] is not old["spec"]:
            self._take_new_images(pod["spec"]["containers"])
            self._take_ephemeral_containers()
            if self.resizing.differs():
                self.resizing.begin()
        gated = pod["spec"].get("readinessGates")
        if gated or pod_spec.pod_annotations(pod) != pod_spec.pod_annotations(old):
            self.services.status_changed(self)

    def _take_new_images(self, containers: list[Mapping[str, Any]]) -> None:
        specs = {container["name"]: container for container in containers}
        for record in self.records:
            spec = specs.get(record.name)
            if record.container_type != "app" or spec is None:
                continue
            if spec["image"] != record.spec["image"]:
                record.spec = spec
                message = f"Container {record.name} definition changed, will be restarted"
                self.stop_container(record, message, pod_spec.grace_period_seconds(self.pod))

    def _take_ephemeral_containers(self) -> None:
        known = {record.name for record in self.records}
        added = [each for each in ephemeral_records(self.pod) if each.name not in known]
        if added:
            self.records += added
            self.services.status_changed(self)
            self.sync()

    def reject(self, reason: str, message: str) -> None:
        """The node does not take the pod."""
        self.over, self.ended_as = True, "Failed"
        self.failure = (reason, message)
        self.services.record_event(self.pod, "Warning", reason, message)
        self.services.status_changed(self)

    def adopt(self, sandbox: cri.SandboxStatus, containers: list[cri.ContainerStatus]) -> None:
        """Take over a sandbox that the runtime still has, and what is in it."""
        if not self.setup.adopt(sandbox):
            return
        for record in self.records:
            mine = [status for status in containers if status.name == record.name]
            if not mine:
                continue
            newest = max(mine, key=lambda status: (status.attempt, status.created_at_ns))
            record.id, record.image_id = newest.id, newest.image_id
            record.restart_count = newest.attempt
            if newest.state == cri.EXITED and record.stage is not Stage.EXITED:
                self._record_exit(record, Exit.of(newest))
            elif newest.state == cri.RUNNING and record.stage is not Stage.RUNNING:
                self._starter.running(record, newest.started_at_ns)

    def lost_sandbox(self) -> None:
        """The runtime has nothing of this pod any more: begin again, counting restarts."""
        if self.over or not self.setup.ready:
            return
        now_ns = self.services.clock.wall_ns()
        for record in self.records:
            if record.stage is Stage.RUNNING:
                ended = Exit(
                    record.id,
                    _LOST_EXIT_CODE,
                    "ContainerStatusUnknown",
                    "The container could not be located when the pod was checked",
                    record.started_at_ns,
                    now_ns,
                )
                self._record_exit(record, ended)
            elif record.in_flight:
                self._starter.container_ended(record)
                record.stage = Stage.WAITING
        self.setup.lose_sandbox()

    def container_exited(self, status: cri.ContainerStatus) -> None:
        """The runtime says that a container has ended."""
        for record in self.records:
            if record.id == status.id and record.stage is not Stage.EXITED:
                self._record_exit(record, Exit.of(status))
                self.services.status_changed(self)
                self.sync()
                return

    def _record_exit(self, record: ContainerRecord, ended: Exit) -> None:
        self._starter.container_ended(record)
        self._stopping.ended(record)
        record.stage, record.exit = Stage.EXITED, ended
        record.started = record.ready = record.stopping = False
        record.waiting_reason = record.waiting_message = ""

    # The way up

    def sync(self) -> None:
        """Start whatever is missing."""
        if self.over:
            return
        if self.terminating:
            self._terminate_further()
            return
        if not self.setup.ready:
            self.setup.advance()
            return
        policy = pod_spec.restart_policy(self.pod)
        phase = phase_of(self.records, policy)
        if phase in {"Succeeded", "Failed"}:
            self._complete(phase)
            return
        blocking = next_init(self.records)
        for record in self.records:
            if record is blocking:
                self._advance(record, policy)
                break
            if record.container_type != "init":
                self._advance(record, policy)

    def _advance(self, record: ContainerRecord, policy: str) -> None:
        """One step of one container."""
        now_ns = self.services.clock.wall_ns()
        if record.stage is Stage.WAITING:
            if record.retry_at_ns <= now_ns:
                self._starter.pull(record)
            return
        if record.stage is not Stage.EXITED or record.exit is None:
            return
        if not record.should_restart(policy):
            return
        wait_until_ns = record.restarts.wait_until_ns(record.exit.finished_at_ns, now_ns)
        if wait_until_ns > now_ns:
            if record.waiting_reason != CRASH_LOOP:
                self._back_off(record, wait_until_ns - now_ns)
            return
        self._restart(record, now_ns)

    def _back_off(self, record: ContainerRecord, delay_ns: int) -> None:
        name = pod_spec.full_name(self.pod)
        seconds = record.restarts.delay_ns // SECOND
        minutes, rest = divmod(seconds, 60)
        length = f"{minutes}m{rest}s" if minutes else f"{rest}s"
        record.waiting_reason = CRASH_LOOP
        record.waiting_message = (
            f"back-off {length} restarting failed container={record.name} pod={name}"
        )
        text = f"Back-off restarting failed container {record.name} in pod {name}"
        self.services.record_event(self.pod, "Warning", "BackOff", text)
        self.services.status_changed(self)
        self.services.clock.after(delay_ns, self.sync)

    def _restart(self, record: ContainerRecord, now_ns: int) -> None:
        record.restarts.attempt(now_ns)
        self.services.cri.call(cri.REMOVE_CONTAINER, [record.id], _ignore, _ignore)
        record.last, record.exit = record.exit, None
        record.restart_count += 1
        record.stage = Stage.WAITING
        record.waiting_reason = record.waiting_message = ""
        self._starter.pull(record)

    # The way down

    def stop_container(self, record: ContainerRecord, message: str, grace_seconds: int) -> None:
        """End a running container; the pod's policy decides what comes after."""
        if record.stage is not Stage.RUNNING or record.stopping:
            return
        self.services.record_event(self.pod, "Normal", "Killing", message)
        self._stopping.stop(record, grace_seconds * SECOND)

    def _past_deadline(self) -> None:
        if not self.over and not self.terminating:
            text = "Pod was active on the node longer than the specified deadline"
            self.fail("DeadlineExceeded", text)

    def fail(self, reason: str, message: str) -> None:
        """End the pod on the node's decision; the object stays, as Failed."""
        self.failure = (reason, message)
        self.services.record_event(self.pod, "Warning", reason, message)
        self.terminate(pod_spec.grace_period_seconds(self.pod))

    def terminate(self, grace_seconds: int) -> None:
        """End everything that runs, with a grace period; may be repeated with a shorter one."""
        if self.over:
            self.services.worker_ended(self)
            return
        grace_ns = max(grace_seconds, 1) * SECOND
        if self.terminating and grace_ns >= self._grace_ns:
            return
        if self.terminating:
            for record in self.records:
                record.stopping = False
        self.terminating = True
        for record in self.records:
            self._starter.abandon_hook(record)
        self._grace_ns = grace_ns
        self._terminate_further()

    def _terminate_further(self) -> None:
        alive = False
        for record in self.records:
            if record.in_flight:
                alive = True
            elif record.stage is Stage.RUNNING:
                alive = True
                self._stop_in_order(record)
        if alive or self.setup.making_sandbox:
            return
        for record in self.records:
            self._starter.stop_probes(record)
        failed = self.failure is not None or not self._all_succeeded()
        self._end("Failed" if failed else "Succeeded")
        self.services.worker_ended(self)

    def _stop_in_order(self, record: ContainerRecord) -> None:
        """Sidecars outlive the app containers (KEP-753)."""
        if record.container_type == "sidecar" and self._apps_running():
            return
        message = f"Stopping container {record.name}"
        self.stop_container(record, message, self._grace_ns // SECOND)

    def _apps_running(self) -> bool:
        return any(
            record.container_type == "app" and (record.stage is Stage.RUNNING or record.in_flight)
            for record in self.records
        )

    def _all_succeeded(self) -> bool:
        return all(record.succeeded for record in self.records if record.container_type == "app")

    def _complete(self, phase: str) -> None:
        """The app containers are done for good: sidecars follow, then the sandbox."""
        sidecars = [record for record in self.records if record.stage is Stage.RUNNING]
        for record in sidecars:
            grace_seconds = pod_spec.grace_period_seconds(self.pod)
            self.stop_container(record, f"Stopping container {record.name}", grace_seconds)
        if not sidecars:
            self._end(phase)

    def _end(self, phase: str) -> None:
        self.over, self.ended_as = True, phase
        sandbox_id = self.setup.release_sandbox()
        if sandbox_id:
            self.services.cri.call(cri.STOP_POD_SANDBOX, [sandbox_id], _ignore, _ignore)
            self.services.cri.call(cri.REMOVE_POD_SANDBOX, [sandbox_id], _ignore, _ignore)
        self.services.status_changed(self)

    # The report

    def known_status(self) -> Mapping[str, Any]:
        """The status with its containers; as it is stored if the pod was over from the start."""
        if self.over and all(not record.id for record in self.records):
            return self.pod.get("status") or {}
        return self.status()

    def running_container(self, name: str) -> str:
        """The id of a running container, "" if it does not run."""
        for record in self.records:
            if record.name == name and record.stage is Stage.RUNNING:
                return record.id
        return ""

    def status(self) -> dict[str, Any]:
        """The pod's status now."""
        own = {condition["type"] for condition in self.conditions} | RESIZE_CONDITIONS
        foreign = [
            condition
            for condition in (self.pod.get("status") or {}).get("conditions") or ()
            if condition["type"] not in own
        ]
        status = pod_status(
            self.pod,
            self.records,
            conditions=[*self.conditions, *foreign],
            host_ip=self.services.host_ip,
            pod_ip=self.ip,
            sandbox_ready=bool(self.sandbox_id),
            start_time=self.start_time,
            now_text=format_time(self.services.clock.wall_ns()),
            ended_as=self.ended_as,
        )
        if self.failure is not None:
            status["reason"], status["message"] = self.failure
        self.conditions = status["conditions"]
        self.resizing.report(status)
        return status


def _ignore(outcome: object) -> None:
    """The outcome of a call that may be repeated and whose failure the next listing shows."""
    del outcome
