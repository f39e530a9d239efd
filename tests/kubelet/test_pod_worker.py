from __future__ import annotations

import itertools
from typing import Any

import pytest

from k8sactors.kubelet.pod_worker import PodWorker
from tests.kubelet.fakes import FakeNode, a_container, a_pod


def condition(worker: PodWorker, kind: str) -> str:
    return next(c["status"] for c in worker.status()["conditions"] if c["type"] == kind)


def container(worker: PodWorker, name: str = "app") -> dict[str, Any]:
    status = worker.status()
    entries = [*status.get("initContainerStatuses", ()), *status["containerStatuses"]]
    return next(entry for entry in entries if entry["name"] == name)


def deleted(pod: dict[str, Any], grace_seconds: int = 30) -> dict[str, Any]:
    metadata = {
        **pod["metadata"],
        "deletionTimestamp": "2025-01-01T00:00:00Z",
        "deletionGracePeriodSeconds": grace_seconds,
    }
    return {**pod, "metadata": metadata}


def test_a_pod_comes_up_with_an_address_of_the_nodes_range() -> None:
    node = FakeNode()
    worker = node.add(a_pod())
    node.clock.advance(3)
    status = worker.status()
    assert (
        status["phase"],
        status["podIP"],
        status["hostIP"],
    ) == ("Running", "10.244.1.2", "192.168.0.1")
    assert condition(worker, "Ready") == "True"
    assert container(worker)["ready"]
    assert node.reasons() == ["Pulling", "Pulled", "Created", "Started"]
    assert node.phases == ["Pending", "Running"]


def test_the_second_pod_finds_the_image_present() -> None:
    node = FakeNode()
    node.add(a_pod())
    node.clock.advance(3)
    node.events.clear()
    node.add(a_pod(name="other"))
    node.clock.advance(3)
    assert node.reasons() == ["Pulled", "Created", "Started"]
    assert node.events[0][2].endswith("already present on machine")


def test_init_containers_run_one_after_the_other_before_the_app() -> None:
    node = FakeNode()
    inits = [
        {"name": name, "image": "busybox:1", "command": ["sh", "-c", "sleep 2"]}
        for name in ("one", "two")
    ]
    worker = node.add(a_pod(initContainers=inits))
    node.clock.advance(2)
    assert "running" in container(worker, "one")["state"]
    assert container(worker)["state"]["waiting"] == {"reason": "PodInitializing"}
    assert condition(worker, "Initialized") == "False"
    node.clock.advance(1.5)
    assert container(worker, "one")["state"]["terminated"]["reason"] == "Completed"
    assert "running" in container(worker, "two")["state"]
    node.clock.advance(6)
    assert condition(worker, "Ready") == "True"


def test_a_sidecar_starts_first_and_ends_after_the_app() -> None:
    node = FakeNode()
    sidecar = a_container("proxy", "shop/proxy:1", restartPolicy="Always")
    job = {"name": "app", "image": "busybox:1", "command": ["sleep", "3"]}
    worker = node.add(a_pod(job, initContainers=[sidecar], restartPolicy="Never"))
    node.clock.advance(3)
    assert "running" in container(worker, "proxy")["state"]
    assert worker.status()["phase"] == "Running"
    node.clock.advance(4)
    assert worker.status()["phase"] == "Succeeded"
    assert "terminated" in container(worker, "proxy")["state"]


@pytest.mark.covers("ND-08", "ND-09")
@pytest.mark.parametrize(
    ("policy", "exit_code", "phase", "restarts"),
    [
        ("Never", 0, "Succeeded", False),
        ("Never", 3, "Failed", False),
        ("OnFailure", 0, "Succeeded", False),
        ("OnFailure", 3, "Running", True),
        ("Always", 0, "Running", True),
    ],
)
def test_the_restart_policy_decides_what_follows_an_exit(
    policy: str, exit_code: int, phase: str, *, restarts: bool
) -> None:
    node = FakeNode()
    annotations = {"sim/run-seconds": "1", "sim/exit-code": str(exit_code)}
    worker = node.add(a_pod(restartPolicy=policy, annotations=annotations))
    node.clock.advance(60)
    assert phase == worker.status()["phase"]
    assert restarts is (container(worker)["restartCount"] > 0)


def test_crash_loop_waits_ten_seconds_then_doubles_up_to_five_minutes() -> None:
    node = FakeNode()
    worker = node.add(a_pod(a_container(image="sim/crasher:1")))
    starts: list[float] = []
    for _ in range(20_000):
        before = node.reasons().count("Started")
        node.clock.advance(0.1)
        if node.reasons().count("Started") > before:
            starts.append(node.clock.time_ns / 1e9)
    gaps = [round(b - a) for a, b in itertools.pairwise(starts)]
    assert pytest.approx(gaps[:8], abs=1) == [1, 11, 21, 41, 81, 161, 301, 301]
    assert container(worker)["state"]["waiting"]["reason"] == "CrashLoopBackOff"
    assert container(worker)["lastState"]["terminated"]["exitCode"] == 1
    assert "back-off 5m0s" in container(worker)["state"]["waiting"]["message"]


@pytest.mark.covers("ND-35", "NW-09")
def test_a_restarted_container_keeps_the_pods_address() -> None:
    node = FakeNode()
    worker = node.add(a_pod())
    node.clock.advance(3)
    ip = worker.ip
    assert node.engine.inject("shop", "web", None, "kill", 0) == 1
    node.clock.advance(1)
    assert (ip, 1) == (worker.ip, container(worker)["restartCount"])
    assert container(worker)["lastState"]["terminated"]["exitCode"] == 137


@pytest.mark.covers("ND-12", "RT-13")
def test_an_image_no_registry_has_backs_off() -> None:
    node = FakeNode()
    worker = node.add(a_pod(a_container(image="missing/app:1")))
    node.clock.advance(1)
    assert container(worker)["state"]["waiting"]["reason"] == "ErrImagePull"
    node.clock.advance(2)
    assert container(worker)["state"]["waiting"]["reason"] == "ImagePullBackOff"
    node.clock.advance(120)
    assert node.reasons().count("Pulling") == 4


def test_readiness_follows_the_probe() -> None:
    node = FakeNode()
    probe = {"httpGet": {"path": "/healthz", "port": 8080}, "initialDelaySeconds": 10}
    worker = node.add(a_pod(a_container(readinessProbe=probe)))
    node.clock.advance(8)
    assert condition(worker, "Ready") == "False"
    node.clock.advance(5)
    assert condition(worker, "Ready") == "True"
    node.engine.inject("shop", "web", None, "hang", 0)
    node.clock.advance(31)
    assert condition(worker, "Ready") == "False"
    assert "Client.Timeout exceeded" in node.events[-1][2]


def test_a_failed_liveness_probe_restarts_the_container() -> None:
    node = FakeNode()
    probe = {"tcpSocket": {"port": 8080}, "periodSeconds": 1}
    worker = node.add(a_pod(a_container(livenessProbe=probe), terminationGracePeriodSeconds=2))
    node.clock.advance(3)
    node.engine.inject("shop", "web", None, "hang", 0)
    node.clock.advance(8)
    assert container(worker)["restartCount"] == 1
    assert "Killing" in node.reasons()
    assert condition(worker, "Ready") == "True"


def test_a_startup_probe_holds_back_the_others() -> None:
    node = FakeNode()
    spec = a_container(
        image="mysql:8",
        ports=[{"containerPort": 3306}],
        startupProbe={"grpc": {"port": 3306}, "periodSeconds": 1, "failureThreshold": 30},
        readinessProbe={"exec": {"command": ["true"]}, "periodSeconds": 1},
    )
    worker = node.add(a_pod(spec))
    node.clock.advance(5)
    assert (container(worker)["started"], container(worker)["ready"]) == (False, False)
    node.clock.advance(10)
    assert (container(worker)["started"], container(worker)["ready"]) == (True, True)


def test_deletion_ends_containers_frees_the_address_and_reports() -> None:
    node = FakeNode()
    pod = a_pod()
    worker = node.add(pod)
    node.clock.advance(3)
    worker.update(deleted(pod))
    node.clock.advance(1)
    assert node.ended == ["shop/web"]
    assert worker.over
    assert node.engine.sandboxes == {}
    assert worker.status()["phase"] == "Succeeded"


@pytest.mark.covers("RT-14")
def test_who_ignores_sigterm_is_killed_after_the_grace_period() -> None:
    node = FakeNode()
    pod = a_pod({"name": "app", "image": "busybox:1", "command": ["sleep", "9999"]})
    worker = node.add(pod)
    node.clock.advance(3)
    worker.update(deleted(pod, 5))
    node.clock.advance(4)
    assert node.ended == []
    node.clock.advance(2)
    assert node.ended == ["shop/web"]
    assert container(worker)["state"]["terminated"]["exitCode"] == 137
    assert worker.status()["phase"] == "Failed"


@pytest.mark.parametrize("after_seconds", [0, 0.05, 0.2, 0.6, 1.2])
def test_deletion_while_starting_leaves_nothing_behind(after_seconds: float) -> None:
    node = FakeNode()
    pod = a_pod()
    worker = node.add(pod)
    node.clock.advance(after_seconds)
    worker.update(deleted(pod))
    node.clock.advance(60)
    assert worker.over
    assert node.ended == ["shop/web"]
    assert (node.engine.sandboxes, node.engine.containers) == ({}, {})


def test_a_missing_config_map_holds_the_pod_until_it_exists() -> None:
    node = FakeNode()
    volumes = [{"name": "conf", "configMap": {"name": "settings"}}]
    worker = node.add(a_pod(volumes=volumes))
    node.clock.advance(2)
    assert container(worker)["state"]["waiting"] == {"reason": "ContainerCreating"}
    assert 'volume "conf" : configmap "settings" not found' in node.events[0][2]
    node.objects["configmaps", "shop", "settings"] = True
    node.clock.advance(10)
    assert worker.status()["phase"] == "Running"


@pytest.mark.covers("ND-17")
def test_a_missing_environment_source_is_a_config_error() -> None:
    node = FakeNode()
    worker = node.add(a_pod(a_container(envFrom=[{"secretRef": {"name": "token"}}])))
    node.clock.advance(3)
    waiting = container(worker)["state"]["waiting"]
    assert waiting["reason"] == "CreateContainerConfigError"
    assert waiting["message"] == 'secret "token" not found'
    node.objects["secrets", "shop", "token"] = True
    node.clock.advance(15)
    assert worker.status()["phase"] == "Running"


def test_pods_wait_for_the_nodes_network_unless_they_use_the_hosts() -> None:
    node = FakeNode()
    node.network_ready = False
    worker = node.add(a_pod())
    on_host = node.add(a_pod(name="agent", hostNetwork=True))
    node.clock.advance(5)
    assert (worker.status()["phase"], on_host.status()["phase"]) == ("Pending", "Running")
    assert on_host.status()["podIP"] == "192.168.0.1"
    assert "NetworkNotReady" in node.reasons()
    node.network_ready = True
    worker.sync()
    node.clock.advance(5)
    assert worker.status()["phase"] == "Running"


def test_a_restarted_worker_adopts_what_still_runs() -> None:
    node = FakeNode()
    pod = a_pod()
    node.add(pod)
    node.clock.advance(3)
    sandbox = next(iter(node.engine.sandboxes.values()))
    second = PodWorker(pod, node)
    second.adopt(sandbox.status(), [c.status() for c in sandbox.containers.values()])
    calls = len(node.cri.calls)
    second.sync()
    node.clock.advance(5)
    assert second.status()["phase"] == "Running"
    assert calls == len(node.cri.calls)


def test_a_lost_sandbox_is_made_again_and_counts_as_a_restart() -> None:
    node = FakeNode()
    worker = node.add(a_pod())
    node.clock.advance(3)
    node.engine.remove_sandbox(worker.sandbox_id)
    worker.lost_sandbox()
    worker.sync()
    node.clock.advance(3)
    assert worker.status()["phase"] == "Running"
    assert container(worker)["restartCount"] == 1


def test_readiness_annotation_and_gates_are_honoured() -> None:
    node = FakeNode()
    pod = a_pod(annotations={"sim/ready": "false"}, readinessGates=[{"conditionType": "lb"}])
    worker = node.add(pod)
    node.clock.advance(3)
    assert condition(worker, "ContainersReady") == "False"
    metadata = {**pod["metadata"], "annotations": {}}
    worker.update({**pod, "metadata": metadata})
    assert (condition(worker, "ContainersReady"), condition(worker, "Ready")) == ("True", "False")
    gate = {"type": "lb", "status": "True"}
    worker.update({**pod, "metadata": metadata, "status": {"conditions": [gate]}})
    assert condition(worker, "Ready") == "True"


def test_start_after_delays_and_never_holds() -> None:
    node = FakeNode()
    late = node.add(a_pod(annotations={"sim/start-after": "5"}))
    never = node.add(a_pod(name="never", annotations={"sim/start-after": "never"}))
    node.clock.advance(4)
    assert late.status()["phase"] == "Pending"
    node.clock.advance(4)
    assert (late.status()["phase"], never.status()["phase"]) == ("Running", "Pending")


def test_a_pod_past_its_deadline_fails() -> None:
    node = FakeNode()
    worker = node.add(a_pod(activeDeadlineSeconds=20))
    node.clock.advance(25)
    status = worker.status()
    assert (status["phase"], status["reason"]) == ("Failed", "DeadlineExceeded")
