"""The set-up of a pod as a state machine: the way up, retries, and answers that come too late."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from k8sactors.kubelet import pod_spec
from k8sactors.kubelet.pod_setup import SetupStage
from k8sactors.kubelet.pod_worker import PodWorker
from k8sactors.runtime import cri
from k8sactors.runtime.errors import CRIError
from tests.kubelet.fakes import FakeNode, a_pod


class HeldVolumes:
    """A volume manager whose answers the test gives."""

    def __init__(self) -> None:
        self.waiting: list[Callable[[str], None]] = []

    def mount(self, pod: pod_spec.Pod, on_done: Callable[[str], None]) -> None:
        del pod
        self.waiting.append(on_done)


class HeldCRI:
    """A runtime whose answers the test gives."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.done: list[Callable[[Any], None]] = []
        self.failed: list[Callable[[CRIError], None]] = []

    def call(
        self,
        method: str,
        fields: list[Any],
        on_done: Callable[[Any], None],
        on_error: Callable[[CRIError], None],
        *,
        timeout_ns: int = 0,
    ) -> None:
        del fields, timeout_ns
        self.asked.append(method)
        self.done.append(on_done)
        self.failed.append(on_error)


def a_sandbox(name: str) -> cri.SandboxStatus:
    return cri.SandboxStatus(name, cri.SANDBOX_READY, "shop", "web", "uid-web", 3, "10.0.0.9", 0)


def test_the_stages_follow_each_other_and_containers_wait_for_the_last() -> None:
    node = FakeNode()
    volumes, runtime = HeldVolumes(), HeldCRI()
    node.volumes, node.network_ready = volumes, False
    worker = node.add(a_pod())
    worker.services.cri = runtime
    assert SetupStage.VOLUMES is worker.setup.stage
    volumes.waiting.pop()("")
    assert SetupStage.NETWORK is worker.setup.stage
    worker.sync()
    assert node.reasons() == ["NetworkNotReady"]
    node.network_ready = True
    worker.sync()
    assert SetupStage.SANDBOX is worker.setup.stage
    assert runtime.asked == [cri.RUN_POD_SANDBOX]
    runtime.done[0](["sandbox-1", "10.244.1.7"])
    assert worker.setup.ready
    assert (worker.sandbox_id, worker.ip) == ("sandbox-1", "10.244.1.7")
    assert runtime.asked == [cri.RUN_POD_SANDBOX, cri.IMAGE_STATUS]


def test_a_pod_that_ends_while_volumes_are_mounted_gets_no_sandbox() -> None:
    node = FakeNode()
    volumes, runtime = HeldVolumes(), HeldCRI()
    node.volumes = volumes
    worker = node.add(a_pod())
    worker.services.cri = runtime
    worker.terminate(1)
    volumes.waiting.pop()("")
    assert runtime.asked == []
    assert worker.over


def test_a_failed_call_for_a_sandbox_does_not_undo_an_adopted_one() -> None:
    node = FakeNode()
    runtime = HeldCRI()
    worker = PodWorker(a_pod(), node)
    worker.services.cri = runtime
    worker.sync()
    assert worker.setup.making_sandbox
    worker.adopt(a_sandbox("sandbox-3"), [])
    runtime.failed[0](CRIError("Unavailable", "connection is down"))
    assert worker.setup.ready
    assert worker.sandbox_id == "sandbox-3"
    assert node.reasons() == []


def test_a_lost_sandbox_begins_again_under_the_next_attempt() -> None:
    node = FakeNode()
    worker = node.add(a_pod())
    node.clock.advance(5)
    first = worker.sandbox_id
    assert worker.setup.ready
    worker.lost_sandbox()
    assert (worker.setup.stage, worker.ip, worker.setup.attempt) == (SetupStage.NEW, "", 1)
    worker.sync()
    node.clock.advance(5)
    assert worker.setup.ready
    assert worker.sandbox_id not in {"", first}


def test_a_retry_that_is_due_after_the_sandbox_was_adopted_makes_no_second_one() -> None:
    node = FakeNode()
    volumes, runtime = HeldVolumes(), HeldCRI()
    node.volumes = volumes
    worker = node.add(a_pod())
    worker.services.cri = runtime
    volumes.waiting.pop()("no such secret")
    worker.adopt(a_sandbox("sandbox-1"), [])
    node.clock.advance(60)
    assert volumes.waiting == []
    assert cri.RUN_POD_SANDBOX not in runtime.asked
