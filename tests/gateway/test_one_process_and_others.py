"""A cluster in one process, which members in processes of their own join."""

from __future__ import annotations

import base64
import re
import socket
import subprocess
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import trio

from benches.ports import unused_ports
from tests.gateway.served import Served, ask, launch, post, start, wait_ready

STOP_TIMEOUT_S = 10.0
MAX_ATTEMPTS = 40
PAUSE_S = 0.25


def call(served: Served, path: str, **fields: object) -> dict[str, Any]:
    """Ask until there is a leader."""
    status, answer = attempt(served, path, **fields)
    assert status == 200, answer
    return answer


def attempt(served: Served, path: str, **fields: object) -> tuple[int, dict[str, Any]]:
    for _ in range(MAX_ATTEMPTS):
        status, answer = post(served, path, fields)
        if status != 503:
            break
        trio.run(trio.sleep, PAUSE_S)
    return status, answer


def remove(served: Served, number: int) -> None:
    """Remove a member.

    The member may be the leader: then the change may be committed while its answer is lost, the
    caller gets 503, and asking again finds no such member.
    """
    status, answer = attempt(served, "/v3/cluster/member/remove", ID=str(number))
    assert status in (200, 404), answer


def put(served: Served, value: str) -> None:
    encoded = base64.b64encode(value.encode()).decode()
    call(served, "/v3/kv/put", key="a2V5", value=encoded)


def read(served: Served) -> str:
    found = call(served, "/v3/kv/range", key="a2V5")
    return base64.b64decode(found["kvs"][0]["value"]).decode()


def members(served: Served) -> dict[str, dict[str, Any]]:
    listed = call(served, "/v3/cluster/member/list", linearizable=True)["members"]
    return {member["name"]: member for member in listed}


def kill(process: subprocess.Popen[bytes]) -> str:
    process.kill()
    return process.communicate(timeout=STOP_TIMEOUT_S)[1].decode()


def refuses(url: str) -> bool:
    host, _, port = url.removeprefix("http://").partition(":")
    try:
        socket.create_connection((host, int(port)), timeout=1).close()
    except ConnectionRefusedError:
        return True
    return False


def test_a_member_of_its_own_joins_stays_over_a_restart_and_outlives_one(tmp_path: Path) -> None:
    together = ("--port", "0", "--data-dir", str(tmp_path / "together"))
    alone = ("--member", "d", "--port", "0", "--data-dir", str(tmp_path / "d"))
    with ExitStack() as stack:
        three = start(*together, stderr=subprocess.PIPE)
        stack.callback(kill, three.process)
        put(three, "before")
        peers = {name: member["peerURLs"] for name, member in members(three).items()}
        address = f"http://127.0.0.1:{unused_ports(1)[0]}"
        call(three, "/v3/cluster/member/add", peerURLs=[address])
        all_members = ",".join(
            f"{name}={urls[0]}" for name, urls in {**peers, "d": [address]}.items()
        )
        options = "--initial-cluster", all_members, "--initial-cluster-state", "existing"
        fourth = wait_ready(launch(*alone, *options, stderr=subprocess.PIPE))
        stack.callback(kill, fourth.process)
        assert read(fourth) == "before"
        put(fourth, "by the fourth")
        for served, own, other in ((three, 1, 4), (fourth, 4, 1)):
            text = ask(served, "GET", "/metrics")[1].decode()
            active = f'etcd_network_active_peers{{Local="{own}",Remote="{other}"}} 1.0\n'
            assert active in text
        # It speaks with the leader, whichever that is.
        for counter in ("sent_bytes_total{To", "received_bytes_total{From"):
            counts = re.findall(rf'etcd_network_peer_{counter}="\d"}} (\d+)', text)
            assert sum(map(int, counts)) > 0
        remove(fourth, 3)
        assert set(members(three)) == {"member-1", "member-2", "d"}
        for _ in range(MAX_ATTEMPTS):
            if refuses(three.urls[2]) and refuses(peers["member-3"][0]):
                break
            trio.run(trio.sleep, PAUSE_S)
        assert refuses(three.urls[2])
        assert "member-3 has been permanently removed from the cluster" in kill(three.process)
        # Back at other ports, of clients and of members.
        again = start(*together, stderr=subprocess.PIPE)
        stack.callback(kill, again.process)
        assert len(again.urls) == 2
        assert read(again) == "by the fourth"
        moved = members(again)
        assert moved["member-1"]["clientURLs"] == [again.urls[0]]
        assert moved["member-1"]["peerURLs"] != peers["member-1"]
        put(fourth, "after the restart")
        for number in (1, 2):
            remove(fourth, number)
        assert again.process.wait(STOP_TIMEOUT_S) == 0
        assert read(fourth) == "after the restart"
        assert set(members(fourth)) == {"d"}


def test_peer_ports_can_be_chosen() -> None:
    (port,) = unused_ports(1)
    with ExitStack() as stack:
        running = start("--port", "0", "--members", "1", "--peer-port", str(port))
        stack.callback(running.process.communicate)
        stack.callback(running.process.kill)
        assert members(running)["member-1"]["peerURLs"] == [f"http://127.0.0.1:{port}"]
