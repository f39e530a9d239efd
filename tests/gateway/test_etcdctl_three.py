"""etcdctl at three members, ours and a real etcd's: all there, one killed, two killed.

Commands that wait for a quorum take seconds each, so those run at the same time.
"""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import attrs
import grpc
import pytest
import trio

from tests.gateway.differential import BY_NAME
from tests.gateway.etcdctl import ETCDCTL, begin, said
from tests.gateway.processes import founders
from tests.gateway.real import ETCD, WITHOUT_ETCD, memory_directory, real_etcd
from tests.gateway.sides import Side, ask, plain, run

pytestmark = [
    pytest.mark.skipif(
        ETCDCTL is None, reason="etcdctl is not installed (Debian: apt-get install etcd-client)"
    ),
    pytest.mark.skipif(ETCD is None, reason=WITHOUT_ETCD),
]

NAMES = ("ours-1", "ours-2", "ours-3")
ALL = "AT-FIRST+SECOND+THIRD"
LIMIT_S = 20.0
UNKNOWN = "rpc error: code = Unknown desc = "
TRANSFER_TIMED_OUT = "request timed out, leader transfer took too long"
RETRY_S = 0.25
ATTEMPTS = 40

WITH_ALL = [
    "member list",
    "member list -w table",
    "member list -w json",
    "member list -w fields",
    "put a 1",
    "AT-SECOND put a 2",
    "AT-THIRD put b 1",
    "AT-THIRD get a",
    "AT-THIRD get a --consistency=s",
    "endpoint status --cluster",
    "endpoint status --cluster -w table",
    "endpoint status --cluster -w json",
    "endpoint status --cluster -w fields",
    f"{ALL} endpoint status -w table",
    "endpoint health --cluster",
    "endpoint health --cluster -w json",
    "endpoint health --cluster -w table",
    f"{ALL} endpoint health",
    "endpoint hashkv --cluster",
    "endpoint hashkv --cluster --rev=3",
    "endpoint hashkv --cluster -w table",
    "AT-SECOND compaction 3 --physical",
    "AT-THIRD get a --rev=2",
    "endpoint hashkv --cluster --rev=2",
    "endpoint hashkv --cluster --rev=4",
    "endpoint hashkv --cluster --rev=99",
    "defrag --cluster",
    f"{ALL} defrag",
    "AT-SECOND move-leader ID-THIRD",
    f"{ALL} move-leader ID-SECOND",
    f"{ALL} move-leader ID-FIRST",
    "AT-SECOND alarm list",
    "AT-SECOND member promote ID-FIRST",
    "AT-THIRD lease timetolive 77",
]
WITHOUT_THE_THIRD = [
    "member list",
    f"{ALL} put a 3",
    "AT-SECOND put a 4",
    f"{ALL} get a",
    f"{ALL} get a --consistency=s",
    f"{ALL} del b",
    "AT-SECOND lease timetolive 77",
    "member remove 123",
    "member update ID-THIRD --peer-urls=PEER-FIRST",
]
SLOW_WITHOUT_THE_THIRD = [
    "--command-timeout=2s endpoint health --cluster",
    "--command-timeout=2s endpoint health --cluster -w json",
    f"{ALL} --command-timeout=2s endpoint health",
    "--command-timeout=2s endpoint status --cluster",
    "--command-timeout=2s endpoint hashkv --cluster",
    "--command-timeout=2s defrag --cluster",
    "--command-timeout=2s move-leader ID-THIRD",
    "AT-THIRD --command-timeout=2s get a",
    "AT-THIRD --command-timeout=2s put a 1",
    "AT-THIRD --command-timeout=2s endpoint status",
    "AT-THIRD --command-timeout=2s endpoint health",
    "AT-THIRD --command-timeout=2s --dial-timeout=100ms get a",
]
ALONE = [
    "get a --consistency=s",
    "member list",
    "endpoint status",
    "endpoint hashkv",
    "endpoint health",
    "alarm list",
    "defrag",
    "get a",
    "--command-timeout=8s get a",
    "--command-timeout=8s lease grant 60",
    "--command-timeout=8s lease revoke 77",
    "--command-timeout=8s alarm disarm",
    "move-leader ID-SECOND",
]
# Refused at once, where a real etcd lets its clients wait until what came of it is unknown.
REFUSED_ALONE = {
    "put a 9": "context deadline exceeded",
    "--command-timeout=8s put a 9": "context deadline exceeded",
    "--command-timeout=8s del a": "context deadline exceeded",
    "--command-timeout=8s compaction 4": "context deadline exceeded",
    "--command-timeout=8s user add x:y": "context deadline exceeded",
    "--command-timeout=8s user list": "context deadline exceeded",
    "--command-timeout=8s member remove ID-THIRD": "context deadline exceeded",
    "member add x --learner --peer-urls=http://127.0.0.1:1": "etcdserver: unhealthy cluster",
}


WANTING = [
    ("Range", {"key": b"a", "serializable": True}),
    ("Put", {"key": b"a"}),
    ("Watch", {"create_request": {"key": b"a"}}),
    ("LeaseKeepAlive", {"ID": 1}),
    ("MemberList", {}),
]


@attrs.frozen
class Both:
    """The clusters, ours first, each with a way to kill the member of a label."""

    sides: tuple[Side, Side]
    kill: Callable[[str], None]


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    with memory_directory(tmp_path_factory) as directory:
        ours = founders(directory / "ours", NAMES)
        try:
            with real_etcd(directory, 3) as theirs:
                ours.start(*NAMES)
                first = ours.running[NAMES[0]].url, theirs.url
                sides = Side(first[0]), Side(first[1])
                for side in sides:
                    side.learn()
                    side.url = _url(side, "FIRST")

                def kill(label: str) -> None:
                    names = [{known: name for name, known in side.names.items()} for side in sides]
                    ours.kill(names[0][label])
                    theirs.kill(int(names[1][label].removeprefix("m")))

                yield Both(sides, kill)
        finally:
            for name in list(ours.running):
                ours.kill(name)


def _url(side: Side, label: str) -> str:
    return next(url for url, known in side.urls.items() if known == f"CLIENT-{label}")


def lead(side: Side, label: str) -> None:
    """The member leads."""
    everywhere = ",".join(url for url, known in side.urls.items() if known.startswith("CLIENT-"))
    number = next(number for number, known in side.ids.items() if known == label)
    for _ in range(ATTEMPTS):
        lines = [line.split(", ") for line in ask(everywhere, "endpoint status").splitlines()[:-1]]
        if [f"{number:x}"] == [words[1] for words in lines if words[4] == "true"]:
            return
        ask(everywhere, f"move-leader {number:x}")
        trio.run(trio.sleep, RETRY_S)
    raise AssertionError(f"{label} does not lead")


def wait_without_leader(side: Side) -> None:
    """Until the member has noticed that no other answers."""
    for _ in range(ATTEMPTS):
        if "etcdserver: no leader" in ask(side.url, "endpoint status"):
            return
        trio.run(trio.sleep, RETRY_S)
    raise AssertionError("there is still a leader")


def run_at_once(sides: tuple[Side, Side], commands: list[str]) -> dict[str, tuple[str, str]]:
    """What both print, in plain words."""
    running = [
        [(side, begin(*reversed(side.filled(command)))) for side in sides] for command in commands
    ]
    printed = {}
    for command, pair in zip(commands, running, strict=True):
        texts = [plain(command, side, _end(process)) for side, process in pair]
        printed[command] = texts[0], texts[1]
    return printed


def _end(process: subprocess.Popen[bytes]) -> str:
    output = process.communicate(timeout=LIMIT_S)[0]
    text = said("no url", output, process.returncode)
    # The deadline of a transfer is the client's: which of the two sides ends it first is chance.
    text = text.replace(f"{UNKNOWN}etcdserver: {TRANSFER_TIMED_OUT}", "context deadline exceeded")
    # Later releases of a real etcd give the code that belongs to these words.
    return text.replace(f"{UNKNOWN}context", "context")


def test_with_all_of_them(both: Both) -> None:
    for side in both.sides:
        lead(side, "FIRST")
    run(both.sides, WITH_ALL)


def test_without_one(both: Both) -> None:
    for side in both.sides:
        lead(side, "FIRST")
    both.kill("THIRD")
    run(both.sides, WITHOUT_THE_THIRD)
    for command, (ours, theirs) in run_at_once(both.sides, SLOW_WITHOUT_THE_THIRD).items():
        assert theirs == ours, command


def test_without_a_quorum(both: Both) -> None:
    both.kill("SECOND")
    for side in both.sides:
        wait_without_leader(side)
    printed = run_at_once(both.sides, [*ALONE, *REFUSED_ALONE])
    for command in ALONE:
        ours, theirs = printed[command]
        assert theirs == ours, command
    for command, words in REFUSED_ALONE.items():
        ours, theirs = printed[command]
        assert theirs == f"Error: {words}\nexit status 1", command
        assert ours == "Error: etcdserver: no leader\nexit status 1", command


def test_who_wants_a_leader_is_told_that_there_is_none(both: Both) -> None:
    said = []
    for side in both.sides:
        wait_without_leader(side)
        with grpc.insecure_channel(side.url.removeprefix("http://")) as channel:
            said.append([_status(channel, name, fields) for name, fields in WANTING])
    assert said[1] == said[0]
    assert said[0] == ["UNAVAILABLE: etcdserver: no leader"] * len(WANTING)


def _status(channel: grpc.Channel, name: str, fields: dict[str, Any]) -> str:
    """What a call ends with that wants a leader."""
    method = BY_NAME[name]
    call = channel.stream_stream(method.path)(
        iter([method.request(**fields).SerializeToString()]),
        timeout=LIMIT_S,
        metadata=[("hasleader", "true")],
    )
    with contextlib.suppress(grpc.RpcError):
        list(call)
    return f"{call.code().name}: {call.details()}"
