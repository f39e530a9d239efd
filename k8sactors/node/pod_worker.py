"""The pod worker: one pod's way from bound to gone, as a state machine without I/O of its own.

    volumes -> network -> sandbox -> init containers in order -> app containers together
    -> (deleted or past its deadline) SIGTERM, grace, SIGKILL -> sandbox gone -> reported

`sync` looks at what is known and starts whatever is missing; answers of the runtime change what is
known and call `sync` again.  Nothing waits: an answer that comes after the pod's end was asked for
finds it so and goes no further.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Any

from k8sactors.api.meta import format_time, parse_time
from k8sactors.node import cri, pod_spec
from k8sactors.node.container_record import ContainerRecord, Exit, Stage, records_of
from k8sactors.node.container_starter import ContainerStarter
from k8sactors.node.errors import CRIError
from k8sactors.node.pod_status import CRASH_LOOP, next_init, phase_of, pod_status
from k8sactors.node.programs import NEVER_NS, seconds_to_ns
from k8sactors.node.services import NodeServices

_SECOND = 1_000_000_000
_MOUNT_RETRY_FIRST_NS, _MOUNT_RETRY_LIMIT_NS = _SECOND // 2, 122 * _SECOND
_SANDBOX_RETRY_NS = 5 * _SECOND
_LOST_EXIT_CODE = 137


class Setup(enum.Enum):
    """What stands before the first container."""

    NEW = "new"
    HELD = "held"  # by a delay, by volumes
    NETWORK = "network"  # waiting for the node's network
    SANDBOX = "sandbox"  # the runtime makes it
    UP = "up"


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
        self.conditions: list[dict[str, Any]] = list(status.get("conditions") or ())
        self.start_time: str = status.get("startTime") or format_time(services.clock.wall_ns())
        self.sandbox_id = ""
        self.sandbox_attempt = 0
        # A dead pod keeps the address it had; a living one has that of its sandbox or none.
        self.ip: str = (status.get("podIP") or "") if pod_spec.is_terminal(pod) else ""
        self.setup = Setup.NEW
        self.terminating = False
        self.over = False
        self.ended_as = ""
        self.failure: tuple[str, str] | None = None
        self._grace_ns = 0
        self._mount_retry_ns = _MOUNT_RETRY_FIRST_NS
        self._starter = ContainerStarter(self)
        self._resume(status)

    @property
    def key(self) -> str:
        """namespace/name."""
        metadata = self.pod["metadata"]
        return f"{metadata['namespace']}/{metadata['name']}"

    def _resume(self, status: Mapping[str, Any]) -> None:
        """Take over the restart counts of a former life of the node."""
        if pod_spec.is_terminal(self.pod):
            self.over = True
            self.ended_as = status["phase"]
        known = {
            entry["name"]: entry
            for key in ("initContainerStatuses", "containerStatuses")
            for entry in status.get(key) or ()
        }
        for record in self.records:
            entry = known.get(record.name)
            if entry is not None:
                record.restart_count = int(entry.get("restartCount") or 0)
                if entry.get("containerID"):
                    record.restart_count += 1
        deadline = self.pod["spec"].get("activeDeadlineSeconds")
        if deadline is not None and not self.over:
            clock = self.services.clock
            ends_ns = parse_time(self.start_time) + int(deadline) * _SECOND
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
                words = f"Container {record.name} definition changed, will be restarted"
                self.stop_container(record, words, pod_spec.grace_period_seconds(self.pod))

    def reject(self, reason: str, message: str) -> None:
        """The node does not take the pod."""
        self.over, self.ended_as = True, "Failed"
        self.failure = (reason, message)
        self.services.record_event(self.pod, "Warning", reason, message)
        self.services.status_changed(self)

    def adopt(self, sandbox: cri.SandboxStatus, containers: list[cri.ContainerStatus]) -> None:
        """Take over a sandbox that the runtime still has, and what is in it."""
        if self.sandbox_id and self.sandbox_id != sandbox.id:
            return
        self.sandbox_id, self.ip = sandbox.id, sandbox.ip
        self.sandbox_attempt = sandbox.attempt
        if self.setup is not Setup.UP:
            self.setup = Setup.UP
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
        if self.over or self.setup is not Setup.UP:
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
                record.stage = Stage.WAITING
        self.sandbox_id = self.ip = ""
        self.setup = Setup.NEW
        self.sandbox_attempt += 1

    def container_exited(self, status: cri.ContainerStatus) -> None:
        """The runtime says that a container has ended."""
        for record in self.records:
            if record.id == status.id and record.stage is not Stage.EXITED:
                self._record_exit(record, Exit.of(status))
                self.services.status_changed(self)
                self.sync()
                return

    def _record_exit(self, record: ContainerRecord, ended: Exit) -> None:
        self._starter.stop_probes(record)
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
        if self.setup is not Setup.UP:
            self._set_up()
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

    def _set_up(self) -> None:
        if self.setup is Setup.NEW:
            self.setup = Setup.HELD
            self.services.status_changed(self)
            delay = pod_spec.pod_annotations(self.pod).get("sim/start-after")
            delay_ns = 0 if delay is None else seconds_to_ns(delay)
            if not delay_ns:
                self._mount()
            elif delay_ns < NEVER_NS:
                self.services.clock.after(delay_ns, self._mount)
        elif self.setup is Setup.NETWORK:
            self._make_sandbox()

    def _mount(self) -> None:
        if self.setup is not Setup.HELD or self.terminating or self.over:
            return
        references = list(pod_spec.volume_references(self.pod))
        if not references:
            self._make_sandbox()
            return

        def answered(problem: str) -> None:
            if self.setup is not Setup.HELD or self.terminating or self.over:
                return
            if not problem:
                self._make_sandbox()
                return
            volume = next((v for v, _, name in references if f'"{name}"' in problem), "")
            text = f'MountVolume.SetUp failed for volume "{volume}" : {problem}'
            self.services.record_event(self.pod, "Warning", "FailedMount", text)
            self.services.clock.after(self._mount_retry_ns, self._mount)
            self._mount_retry_ns = min(2 * self._mount_retry_ns, _MOUNT_RETRY_LIMIT_NS)

        namespace = self.pod["metadata"]["namespace"]
        wanted = [(resource, name) for _, resource, name in references]
        self.services.require_objects(namespace, wanted, answered)

    def _make_sandbox(self) -> None:
        if self.terminating or self.over:
            return
        host_network = pod_spec.is_host_network(self.pod)
        if not (host_network or self.services.network_ready):
            if self.setup is not Setup.NETWORK:
                self.setup = Setup.NETWORK
                text = (
                    "network is not ready: container runtime network not ready: NetworkReady=false"
                    " reason:NetworkPluginNotReady message:Network plugin returns error:"
                    " cni plugin not initialized"
                )
                self.services.record_event(self.pod, "Warning", "NetworkNotReady", text)
            return
        self.setup = Setup.SANDBOX
        metadata = self.pod["metadata"]
        config = cri.SandboxConfig(
            metadata["namespace"],
            metadata["name"],
            self.uid,
            self.sandbox_attempt,
            dict(pod_spec.pod_annotations(self.pod)),
            host_network,
        )
        self.services.cri.call(
            cri.RUN_POD_SANDBOX, config.to_wire(), self._sandbox_made, self._sandbox_failed
        )

    def _sandbox_made(self, body: Any) -> None:
        self.sandbox_id, self.ip = body
        self.setup = Setup.UP
        self.sync()

    def _sandbox_failed(self, error: CRIError) -> None:
        self.setup = Setup.HELD
        if self.terminating:
            self.sync()
            return
        text = f"Failed to create pod sandbox: {error}"
        self.services.record_event(self.pod, "Warning", "FailedCreatePodSandBox", text)
        self.services.clock.after(_SANDBOX_RETRY_NS, self._mount)

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
        seconds = record.restarts.delay_ns // _SECOND
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

    def stop_container(self, record: ContainerRecord, words: str, grace_seconds: int) -> None:
        """End a running container; the pod's policy decides what comes after."""
        if record.stage is not Stage.RUNNING or record.stopping:
            return
        record.stopping = True
        self.services.record_event(self.pod, "Normal", "Killing", words)
        self._send_stop(record, grace_seconds * _SECOND)

    def _send_stop(self, record: ContainerRecord, grace_ns: int) -> None:
        container_id = record.id

        def stopped(body: Any) -> None:
            if body is not None:
                self.container_exited(cri.ContainerStatus.from_wire(body))

        def failed(error: CRIError) -> None:
            del error  # the runtime is away; its return lists what still runs
            if record.id == container_id:
                record.stopping = False

        timeout_ns = grace_ns + 120 * _SECOND
        self.services.cri.call(
            cri.STOP_CONTAINER, [container_id, grace_ns], stopped, failed, timeout_ns=timeout_ns
        )

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
        grace_ns = max(grace_seconds, 1) * _SECOND
        if self.terminating and grace_ns >= self._grace_ns:
            return
        if self.terminating:
            for record in self.records:
                record.stopping = False
        self.terminating = True
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
        if alive or self.setup is Setup.SANDBOX:
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
        words = f"Stopping container {record.name}"
        self.stop_container(record, words, self._grace_ns // _SECOND)

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
        if self.sandbox_id:
            sandbox_id, self.sandbox_id = self.sandbox_id, ""
            self.services.cri.call(cri.STOP_POD_SANDBOX, [sandbox_id], _ignore, _ignore)
            self.services.cri.call(cri.REMOVE_POD_SANDBOX, [sandbox_id], _ignore, _ignore)
        self.services.status_changed(self)

    # The report

    def status(self) -> dict[str, Any]:
        """The pod's status now."""
        own = {condition["type"] for condition in self.conditions}
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
        return status


def _ignore(outcome: object) -> None:
    """The outcome of a call that may be repeated and whose failure the next listing shows."""
    del outcome
