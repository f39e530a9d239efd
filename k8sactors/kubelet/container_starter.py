"""Starting one container: image, environment, create, start, probes.

Each step asks the runtime and the next follows its answer, unless the pod's end was asked for
meanwhile. What goes wrong becomes the waiting reason that users know: ErrImagePull and
ImagePullBackOff, ErrImageNeverPull, CreateContainerConfigError, CreateContainerError,
RunContainerError.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, Protocol

from k8sactors.kubelet import pod_spec
from k8sactors.kubelet.container_record import ContainerRecord, Stage
from k8sactors.kubelet.environment import container_environment
from k8sactors.kubelet.lifecycle_hooks import (
    POST_START,
    POST_START_TIMEOUT_NS,
    Hook,
    handler_of,
)
from k8sactors.kubelet.probes import Probe, ProbeKind
from k8sactors.kubelet.services import NodeServices, ReportedPod
from k8sactors.runtime import cri
from k8sactors.runtime.errors import CRIError
from k8sactors.runtime.images import default_pull_policy
from k8sactors.simulation import MILLISECOND, SECOND

_RETRY_NS = 10 * SECOND
_PULL_LIMIT_NS = 3600 * SECOND
_PULL_BACK_OFF = "ImagePullBackOff"


class ContainerOwner(ReportedPod, Protocol):
    """What the starter needs of the pod whose containers it starts."""

    @property
    def terminating(self) -> bool:
        """Whether the pod's end was asked for."""
        ...

    @property
    def sandbox_id(self) -> str:
        """The sandbox that the containers live in."""
        ...

    @property
    def ip(self) -> str:
        """The pod's address, which probes ask."""
        ...

    def sync(self) -> None:
        """Start what is missing now."""
        ...

    def stop_container(self, record: ContainerRecord, message: str, grace_seconds: int) -> None:
        """End a running container; the pod's policy decides what comes after."""
        ...


class ContainerStarter:
    """Brings the containers of one pod up.

    Args:
        worker: the pod.
        services: the kubelet.
    """

    def __init__(self, worker: ContainerOwner, services: NodeServices) -> None:
        self._worker = worker
        self._services = services
        self._probes: dict[str, list[Probe]] = {}
        # PostStart hooks that run, and when their containers were started.
        self._hooks: dict[str, Hook] = {}
        self._started_at_ns: dict[str, int] = {}

    def _event(self, kind: str, reason: str, message: str) -> None:
        self._services.record_event(self._worker.pod, kind, reason, message)

    def _given_up(self, record: ContainerRecord) -> bool:
        """Whether the pod is ending; if so the container is started no further."""
        if self._worker.terminating or self._worker.over:
            record.stage = Stage.WAITING
            self._worker.sync()
            return True
        return False

    def _wait(self, record: ContainerRecord, reason: str, message: str, retry_ns: int) -> None:
        record.stage = Stage.WAITING
        record.waiting_reason, record.waiting_message = reason, message
        record.retry_at_ns = self._services.clock.wall_ns() + retry_ns
        self._services.status_changed(self._worker)
        self._services.clock.after(retry_ns, self._worker.sync)

    # The image

    def pull(self, record: ContainerRecord) -> None:
        """Make the container's image local, as its pull policy says."""
        image = record.spec["image"]
        policy = record.spec.get("imagePullPolicy") or default_pull_policy(image)
        record.stage = Stage.PULLING
        if policy == "Always":
            self._pull(record)
            return
        known = self._services.local_images.get(image)
        if known is not None:
            self._present(record, known)
            return

        def looked(body: Any) -> None:
            if self._given_up(record):
                return
            if body is not None:
                self._services.local_images[image] = body[0]
                self._present(record, body[0])
            elif policy == "Never":
                message = f'Container image "{image}" is not present with pull policy of Never'
                self._event("Warning", "ErrImageNeverPull", message)
                self._wait(record, "ErrImageNeverPull", message, _RETRY_NS)
            else:
                self._pull(record)

        self._services.cri.call(
            cri.IMAGE_STATUS, [image], looked, lambda error: self._runtime_away(record, error)
        )

    def _present(self, record: ContainerRecord, image_id: str) -> None:
        image = record.spec["image"]
        record.image_id = image_id
        self._event("Normal", "Pulled", f'Container image "{image}" already present on machine')
        self._configure(record)

    def _pull(self, record: ContainerRecord) -> None:
        image = record.spec["image"]
        began_ns = self._services.clock.now_ns()
        self._event("Normal", "Pulling", f'Pulling image "{image}"')
        # A pull takes its time: the sandbox's address is worth a report of its own.
        self._services.status_changed(self._worker)

        def pulled(body: Any) -> None:
            if self._given_up(record):
                return
            record.image_id, size_bytes = body
            self._services.local_images[image] = record.image_id
            took = _duration(self._services.clock.now_ns() - began_ns)
            message = (
                f'Successfully pulled image "{image}" in {took} ({took} including waiting).'
                f" Image size: {size_bytes} bytes."
            )
            self._event("Normal", "Pulled", message)
            self._configure(record)

        def failed(error: CRIError) -> None:
            if self._given_up(record):
                return
            self._event("Warning", "Failed", f'Failed to pull image "{image}": {error}')
            self._event("Warning", "Failed", "Error: ErrImagePull")
            record.pulls.attempt(self._services.clock.wall_ns())
            self._wait(record, "ErrImagePull", str(error), record.pulls.delay_ns)
            self._services.clock.after(SECOND, lambda: self._back_off_pull(record, image))

        self._services.cri.call(cri.PULL_IMAGE, [image], pulled, failed, timeout_ns=_PULL_LIMIT_NS)

    def _back_off_pull(self, record: ContainerRecord, image: str) -> None:
        if record.waiting_reason != "ErrImagePull" or self._worker.terminating:
            return
        message = f'Back-off pulling image "{image}"'
        record.waiting_reason, record.waiting_message = _PULL_BACK_OFF, message
        self._event("Normal", "BackOff", message)
        self._event("Warning", "Failed", f"Error: {_PULL_BACK_OFF}")
        self._services.status_changed(self._worker)

    # The container

    def _configure(self, record: ContainerRecord) -> None:
        references = list(pod_spec.environment_references(record.spec))
        if not references:
            self._create(record)
            return

        def answered(problem: str) -> None:
            if self._given_up(record):
                return
            if problem:
                self._event("Warning", "Failed", f"Error: {problem}")
                self._wait(record, "CreateContainerConfigError", problem, _RETRY_NS)
            else:
                self._create(record)

        namespace = self._worker.pod["metadata"]["namespace"]
        self._services.require_objects(namespace, references, answered)

    def _create(self, record: ContainerRecord) -> None:
        record.stage = Stage.CREATING
        record.waiting_reason = record.waiting_message = ""
        config = self._config(record)

        def created(container_id: str) -> None:
            record.id = container_id
            self._event("Normal", "Created", f"Created container: {record.name}")
            if not self._given_up(record):
                record.stage = Stage.STARTING
                self._start(record)

        def failed(error: CRIError) -> None:
            self._failed(record, "CreateContainerError", error)

        self._services.cri.call(
            cri.CREATE_CONTAINER, [self._worker.sandbox_id, config.to_wire()], created, failed
        )

    def _config(self, record: ContainerRecord) -> cri.ContainerConfig:
        spec, pod = record.spec, self._worker.pod
        env: dict[str, str] = {}
        if spec.get("env") or spec.get("envFrom"):
            services = self._services
            env = container_environment(
                spec,
                pod,
                pod_ip=self._worker.ip,
                host_ip=services.host_ip,
                objects=partial(services.object_data, pod["metadata"]["namespace"]),
            )
        return pod_spec.container_config(spec, record.container_type, record.restart_count, env)

    def _start(self, record: ContainerRecord) -> None:
        def started(body: Any) -> None:
            status = cri.ContainerStatus.from_wire(body)
            self._event("Normal", "Started", f"Started container {record.name}")
            handler = handler_of(record, POST_START)
            if handler is None or self._worker.terminating:
                self._is_up(record, status.started_at_ns)
            else:
                self._post_start(record, handler, status.started_at_ns)

        def failed(error: CRIError) -> None:
            self._failed(record, "RunContainerError", error)

        self._services.cri.call(cri.START_CONTAINER, [record.id], started, failed)

    def _is_up(self, record: ContainerRecord, started_at_ns: int) -> None:
        self.running(record, started_at_ns)
        self._services.status_changed(self._worker)
        self._worker.sync()

    def _post_start(
        self, record: ContainerRecord, handler: Mapping[str, Any], started_at_ns: int
    ) -> None:
        """Run the hook; the container counts as started when it is done."""

        def done(problem: str) -> None:
            self._hooks.pop(record.name, None)
            if problem:
                # Without the reason: it may hold what the server has answered.
                self._event("Warning", "FailedPostStartHook", "PostStartHook failed")
            self._is_up(record, started_at_ns)
            if problem:
                grace_seconds = pod_spec.grace_period_seconds(self._worker.pod)
                self._worker.stop_container(record, "FailedPostStartHook", grace_seconds)

        hook = Hook(record, handler, self._worker.ip, self._services, POST_START_TIMEOUT_NS, done)
        self._hooks[record.name] = hook
        self._started_at_ns[record.name] = started_at_ns

    def abandon_hook(self, record: ContainerRecord) -> None:
        """The pod is to end: a container whose hook still runs counts as started."""
        hook = self._hooks.pop(record.name, None)
        if hook is not None:
            hook.cancel()
            self.running(record, self._started_at_ns[record.name])

    def _failed(self, record: ContainerRecord, reason: str, error: CRIError) -> None:
        if self._given_up(record):
            return
        if error.code == "Unavailable":
            self._runtime_away(record, error)
            return
        self._event("Warning", "Failed", f"Error: {error.message}")
        self._wait(record, reason, error.message, _RETRY_NS)

    def _runtime_away(self, record: ContainerRecord, error: CRIError) -> None:
        del error
        if not self._given_up(record):
            self._wait(record, "", "", SECOND)

    # The probes

    def running(self, record: ContainerRecord, started_at_ns: int) -> None:
        """The container runs: begin to ask it."""
        record.stage = Stage.RUNNING
        record.started_at_ns = started_at_ns
        record.stopping = False
        record.waiting_reason = record.waiting_message = ""
        record.started = "startupProbe" not in record.spec
        record.ready = "readinessProbe" not in record.spec
        self.stop_probes(record)
        if not record.started:
            self._probe(record, ProbeKind.STARTUP)
        else:
            self._probe_started(record)

    def _probe_started(self, record: ContainerRecord) -> None:
        if "readinessProbe" in record.spec:
            self._probe(record, ProbeKind.READINESS)
        if "livenessProbe" in record.spec:
            self._probe(record, ProbeKind.LIVENESS)

    def container_ended(self, record: ContainerRecord) -> None:
        """A container has ended: nothing is asked of it any more."""
        self.stop_probes(record)
        hook = self._hooks.pop(record.name, None)
        if hook is not None:
            hook.cancel()

    def stop_probes(self, record: ContainerRecord) -> None:
        """Ask a container no more."""
        for probe in self._probes.pop(record.name, ()):
            probe.stop()

    def _probe(self, record: ContainerRecord, kind: ProbeKind) -> None:
        def result(kind: ProbeKind, success: bool, message: str) -> None:
            del message
            self._probe_result(record, kind, success=success)

        def failure(kind: ProbeKind, message: str) -> None:
            self._event("Warning", "Unhealthy", f"{kind.value} probe failed: {message}")

        probe = Probe(kind, record, self._worker.ip, self._services, result, failure)
        self._probes.setdefault(record.name, []).append(probe)

    def _probe_result(self, record: ContainerRecord, kind: ProbeKind, *, success: bool) -> None:
        if record.stage is not Stage.RUNNING:
            return
        if kind is ProbeKind.READINESS:
            if record.ready is not success:
                record.ready = success
                self._services.status_changed(self._worker)
        elif not success:
            message = (
                f"Container {record.name} failed {kind.value.lower()} probe, will be restarted"
            )
            probe = record.spec[f"{kind.value.lower()}Probe"]
            grace_seconds = probe.get("terminationGracePeriodSeconds")
            if grace_seconds is None:
                grace_seconds = pod_spec.grace_period_seconds(self._worker.pod)
            self._worker.stop_container(record, message, int(grace_seconds))
        elif kind is ProbeKind.STARTUP and not record.started:
            self.stop_probes(record)
            record.started = True
            self._probe_started(record)
            self._services.status_changed(self._worker)
            self._worker.sync()


def _duration(span_ns: int) -> str:
    """A duration as Go prints it, to the millisecond."""
    milliseconds = span_ns // MILLISECOND
    return f"{milliseconds}ms" if span_ns < SECOND else f"{milliseconds / 1000:g}s"
