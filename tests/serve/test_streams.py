"""Logs, commands, forwarded ports and proxies of a served cluster, by kubectl and by hand."""

from __future__ import annotations

import http.client
import os
import pty
import select
import shutil
import socket
import subprocess
import sys
import time  # noqa: TID251 - a served cluster lives on real time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import attrs
import pytest
from wsproto import ConnectionType, WSConnection
from wsproto import events as ws

from tests.serve.test_serve import Api, serving

NEWEST = Path(sys.executable).parent / "kubectl"
TIMEOUT_S = 60.0
PODS = "/api/v1/namespaces/default/pods"
SPDY = {
    "KUBECTL_REMOTE_COMMAND_WEBSOCKETS": "false",
    "KUBECTL_PORT_FORWARD_WEBSOCKETS": "false",
}


@attrs.frozen
class Kubectl:
    program: str
    url: str
    env: dict[str, str]

    def command(self, *arguments: str) -> list[str]:
        return [self.program, "--server", self.url, *arguments]

    def __call__(self, *arguments: str, given: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*arguments),
            env=self.env,
            input=given,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )


def pod(name: str, image: str, **container: Any) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": {"containers": [{"name": name, "image": image, **container}]},
    }


@pytest.fixture(scope="module")
def api() -> Iterator[Api]:
    with serving() as served:
        web = pod("web", "nginx:1.27", ports=[{"containerPort": 80}])
        box = pod("box", "busybox", command=["sh", "-c", "echo one; echo two; sleep 1d"])
        service = {"metadata": {"name": "web"}, "spec": {"selector": {"app": "web"}}}
        service["spec"]["ports"] = [{"port": 8080, "targetPort": 80}]
        for body in (web, box):
            assert served.ask("POST", PODS, body).code == 201
        assert served.ask("POST", "/api/v1/namespaces/default/services", service).code == 201
        for name in ("web", "box"):
            served.until(f"{PODS}/{name}", lambda found: found["status"]["phase"] == "Running")
        yield served


CLIENTS = {
    "newest": (str(NEWEST), {}),
    "newest over SPDY": (str(NEWEST), SPDY),
    "installed": (shutil.which("kubectl") or "", {}),
}


@pytest.fixture(params=list(CLIENTS))
def kubectl(request: pytest.FixtureRequest, api: Api, tmp_path: Path) -> Kubectl:
    program, env = CLIENTS[request.param]
    if not program or not Path(program).exists():
        pytest.skip("there is no such kubectl")
    return Kubectl(program, api.url, {"HOME": str(tmp_path), "PATH": os.environ["PATH"], **env})


def test_exec_has_output_input_and_exit_code(kubectl: Kubectl) -> None:
    done = kubectl("exec", "box", "--", "sh", "-c", "echo out; echo err >&2; exit 3")
    assert (done.stdout, done.returncode) == ("out\n", 3)
    assert done.stderr == "err\ncommand terminated with exit code 3\n"
    big = "0123456789" * 50_000
    assert kubectl("exec", "-i", "box", "--", "cat", given=big).stdout == big


def test_exec_of_what_is_not_there_is_refused(kubectl: Kubectl) -> None:
    done = kubectl("exec", "box", "--", "nope")
    assert done.returncode == 1
    assert 'exec: "nope": executable file not found in $PATH' in done.stderr
    assert 'pods "none" not found' in kubectl("exec", "none", "--", "ls").stderr


def test_files_are_copied_both_ways(kubectl: Kubectl, tmp_path: Path) -> None:
    (tmp_path / "here").write_text("text\n" * 10_000)
    assert kubectl("cp", str(tmp_path / "here"), "box:/root/there").returncode == 0
    assert kubectl("cp", "box:/root/there", str(tmp_path / "back")).returncode == 0
    assert (tmp_path / "back").read_text() == "text\n" * 10_000


def test_logs_are_followed(kubectl: Kubectl) -> None:
    assert kubectl("logs", "box").stdout == "one\ntwo\n"
    assert kubectl("logs", "box", "--tail=1").stdout == "two\n"
    with subprocess.Popen(
        kubectl.command("logs", "-f", "box"), env=kubectl.env, stdout=subprocess.PIPE, text=True
    ) as following:
        assert following.stdout is not None
        assert [following.stdout.readline() for _ in range(2)] == ["one\n", "two\n"]
        following.terminate()
    missing = kubectl("logs", "box", "-c", "other")
    assert "container other is not valid for pod box" in missing.stderr


@contextmanager
def forwarding(kubectl: Kubectl, target: str, port: int) -> Iterator[tuple[int, Any]]:
    command = kubectl.command("port-forward", target, f":{port}")
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    with subprocess.Popen(command, env=kubectl.env, text=True, **streams) as process:  # type: ignore[call-overload] # the streams are given by name
        line = process.stdout.readline()
        assert line.startswith("Forwarding from 127.0.0.1:"), line
        yield int(line.split(":")[1].split()[0]), process
        process.terminate()


def test_ports_are_forwarded(kubectl: Kubectl) -> None:
    with forwarding(kubectl, "pod/web", 80) as (port, _):
        for _ in range(3):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_S)
            connection.request("GET", "/")
            assert b"Welcome to nginx!" in connection.getresponse().read()
            connection.close()


def test_a_forwarded_port_without_a_listener_is_told(kubectl: Kubectl) -> None:
    with forwarding(kubectl, "pod/web", 81) as (port, process):
        with socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT_S) as connection:
            connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
            with suppress(ConnectionResetError):
                assert connection.recv(100) == b""
        told = ""
        while "connection refused" not in told:
            line = process.stdout.readline()
            assert line, told
            told += line
        assert "error forwarding port 81 to pod" in told


def typed(command: list[str], env: dict[str, str], lines: list[bytes]) -> tuple[bytes, int]:
    """What a program shows on a terminal on which lines are typed, one after each prompt."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execve(command[0], command, env)  # noqa: S606 - a terminal is needed
    shown, left = b"", list(lines)
    deadline = time.monotonic() + TIMEOUT_S
    while time.monotonic() < deadline:
        if not select.select([terminal], [], [], 1)[0]:
            continue
        try:
            part = os.read(terminal, 4096)
        except OSError:
            break
        if not part:
            break
        shown += part
        if left and shown.endswith(b"# "):
            os.write(terminal, left.pop(0))
    return shown, os.waitpid(pid, 0)[1] >> 8


def test_a_shell_on_a_terminal(kubectl: Kubectl) -> None:
    command = kubectl.command("exec", "-it", "box", "--", "sh")
    lines = [b"echo hi there\r", b"tty\r", b"exit 5\r"]
    shown, code = typed(command, {**kubectl.env, "TERM": "xterm"}, lines)
    assert b"echo hi there\r\nhi there\r\n" in shown
    assert b"tty\r\n/dev/pts/0\r\n" in shown
    assert code == 5


def test_attach_to_a_shell(api: Api, kubectl: Kubectl) -> None:
    api.ask("DELETE", f"{PODS}/shell?gracePeriodSeconds=0")
    api.until(PODS, lambda found: all(p["metadata"]["name"] != "shell" for p in found["items"]))
    body = pod("shell", "busybox", stdin=True, stdinOnce=True)
    body["spec"]["restartPolicy"] = "Never"
    assert api.ask("POST", PODS, body).code == 201
    api.until(f"{PODS}/shell", lambda found: found["status"]["phase"] == "Running")
    done = kubectl("attach", "-i", "shell", given="echo hello\nexit 4\n")
    assert done.stdout == "hello\n"
    found = api.until(f"{PODS}/shell", lambda found: found["status"]["phase"] == "Failed")
    ended = found["status"]["containerStatuses"][0]["state"]["terminated"]
    assert ended["exitCode"] == 4


def test_proxies_answer_for_pods_services_and_nodes(api: Api) -> None:
    assert b"Welcome to nginx!" in api.ask("GET", f"{PODS}/web/proxy/").body
    assert b"Welcome to nginx!" in api.ask("GET", f"{PODS}/http:web:80/proxy/index.html").body
    assert api.ask("GET", f"{PODS}/web/proxy/none").code == 404
    assert api.ask("GET", f"{PODS}/web/proxy").code == 301
    services = "/api/v1/namespaces/default/services"
    assert b"Welcome to nginx!" in api.ask("GET", f"{services}/web:8080/proxy/").body
    refused = api.ask("GET", f"{PODS}/web:81/proxy/")
    assert refused.code == 503
    assert refused.body["message"].startswith("error trying to reach service: dial tcp 10.")
    assert refused.body["message"].endswith(":81: connect: connection refused")
    unknown = api.ask("GET", f"{services}/web:9/proxy/")
    assert (unknown.code, unknown.body["reason"]) == (503, "ServiceUnavailable")
    nodes = "/api/v1/nodes/worker-1/proxy"
    assert api.ask("GET", f"{nodes}/healthz").body == b"ok"
    assert {p["metadata"]["name"] for p in api.ask("GET", f"{nodes}/pods").body["items"]}
    assert api.ask("GET", f"{nodes}/containerLogs/default/box/box").body == b"one\ntwo\n"
    assert api.ask("GET", f"{nodes}/none").code == 404


REFUSED = [
    ("GET", f"{PODS}/box/exec?command=ls&stdout=1", 400, "Upgrade request required"),
    ("GET", f"{PODS}/box/log?tailLines=x", 400, "tailLines"),
    ("GET", f"{PODS}/box/log?sinceSeconds=0", 422, "must be greater than or equal to 1"),
    ("GET", f"{PODS}/box/log?previous=true", 400, 'previous terminated container "box"'),
    ("GET", f"{PODS}/none/log", 404, 'pods "none" not found'),
    ("PUT", f"{PODS}/box/log", 405, "the server does not allow this method"),
]


@pytest.mark.parametrize(("method", "path", "code", "text"), REFUSED, ids=str)
def test_what_cannot_be_streamed_is_refused(
    api: Api, method: str, path: str, code: int, text: str
) -> None:
    answer = api.ask(method, path)
    assert (answer.code, text in answer.body["message"]) == (code, True), answer


class Channels:
    """A WebSocket client of one command."""

    def __init__(self, api: Api, path: str, protocol: str, user: str = "") -> None:
        host, _, port = api.url.removeprefix("http://").partition(":")
        self.socket = socket.create_connection((host, int(port)), timeout=TIMEOUT_S)
        self.peer = WSConnection(ConnectionType.CLIENT)
        headers = [(b"impersonate-user", user.encode())] if user else []
        request = ws.Request(host=host, target=path, subprotocols=[protocol], extra_headers=headers)
        self.socket.sendall(self.peer.send(request))
        self.waiting: list[ws.Event] = []

    def event(self) -> ws.Event:
        while not self.waiting:
            self.peer.receive_data(self.socket.recv(65536) or None)
            self.waiting += list(self.peer.events())
        return self.waiting.pop(0)

    def message(self) -> bytes:
        event = self.event()
        assert isinstance(event, ws.BytesMessage), event
        return bytes(event.data)

    def send(self, data: bytes) -> None:
        self.socket.sendall(self.peer.send(ws.BytesMessage(data)))


def exec_path(*command: str, **options: str) -> str:
    query = "&".join([*(f"command={word}" for word in command), "stdout=1", "stderr=1"])
    return f"{PODS}/box/exec?{query}" + "".join(f"&{key}={text}" for key, text in options.items())


def test_the_fifth_protocol_closes_standard_input(api: Api) -> None:
    client = Channels(api, exec_path("cat", stdin="1"), "v5.channel.k8s.io")
    accepted = client.event()
    assert isinstance(accepted, ws.AcceptConnection)
    assert accepted.subprotocol == "v5.channel.k8s.io"
    assert client.message() == b"\x01"
    client.send(b"\x00hello")
    assert client.message() == b"\x01hello"
    client.send(b"\xff\x00")
    assert client.message() == b'\x03{"metadata": {}, "status": "Success"}'
    assert isinstance(client.event(), ws.CloseConnection)
    client.socket.close()


def test_a_client_that_goes_ends_its_command(api: Api) -> None:
    client = Channels(api, exec_path("tail", "-f", "/etc/hosts"), "v4.channel.k8s.io")
    assert isinstance(client.event(), ws.AcceptConnection)
    assert client.message() == b"\x01"
    assert b"localhost" in client.message()
    before = api.until("/api/v1/nodes/worker-1/proxy/metrics", bool)
    client.socket.close()
    assert b'kubelet_running_streams{node="worker-1"} 1' in before
    api.until(
        "/api/v1/nodes/worker-1/proxy/metrics",
        lambda text: b'kubelet_running_streams{node="worker-1"} 0' in text,
    )


def test_a_websocket_needs_the_right_to_create(api: Api) -> None:
    group = "/apis/rbac.authorization.k8s.io/v1/namespaces/default"
    role = {"metadata": {"name": "ann"}, "rules": []}
    rule = {"apiGroups": [""], "resources": ["pods/exec"], "verbs": ["get"]}
    assert api.ask("POST", f"{group}/roles", {**role, "rules": [rule]}).code == 201
    binding = {
        "metadata": {"name": "ann"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "ann"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "ann"}],
    }
    assert api.ask("POST", f"{group}/rolebindings", binding).code == 201
    path = exec_path("true")
    client = Channels(api, path, "v5.channel.k8s.io", "ann")
    refused = client.event()
    client.socket.close()
    assert isinstance(refused, ws.RejectConnection)
    assert refused.status_code == 403
    rule["verbs"] = ["get", "create"]
    assert api.ask("PUT", f"{group}/roles/ann", {**role, "rules": [rule]}).code == 200
    deadline = time.monotonic() + TIMEOUT_S
    while time.monotonic() < deadline:
        client = Channels(api, path, "v5.channel.k8s.io", "ann")
        answer = client.event()
        client.socket.close()
        if isinstance(answer, ws.AcceptConnection):
            return
    pytest.fail("the right to create is not enough")


def test_a_debugger_is_added_and_attached(api: Api, tmp_path: Path) -> None:
    if not NEWEST.exists():
        pytest.skip("there is no such kubectl")
    env = {"HOME": str(tmp_path), "PATH": os.environ["PATH"]}
    kubectl = Kubectl(str(NEWEST), api.url, env)
    command = kubectl.command("debug", "-it", "box", "--image=busybox", "-c=d", "--", "sh")
    with forwarded_input(command, env) as (process, terminal):
        shown = b""
        while not shown.endswith(b"# "):
            shown += os.read(terminal, 4096)
            if b"press" in shown and not shown.endswith(b"# "):
                os.write(terminal, b"\r")
                shown = shown.replace(b"press", b"")
        os.write(terminal, b"exit 3\r")
        assert process.wait(TIMEOUT_S) is not None
    found = api.until(
        f"{PODS}/box",
        lambda found: "terminated" in found["status"]["ephemeralContainerStatuses"][0]["state"],
    )
    ended = found["status"]["ephemeralContainerStatuses"][0]["state"]["terminated"]
    assert ended["exitCode"] == 3


@contextmanager
def forwarded_input(
    command: list[str], env: dict[str, str]
) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """A program on a terminal of its own."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(command, env=env, stdin=theirs, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        yield process, ours
        process.kill()
    os.close(ours)
