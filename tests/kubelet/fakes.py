"""A node without a kubelet: virtual time, a container engine, and what a pod worker asks for."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from k8sactors.kubelet.pod_worker import PodWorker
from k8sactors.kubelet.services import ReportedPod
from k8sactors.kubelet.volumes import ObjectVolumes, VolumeManager
from k8sactors.network import netns
from k8sactors.network.cni import BridgePlugin
from k8sactors.runtime import cri
from k8sactors.runtime.engine import Engine, RuntimeSettings
from k8sactors.runtime.errors import CRIError
from k8sactors.runtime.sandboxes import Container
from k8sactors.simulation import SECOND

EPOCH_NS = 1_735_689_600 * SECOND


class FakeTimer:
    def __init__(self) -> None:
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


class FakeClock:
    def __init__(self) -> None:
        self.time_ns = 0
        self._queue: list[tuple[int, int, FakeTimer, Callable[[], None]]] = []
        self._serial = 0

    def now_ns(self) -> int:
        return self.time_ns

    def wall_ns(self) -> int:
        return EPOCH_NS + self.time_ns

    def after(self, delay_ns: int, callback: Callable[[], None]) -> FakeTimer:
        timer = FakeTimer()
        self._serial += 1
        heapq.heappush(self._queue, (self.time_ns + delay_ns, self._serial, timer, callback))
        return timer

    def advance(self, seconds: float) -> None:
        until_ns = self.time_ns + int(seconds * SECOND)
        while self._queue and self._queue[0][0] <= until_ns:
            self.time_ns, _, timer, callback = heapq.heappop(self._queue)
            if not timer.cancelled:
                callback()
        self.time_ns = until_ns


class EngineCRI:
    """The CRI straight into an engine; a call's answer comes in a later turn."""

    def __init__(self, engine: Engine, clock: FakeClock) -> None:
        self.engine = engine
        self.clock = clock
        self.calls: list[str] = []

    def call(
        self,
        method: str,
        fields: list[Any],
        on_done: Callable[[Any], None],
        on_error: Callable[[CRIError], None],
        *,
        timeout_ns: int = 0,
    ) -> None:
        del timeout_ns
        self.calls.append(method.removeprefix("cri."))

        def respond(code: str, body: Any) -> None:
            self.clock.after(0, lambda: on_error(CRIError(code, body)) if code else on_done(body))

        engine = self.engine
        match method:
            case cri.IMAGE_STATUS:
                respond("", engine.image_status(fields[0]))
            case cri.PULL_IMAGE:
                engine.pull_image(fields[0], respond)
            case cri.RUN_POD_SANDBOX:
                engine.run_sandbox(cri.SandboxConfig.from_wire(fields), respond)
            case cri.STOP_POD_SANDBOX:
                engine.stop_sandbox(fields[0])
                respond("", None)
            case cri.REMOVE_POD_SANDBOX:
                engine.remove_sandbox(fields[0])
                respond("", None)
            case cri.CREATE_CONTAINER:
                config = cri.ContainerConfig.from_wire(fields[1])
                engine.create_container(fields[0], config, respond)
            case cri.START_CONTAINER:
                engine.start_container(fields[0], respond)
            case cri.STOP_CONTAINER:
                engine.stop_container(fields[0], fields[1], respond)
            case cri.REMOVE_CONTAINER:
                engine.remove_container(fields[0])
                respond("", None)
            case cri.EXEC_SYNC:
                engine.exec_sync(fields[0], fields[1], fields[2], respond)
            case netns.NETNS_CONNECT:
                engine.connect(fields[0], fields[1], respond)
            case _:
                raise AssertionError(method)


class FakeNode:
    """NodeServices for tests: records events, statuses and ends."""

    def __init__(self, settings: RuntimeSettings | None = None) -> None:
        self.clock = FakeClock()
        self.engine = Engine(
            "node-1", "192.168.0.1", self.clock, {}, settings or RuntimeSettings(), self._exited
        )
        self.engine.network = BridgePlugin("10.244.1.0/24")
        self.cri = EngineCRI(self.engine, self.clock)
        self.host_ip = "192.168.0.1"
        self.network_ready = True
        self.resize_refusals: dict[str, tuple[str, str]] = {}
        self.data: dict[tuple[str, str, str], dict[str, str]] = {}
        self.volumes: VolumeManager = ObjectVolumes(self.require_objects)
        self.local_images: dict[str, str] = {}
        self.objects: dict[tuple[str, str, str], bool] = {}
        self.events: list[tuple[str, str, str]] = []
        self.ended: list[str] = []
        self.phases: list[str] = []
        self.workers: list[PodWorker] = []

    def add(self, pod: dict[str, Any]) -> PodWorker:
        worker = PodWorker(pod, self)
        self.workers.append(worker)
        worker.sync()
        return worker

    def reasons(self) -> list[str]:
        return [reason for _, reason, _ in self.events]

    def _exited(self, container: Container) -> None:
        status = container.status()

        def tell() -> None:
            for worker in self.workers:
                worker.container_exited(status)

        self.clock.after(0, tell)

    def record_event(self, pod: Mapping[str, Any], kind: str, reason: str, message: str) -> None:
        del pod
        self.events.append((kind, reason, message))

    def object_data(self, namespace: str, resource: str, name: str) -> Mapping[str, str]:
        return self.data.get((resource, namespace, name), {})

    def resize(self, worker: ReportedPod) -> tuple[str, str] | None:
        return self.resize_refusals.get(worker.uid)

    def require_objects(
        self,
        namespace: str,
        references: Iterable[tuple[str, str]],
        on_done: Callable[[str], None],
    ) -> None:
        problem = ""
        for resource, name in references:
            if (resource, namespace, name) not in self.objects:
                problem = f'{resource.removesuffix("s")} "{name}" not found'
                break
        self.clock.after(0, lambda: on_done(problem))

    def status_changed(self, worker: ReportedPod) -> None:
        phase = worker.status()["phase"]
        if not self.phases or self.phases[-1] != phase:
            self.phases.append(phase)

    def worker_ended(self, worker: ReportedPod) -> None:
        metadata = worker.pod["metadata"]
        self.ended.append(f"{metadata['namespace']}/{metadata['name']}")


def a_pod(*containers: dict[str, Any], name: str = "web", **spec: Any) -> dict[str, Any]:
    annotations = spec.pop("annotations", {})
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": "shop",
            "uid": f"uid-{name}",
            "annotations": annotations,
        },
        "spec": {
            "nodeName": "node-1",
            "containers": list(containers) or [a_container()],
            **spec,
        },
    }


def a_container(name: str = "app", image: str = "shop/web:1", **more: Any) -> dict[str, Any]:
    return {"name": name, "image": image, "ports": [{"containerPort": 8080}], **more}
