"""How containers end: their messages, and the rules that let them run again."""

from __future__ import annotations

from typing import Any

import pytest

from k8sactors.kubelet.admission import Admission
from tests.kubelet.fakes import FakeNode, a_pod
from tests.kubelet.test_pod_worker import container

PATH = "/dev/termination-log"


def ended(script: str, policy: str = "File") -> dict[str, Any]:
    node = FakeNode()
    app = {"name": "app", "image": "busybox:1", "command": ["sh", "-c", script]}
    app |= {"terminationMessagePath": PATH, "terminationMessagePolicy": policy}
    worker = node.add(a_pod(app, restartPolicy="Never"))
    node.clock.advance(40)
    found: dict[str, Any] = container(worker)["state"]["terminated"]
    return found


@pytest.mark.parametrize(
    ("script", "policy", "message"),
    [
        (f"echo bye > {PATH}; exit 0", "File", "bye\n"),
        (f"echo bye > {PATH}; echo log; exit 3", "FallbackToLogsOnError", "bye\n"),
        ("echo one; echo two; exit 3", "FallbackToLogsOnError", "one\ntwo\n"),
        ("echo one; exit 0", "FallbackToLogsOnError", None),
        ("echo one; exit 3", "File", None),
    ],
)
def test_the_message_comes_from_the_file_or_from_the_log_of_a_failure(
    script: str, policy: str, message: str | None
) -> None:
    assert ended(script, policy).get("message") == message


def test_messages_are_short() -> None:
    lines = "seq 2000"
    assert len(ended(f"{lines} > {PATH}; sleep 30; exit 1")["message"]) == 4096
    from_log = ended(f"{lines}; sleep 30; exit 1", "FallbackToLogsOnError")["message"]
    assert from_log.splitlines()[-1] == "2000"
    assert len(from_log.splitlines()) == 80


@pytest.mark.parametrize(
    ("own", "exit_code", "restarts"),
    [
        ({"restartPolicy": "Always"}, 0, True),
        ({"restartPolicy": "OnFailure"}, 0, False),
        ({"restartPolicy": "OnFailure"}, 1, True),
        ({"restartPolicy": "Never", "rules": ("In", [42])}, 42, True),
        ({"restartPolicy": "Never", "rules": ("In", [42])}, 41, False),
        ({"restartPolicy": "Never", "rules": ("NotIn", [42])}, 41, True),
        ({}, 1, False),
    ],
)
def test_a_container_has_a_restart_policy_and_rules_of_its_own(
    own: dict[str, Any], exit_code: int, restarts: bool
) -> None:
    """KEP-5307; the pod's own policy is Never."""
    node = FakeNode()
    app = {"name": "app", "image": "busybox:1", "command": ["sh", "-c", f"exit {exit_code}"]}
    if "restartPolicy" in own:
        app["restartPolicy"] = own["restartPolicy"]
    if "rules" in own:
        operator, values = own["rules"]
        codes = {"operator": operator, "values": values}
        app["restartPolicyRules"] = [{"action": "Restart", "exitCodes": codes}]
    worker = node.add(a_pod(app, restartPolicy="Never"))
    node.clock.advance(30)
    assert (container(worker)["restartCount"] > 0) is restarts
    done = "Failed" if exit_code else "Succeeded"
    assert worker.status()["phase"] == ("Running" if restarts else done)


def port_of_the_host(number: int, address: str = "", **spec: Any) -> dict[str, Any]:
    port = {"containerPort": 80, "hostPort": number}
    if address:
        port["hostIP"] = address
    return a_pod({"name": "app", "image": "shop/web:1", "ports": [port]}, **spec)


def test_the_node_gives_a_port_to_one_pod() -> None:
    admission = Admission({"cpu": "4", "memory": "8Gi", "pods": "10"}, {})
    admission.add("first", port_of_the_host(80, "10.0.0.1"))
    text = "node(s) didn't have free ports for the requested pod ports"
    message = f"Pod was rejected: Predicate NodePorts failed: {text}"
    assert admission.refusal(port_of_the_host(80)) == ("NodePorts", message)
    assert admission.refusal(port_of_the_host(80, "10.0.0.2")) is None
    assert admission.refusal(port_of_the_host(81)) is None
    admission.remove("first")
    assert admission.refusal(port_of_the_host(80)) is None
