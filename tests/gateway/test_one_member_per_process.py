"""Three processes, one member each: what a real deployment of the store looks like."""

from __future__ import annotations

import base64
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trio
from click.testing import CliRunner

from raftstore.cli import main
from raftstore.server import joining
from tests.gateway.etcdctl import ETCDCTL, etcdctl
from tests.gateway.processes import COMMAND_TIMEOUT_S, POLL_S, Members, founders
from tests.gateway.served import Served, ask, post

needs_etcdctl = pytest.mark.skipif(
    ETCDCTL is None, reason="etcdctl is not installed (Debian: apt-get install etcd-client)"
)
NAMES = ("a", "b", "c")
EXISTING = "--initial-cluster-state", "existing", "--initial-cluster"
MAX_ATTEMPTS = 10


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Members]:
    """Starting interpreters takes longer than all else here."""
    cluster = founders(tmp_path_factory.mktemp("members"), "abc", "de")
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


def leader_id(served: Served) -> str:
    """Which one a member takes for the leader; "" for none."""
    return str(post(served, "/v3/maintenance/status", {})[1].get("leader", ""))


def test_killing_the_leader_loses_nothing_and_it_comes_back(members: Members) -> None:
    first = members.running["a"]
    assert all(put(first, f"key-{number}", str(number)) for number in range(50))
    doomed, doomed_id = members.leader(), leader_id(first)
    members.kill(doomed)
    survivors = list(members.running.values())
    # What is handed on to a leader that is gone is answered only when its time is over.
    while doomed_id in {leader_id(served) for served in survivors} - {""}:
        trio.run(trio.sleep, POLL_S)
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


@needs_etcdctl
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


def ctl(members: Members, command: str) -> str:
    return etcdctl(members.running["a"].url, command)


def add(members: Members, name: str, *options: str) -> str:
    """Add a member; returns its id. A killed one that has just come back is not healthy yet."""
    words = " ".join(
        ["member add", name, f"--peer-urls=http://{members.addresses[name]}", *options]
    )
    for _ in range(MAX_ATTEMPTS):
        said = ctl(members, words)
        found = re.match(r"Member +([0-9a-f]+) added to cluster", said)
        if found:
            return found[1]
        assert "unhealthy" in said
        trio.run(trio.sleep, 0.2)
    raise AssertionError(said)


def remove(members: Members, name: str, number: str) -> str:
    """Remove a member; returns what its process says about it."""
    assert f"Member {number:>16} removed from cluster" in ctl(members, f"member remove {number}")
    status, said = members.end_of(members.running.pop(name))
    assert status == 0
    return said


def listed(served: Served) -> dict[str, dict[str, Any]]:
    status, answer = post(served, "/v3/cluster/member/list", {"linearizable": True})
    assert status == 200, answer
    return {member.get("name", ""): member for member in answer["members"]}


def refuse_who_does_not_fit(members: Members, cluster: str) -> None:
    """Only `d` may join now, and not with other members than there are."""
    a, d, e = (members.addresses[name] for name in "ade")
    for name, wrong, complaint in (
        ("x", cluster, "no member 'x' in the initial cluster"),
        ("d", f"{cluster},e={e}", f"{e} is no member's"),
        ("d", f"d={d},a={a}", "is a member's"),
        ("d", f"d={d},e={e}", "cannot ask any member"),
        ("d", f"d={d}", "name its members too"),
        ("a", cluster, "already been bootstrapped"),
        ("z", cluster.replace("a=", "z="), "is the peer address of member a, not of z"),
    ):
        said = members.refused(name, *EXISTING, wrong, directory="wrong")
        assert complaint in said
    assert not (members.directory / "wrong").exists()


def promote(members: Members, name: str, number: str) -> None:
    """A learner shows what it has to those who do not mind its age; then it is promoted."""
    learner = members.running[name]
    status, answer = post(learner, "/v3/kv/range", {"key": encoded("before")})
    assert (status, answer["message"]) == (503, "etcdserver: rpc not supported for learner")
    request = {"key": encoded("before"), "serializable": True}
    status, answer = post(learner, "/v3/kv/range", request)
    assert base64.b64decode(answer["kvs"][0]["value"]) == b"joining"
    assert b"\netcd_server_is_learner 1.0\n" in ask(learner, "GET", "/metrics")[1]
    assert f"Member {number:>16} promoted" in ctl(members, f"member promote {number}")
    assert b"\netcd_server_is_learner 0.0\n" in ask(learner, "GET", "/metrics")[1]


@needs_etcdctl
@pytest.mark.covers("ST-32")
def test_three_become_five_and_three_again_and_keep_the_data(
    members: Members, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(joining, "JOIN_TIMEOUT_S", 0.1)
    first = members.running["a"]
    assert put(first, "before", "joining")
    with_d = f"{members.initial_cluster},d={members.addresses['d']}"
    assert "add it first, with etcdctl member add" in members.refused("d", *EXISTING, with_d)
    fourth = add(members, "d")
    assert "clientURLs" not in listed(first)[""]
    refuse_who_does_not_fit(members, with_d)
    members.start("d", options=(*EXISTING, with_d))
    assert listed(first)["d"]["clientURLs"] == [members.running["d"].url]
    assert read(members.running["d"], "before") == "joining"
    fifth = add(members, "e", "--learner")
    members.start("e", options=(*EXISTING, f"{with_d},e={members.addresses['e']}"))
    promote(members, "e", fifth)
    # Followers, so that no client has to wait for an election: three of five are enough.
    lost = "b" if members.leader() != "b" else "c"
    gone = "d" if members.leader() != "d" else "e"
    members.kill(lost)
    members.kill(gone)
    assert put(first, "without", "two")
    members.start(lost)
    # What it needs to come back lies in its directory.
    members.start(gone, options=("--host", "127.0.0.1"))
    assert read(members.running[gone], "without") == "two"
    said = remove(members, "d", fourth)
    assert "has been permanently removed from the cluster" in said
    remove(members, "e", fifth)
    assert set(listed(first)) == set(NAMES)
    assert [read(first, key) for key in ("before", "without")] == ["joining", "two"]
    again = members.launch("d", "--host", "127.0.0.1")
    _, text = again.communicate(timeout=COMMAND_TIMEOUT_S)
    assert again.returncode == 1
    assert "has been permanently removed from the cluster" in text.decode()


def test_a_member_that_has_lost_its_directory_does_not_begin_again(members: Members) -> None:
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
    assert listed(members.running["a"])["a"]["peerURLs"] == [f"http://{members.addresses['a']}"]
    request = {"ID": "1", "peerURLs": [f"http://{members.addresses['e']}"]}
    status, answer = post(members.running["b"], "/v3/cluster/member/update", request)
    assert (status, answer["members"][0]["peerURLs"]) == (200, request["peerURLs"])
    assert put(members.running["a"], "moved", "for good")
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
        (["--max-clock-drift-percent", "5"], "--lease-reads"),
    ],
)
def test_options_that_do_not_fit_together_are_wrong_usage(
    arguments: list[str], complaint: str
) -> None:
    result = CliRunner().invoke(main, ["serve", *arguments])
    assert result.exit_code == 2
    assert complaint in result.output


def test_clients_are_told_the_addresses_that_are_advertised(tmp_path: Path) -> None:
    urls = ["http://db.example:2379", "http://10.0.0.1:2379"]
    alone = founders(tmp_path, ["alone"])
    options = "--initial-cluster", alone.initial_cluster, "--advertise-client-urls", ",".join(urls)
    alone.start("alone", options=options)
    try:
        _, listed = post(alone.running["alone"], "/v3/cluster/member/list", {})
        assert [member["clientURLs"] for member in listed["members"]] == [urls]
    finally:
        alone.kill("alone")
    for wrong in ("db.example:2379", "http://", "ftp://a:1", "http://a:1/path"):
        said = alone.refused("alone", "--advertise-client-urls", wrong)
        assert "is no address; write http://HOST:PORT" in said
    told = CliRunner().invoke(main, ["serve", "--advertise-client-urls", urls[0]])
    assert "say which with --member" in " ".join(told.output.split())
