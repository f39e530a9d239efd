"""Three processes, one member each: what a real deployment of the store looks like."""

from __future__ import annotations

import base64
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest
from click.testing import CliRunner

from raftstore.cli import main
from tests.gateway.served import Served, launch, post, wait_ready

ETCDCTL = shutil.which("etcdctl")
NAMES = ("a", "b", "c")
MAX_ATTEMPTS = 10
COMMAND_TIMEOUT_S = 10.0


def unused_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    try:
        return [opened.getsockname()[1] for opened in sockets]
    finally:
        for opened in sockets:
            opened.close()


@attrs.define
class Members:
    directory: Path
    initial_cluster: str
    running: dict[str, Served] = attrs.Factory(dict)

    def launch(self, name: str) -> subprocess.Popen[bytes]:
        return launch(
            *("--member", name, "--initial-cluster", self.initial_cluster),
            *("--data-dir", str(self.directory / name), "--port", "0"),
        )

    def start(self, *names: str) -> None:
        """All at once: none is ready before there is a quorum."""
        processes = {name: self.launch(name) for name in names}
        for name, process in processes.items():
            self.running[name] = wait_ready(process)

    def kill(self, name: str) -> None:
        served = self.running.pop(name)
        served.process.kill()
        served.process.wait()
        assert served.process.stdout is not None
        served.process.stdout.close()

    def leader(self) -> str:
        for name, served in self.running.items():
            _, status = post(served, "/v3/maintenance/status", {})
            if status.get("leader") == status["header"]["member_id"]:
                return name
        return ""


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Members]:
    """Starting interpreters takes longer than all else here."""
    ports = unused_ports(3)
    addresses = (f"{name}=127.0.0.1:{port}" for name, port in zip(NAMES, ports, strict=True))
    cluster = Members(tmp_path_factory.mktemp("members"), ",".join(addresses))
    try:
        yield cluster
    finally:
        for name in list(cluster.running):
            cluster.kill(name)


@pytest.fixture
def members(shared: Members) -> Members:
    """All three run."""
    shared.start(*(name for name in NAMES if name not in shared.running))
    return shared


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def put(served: Served, key: str, value: str) -> bool:
    """Whether it was acknowledged."""
    status, _ = post(served, "/v3/kv/put", {"key": encoded(key), "value": encoded(value)})
    return status == 200


def read(served: Served, key: str) -> str:
    status, answer = post(served, "/v3/kv/range", {"key": encoded(key)})
    assert status == 200, answer
    return base64.b64decode(answer["kvs"][0]["value"]).decode()


def test_killing_the_leader_loses_nothing_and_it_comes_back(members: Members) -> None:
    first = members.running["a"]
    assert all(put(first, f"key-{number}", str(number)) for number in range(50))
    doomed = members.leader()
    members.kill(doomed)
    survivors = list(members.running.values())
    # A refusal comes after the time that a request may take: long enough for an election.
    assert any(put(survivors[0], "after", "the leader") for _ in range(MAX_ATTEMPTS))
    members.start(doomed)
    back = members.running[doomed]
    assert [read(back, f"key-{number}") for number in range(50)] == [str(n) for n in range(50)]
    assert read(back, "after") == "the leader"


def test_all_killed_at_once_come_back_with_everything(members: Members) -> None:
    assert put(members.running["b"], "kept", "durably")
    for name in NAMES:
        members.kill(name)
    members.start(*NAMES)
    assert read(members.running["c"], "kept") == "durably"


@pytest.mark.skipif(
    ETCDCTL is None, reason="etcdctl is not installed (Debian: apt-get install etcd-client)"
)
def test_etcdctl_sees_three_members(members: Members) -> None:
    assert ETCDCTL is not None
    urls = ",".join(served.url for served in members.running.values())
    done = subprocess.run(
        [ETCDCTL, f"--endpoints={urls}", "endpoint", "health"],
        capture_output=True,
        text=True,
        timeout=COMMAND_TIMEOUT_S,
        check=True,
    )
    assert (done.stdout + done.stderr).count("is healthy") == 3


def test_a_directory_of_another_cluster_or_member_is_refused(members: Members) -> None:
    members.kill("a")
    place = str(members.directory / "a")
    other = members.initial_cluster.replace("127.0.0.1", "localhost")
    for arguments, complaint in (
        (["--member", "a", "--initial-cluster", other], "another cluster"),
        (["--member", "b", "--initial-cluster", members.initial_cluster], "member 'a'"),
        (["--member", "d", "--initial-cluster", members.initial_cluster], "no member 'd'"),
    ):
        result = CliRunner().invoke(main, ["serve", "--data-dir", place, *arguments])
        assert result.exit_code != 0
        assert complaint in result.output


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--member", "a"], "needs --initial-cluster"),
        (["--member", "a", "--initial-cluster", "a=h:1"], "needs --data-dir"),
        (["--member", "a", "--members", "3"], "how many"),
        (["--initial-cluster", "a=h:1"], "say which with --member"),
        (["--member", "a", "--initial-cluster", "a", "--data-dir", "d"], "NAME=HOST:PORT"),
    ],
)
def test_options_that_do_not_fit_together_are_wrong_usage(
    arguments: list[str], complaint: str
) -> None:
    result = CliRunner().invoke(main, ["serve", *arguments])
    assert result.exit_code == 2
    assert complaint in result.output
