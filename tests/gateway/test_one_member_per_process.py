"""Three processes, one member each: what a real deployment of the store looks like."""

from __future__ import annotations

import base64
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio
from click.testing import CliRunner

from raftstore.cli import main
from raftstore.server import joining
from tests.gateway.served import Served, ask, launch, post, wait_ready

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
    addresses: dict[str, str]
    running: dict[str, Served] = attrs.Factory(dict)

    def launch(self, name: str, *options: str) -> subprocess.Popen[bytes]:
        """By default with the options of a founder."""
        return launch(
            *("--member", name, "--data-dir", str(self.directory / name), "--port", "0"),
            *(options or ("--initial-cluster", self.initial_cluster)),
            stderr=subprocess.PIPE,
        )

    def start(self, *names: str, options: tuple[str, ...] = ()) -> None:
        """All at once: none is ready before there is a quorum."""
        processes = {name: self.launch(name, *options) for name in names}
        for name, process in processes.items():
            self.running[name] = wait_ready(process)

    def kill(self, name: str) -> None:
        served = self.running.pop(name)
        served.process.kill()
        self.end_of(served)

    def end_of(self, served: Served) -> tuple[int, str]:
        """Exit status, and what was said on the way."""
        _, said = served.process.communicate(timeout=COMMAND_TIMEOUT_S)
        return served.process.returncode, said.decode()

    def refused(self, name: str, *options: str, directory: str = "") -> str:
        """What is said about a start that fails."""
        place = str(self.directory / (directory or name))
        arguments = ["serve", "--member", name, "--data-dir", place, "--port", "0", *options]
        result = CliRunner().invoke(main, arguments)
        assert result.exit_code != 0
        return result.output

    def leader(self) -> str:
        for name, served in self.running.items():
            _, status = post(served, "/v3/maintenance/status", {})
            if status.get("leader") == status["header"]["member_id"]:
                return name
        return ""


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Members]:
    """Starting interpreters takes longer than all else here."""
    ports = unused_ports(5)
    addresses = dict(zip("abcde", (f"127.0.0.1:{port}" for port in ports), strict=True))
    founders = ",".join(f"{name}={addresses[name]}" for name in NAMES)
    cluster = Members(tmp_path_factory.mktemp("members"), founders, addresses)
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


def change(served: Served, verb: str, **fields: object) -> dict[str, Any]:
    status, answer = post(served, f"/v3/cluster/member/{verb}", fields)
    assert status == 200, answer
    return answer


def add(members: Members, name: str, *, is_learner: bool = False) -> str:
    """Add a member; returns its id. A killed one that has just come back is not healthy yet."""
    urls = [f"http://{members.addresses[name]}"]
    for _ in range(MAX_ATTEMPTS):
        request = {"peerURLs": urls, "isLearner": is_learner}
        status, answer = post(members.running["a"], "/v3/cluster/member/add", request)
        if status == 200:
            return str(answer["member"]["ID"])
        assert "unhealthy" in answer["message"]
        trio.run(trio.sleep, 0.2)
    raise AssertionError(answer)


def listed(served: Served) -> dict[str, dict[str, Any]]:
    found = change(served, "list", linearizable=True)["members"]
    return {member.get("name", ""): member for member in found}


def test_a_member_joins_and_leaves_a_running_cluster(
    members: Members, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(joining, "JOIN_TIMEOUT_S", 0.1)
    first = members.running["a"]
    assert put(first, "before", "joining")
    with_d = f"{members.initial_cluster},d={members.addresses['d']}"
    existing = "--initial-cluster-state", "existing", "--initial-cluster"
    assert "add it first, with etcdctl member add" in members.refused("d", *existing, with_d)
    number = add(members, "d")
    assert "clientURLs" not in listed(first)[""]
    for name, cluster, complaint in (
        ("x", with_d, "no member 'x' in the initial cluster"),
        ("d", f"{with_d},e={members.addresses['e']}", f"{members.addresses['e']} is no member's"),
        ("d", f"d={members.addresses['d']},a={members.addresses['a']}", "is a member's"),
        ("d", f"d={members.addresses['d']},e={members.addresses['e']}", "cannot ask any member"),
        ("d", f"d={members.addresses['d']}", "name its members too"),
        ("a", with_d, "already been bootstrapped"),
        ("z", with_d.replace("a=", "z="), "is the peer address of member a, not of z"),
    ):
        assert complaint in members.refused(name, *existing, cluster, directory="wrong")
    assert not (members.directory / "wrong").exists()
    members.start("d", options=(*existing, with_d))
    fourth = members.running["d"]
    assert listed(first)["d"]["clientURLs"] == [fourth.url]
    assert read(fourth, "before") == "joining"
    # A follower, for nobody to have to wait for an election.
    lost = "b" if members.leader() != "b" else "c"
    members.kill(lost)
    assert put(fourth, "without", lost)
    # What it needs to come back lies in its directory.
    members.kill("d")
    members.start(lost)
    members.start("d", options=("--host", "127.0.0.1"))
    assert read(members.running["d"], "without") == lost
    change(first, "remove", ID=number)
    status, said = members.end_of(members.running.pop("d"))
    assert status == 0
    assert "has been permanently removed from the cluster" in said
    assert set(listed(first)) == set(NAMES)
    again = members.launch("d", "--host", "127.0.0.1")
    _, text = again.communicate(timeout=COMMAND_TIMEOUT_S)
    assert again.returncode == 1
    assert "has been permanently removed from the cluster" in text.decode()


def test_a_learner_joins_and_is_promoted(members: Members) -> None:
    with_e = f"{members.initial_cluster},e={members.addresses['e']}"
    assert put(members.running["b"], "known", "to all")
    number = add(members, "e", is_learner=True)
    members.start("e", options=("--initial-cluster-state", "existing", "--initial-cluster", with_e))
    learner = members.running["e"]
    status, answer = post(learner, "/v3/kv/range", {"key": encoded("known")})
    assert (status, answer["message"]) == (503, "etcdserver: rpc not supported for learner")
    status, answer = post(learner, "/v3/kv/range", {"key": encoded("known"), "serializable": True})
    assert base64.b64decode(answer["kvs"][0]["value"]) == b"to all"
    assert b"\netcd_server_is_learner 1.0\n" in ask(learner, "GET", "/metrics")[1]
    change(members.running["a"], "promote", ID=number)
    assert b"\netcd_server_is_learner 0.0\n" in ask(learner, "GET", "/metrics")[1]
    assert read(learner, "known") == "to all"
    change(members.running["a"], "remove", ID=number)
    status, _ = members.end_of(members.running.pop("e"))
    assert status == 0


def test_a_member_that_has_lost_its_directory_does_not_begin_anew(members: Members) -> None:
    with_founders = "--initial-cluster", members.initial_cluster
    members.kill("c")
    said = members.refused("c", *with_founders, directory="lost")
    assert "member c (3) has already been bootstrapped" in said
    said = members.refused("c", *with_founders, "--initial-cluster-token", "x", directory="lost")
    assert "cluster ID mismatch" in said
    assert not (members.directory / "lost").exists()


def test_a_directory_is_one_members_and_goes_with_it_to_another_address(members: Members) -> None:
    members.kill("a")
    assert "of member 'a', not of 'b'" in members.refused(
        "b", "--initial-cluster", members.initial_cluster, directory="a"
    )
    moved = members.initial_cluster.replace(members.addresses["a"], members.addresses["e"])
    members.start("a", options=("--initial-cluster", moved))
    assert put(members.running["a"], "moved", "on")
    members.kill("a")


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--member", "a"], "needs --data-dir"),
        (["--member", "a", "--data-dir", "d"], "needs --initial-cluster"),
        (["--member", "a", "--members", "3"], "how many"),
        (["--initial-cluster", "a=h:1"], "say which with --member"),
        (["--initial-cluster-state", "existing"], "say which with --member"),
        (["--member", "a", "--initial-cluster", "a", "--data-dir", "d"], "NAME=HOST:PORT"),
    ],
)
def test_options_that_do_not_fit_together_are_wrong_usage(
    arguments: list[str], complaint: str
) -> None:
    result = CliRunner().invoke(main, ["serve", *arguments])
    assert result.exit_code == 2
    assert complaint in result.output
