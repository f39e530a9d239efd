"""Hooks after the start and before the stop of containers, as users see them."""

from __future__ import annotations

from typing import Any

from k8sactors.kubelet.pod_worker import PodWorker
from tests.kubelet.fakes import FakeNode, a_container, a_pod
from tests.kubelet.test_pod_worker import container, deleted

SLEEP_3: dict[str, Any] = {"exec": {"command": ["sh", "-c", "sleep 3"]}}
FAIL: dict[str, Any] = {"exec": {"command": ["sh", "-c", "echo secret; exit 4"]}}


def running(node: FakeNode, grace_seconds: int = 30, **lifecycle: Any) -> PodWorker:
    app = a_container(lifecycle=lifecycle)
    worker = node.add(a_pod(app, terminationGracePeriodSeconds=grace_seconds))
    node.clock.advance(2)
    return worker


def test_a_container_runs_when_its_post_start_hook_is_done() -> None:
    node = FakeNode()
    worker = running(node, postStart=SLEEP_3)
    assert container(worker)["state"] == {"waiting": {"reason": "ContainerCreating"}}
    node.clock.advance(3)
    assert "running" in container(worker)["state"]


def test_a_failing_post_start_hook_ends_the_container_and_tells_nothing_of_its_output() -> None:
    node = FakeNode()
    worker = running(node, postStart=FAIL)
    assert ("Warning", "FailedPostStartHook", "PostStartHook failed") in node.events
    assert ("Normal", "Killing", "FailedPostStartHook") in node.events
    assert not any("secret" in message for _, _, message in node.events)
    node.clock.advance(60)
    assert container(worker)["restartCount"] >= 1


def test_a_pod_that_is_deleted_during_its_post_start_hook_does_not_wait_for_it() -> None:
    node = FakeNode()
    worker = running(node, postStart={"sleep": {"seconds": 600}})
    worker.update(deleted(worker.pod, 5))
    node.clock.advance(6)
    assert node.ended == ["shop/web"]


def test_a_pre_stop_hook_runs_before_the_container_is_asked_to_end() -> None:
    node = FakeNode()
    worker = running(node, preStop=SLEEP_3)
    worker.update(deleted(worker.pod))
    node.clock.advance(2.5)
    assert "StopContainer" not in node.cri.calls
    assert "running" in container(worker)["state"]
    node.clock.advance(1)
    assert node.ended == ["shop/web"]
    assert "FailedPreStopHook" not in node.reasons()


def test_a_pre_stop_hook_may_sleep() -> None:
    node = FakeNode()
    worker = running(node, preStop={"sleep": {"seconds": 10}})
    worker.update(deleted(worker.pod))
    node.clock.advance(9.5)
    assert node.ended == []
    node.clock.advance(1)
    assert node.ended == ["shop/web"]


def test_a_hook_that_is_too_slow_leaves_two_seconds_for_the_program() -> None:
    node = FakeNode()
    stubborn = {"name": "app", "image": "busybox:1", "command": ["sh", "-c", "sleep 1000"]}
    stubborn["lifecycle"] = {"preStop": {"sleep": {"seconds": 60}}}
    worker = node.add(a_pod(stubborn, terminationGracePeriodSeconds=4))
    node.clock.advance(2)
    worker.update(deleted(worker.pod, 4))
    node.clock.advance(5.5)
    assert node.ended == []
    node.clock.advance(1)
    assert node.ended == ["shop/web"]
    assert container(worker)["state"]["terminated"]["exitCode"] == 137


def test_a_failed_pre_stop_hook_is_reported_and_the_container_stops_all_the_same() -> None:
    node = FakeNode()
    worker = running(node, preStop={"httpGet": {"port": 9999}})
    worker.update(deleted(worker.pod))
    node.clock.advance(2)
    assert ("Warning", "FailedPreStopHook", "PreStopHook failed") in node.events
    assert node.ended == ["shop/web"]


def test_no_pre_stop_hook_runs_for_a_container_that_ends_by_itself() -> None:
    node = FakeNode()
    job = {"name": "app", "image": "busybox:1", "command": ["sleep", "1"]}
    job["lifecycle"] = {"preStop": FAIL}
    worker = node.add(a_pod(job, restartPolicy="Never"))
    node.clock.advance(5)
    assert worker.status()["phase"] == "Succeeded"
    assert "FailedPreStopHook" not in node.reasons()


def test_a_shorter_grace_period_cuts_a_hook_short() -> None:
    node = FakeNode()
    worker = running(node, preStop={"sleep": {"seconds": 100}})
    worker.update(deleted(worker.pod, 30))
    node.clock.advance(5)
    worker.update(deleted(worker.pod, 1))
    node.clock.advance(2.5)
    assert node.ended == ["shop/web"]


def test_a_probe_runs_its_command_on_the_containers_files() -> None:
    """The liveness example of the documentation: the file goes after 30 seconds."""
    node = FakeNode()
    script = "touch /healthy; sleep 30; rm -f /healthy; sleep 600"
    app = {"name": "app", "image": "busybox:1", "command": ["sh", "-c", script]}
    app["livenessProbe"] = {"exec": {"command": ["cat", "/healthy"]}, "periodSeconds": 5}
    worker = node.add(a_pod(app, terminationGracePeriodSeconds=1))
    node.clock.advance(30)
    assert "Unhealthy" not in node.reasons()
    node.clock.advance(25)
    failure = "Liveness probe failed: cat: /healthy: No such file or directory"
    assert any(message.startswith(failure) for _, _, message in node.events), node.events
    assert container(worker)["restartCount"] == 1


def test_a_probe_may_give_less_grace_than_the_pod() -> None:
    node = FakeNode()
    app = {"name": "app", "image": "busybox:1", "command": ["sh", "-c", "sleep 1000"]}
    app["livenessProbe"] = {
        "exec": {"command": ["false"]},
        "periodSeconds": 1,
        "failureThreshold": 1,
        "terminationGracePeriodSeconds": 3,
    }
    worker = node.add(a_pod(app, terminationGracePeriodSeconds=300))
    node.clock.advance(8)
    assert container(worker)["restartCount"] == 1
