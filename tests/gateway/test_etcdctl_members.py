"""etcdctl's member and endpoint commands at a served cluster and a real etcd: the same words.

Both begin with one member; a second one joins by the very settings that ``member add`` prints.
Takes long: a real etcd calls a member healthy only five seconds after it has connected.
"""

from __future__ import annotations

import re
import subprocess
from contextlib import ExitStack
from pathlib import Path

import pytest
import trio

from benches.ports import unused_ports
from tests.gateway.etcdctl import ETCDCTL
from tests.gateway.real import ETCD, WITHOUT_ETCD, real_etcd
from tests.gateway.served import launch, start, stopping
from tests.gateway.sides import Side, ask, run

pytestmark = [
    pytest.mark.skipif(
        ETCDCTL is None, reason="etcdctl is not installed (Debian: apt-get install etcd-client)"
    ),
    pytest.mark.skipif(ETCD is None, reason=WITHOUT_ETCD),
]

RETRY_S = 0.25
HEALTHY_AFTER_S = 8.0
STOP_TIMEOUT_S = 10.0
ALONE = [
    "put a 0",
    "member list",
    "member list -w table",
    "member list -w json",
    "member list -w fields",
    "endpoint status",
    "endpoint status -w table",
    "endpoint status -w json",
    "endpoint status -w fields",
    "endpoint health --cluster",
    "member",
    "member add",
    "member add x",
    "member add x --peer-urls=nowhere",
    "member add x --peer-urls=http://127.0.0.1",
    "member add x --peer-urls=http://127.0.0.1:1/path",
    "member add x --peer-urls=PEER-FIRST",
    "member add x --learner --peer-urls=PEER-FIRST",
    "member remove",
    "member remove 123",
    "member remove xyz",
    "member remove ID-FIRST",
    "member update",
    "member update ID-FIRST",
    "member update 123 --peer-urls=http://127.0.0.1:1",
    "member update ID-FIRST --peer-urls=nowhere",
    "member update ID-FIRST --peer-urls=http://127.0.0.1:1,http://127.0.0.1:2 -w json",
    "member list",
    "member update ID-FIRST --peer-urls=PEER-FIRST",
    "member promote",
    "member promote 123",
    "member promote xyz",
    "member promote ID-FIRST",
]
WITH_AN_UNSTARTED_LEARNER = [
    "member list",
    "member list -w table",
    "member list -w json",
    "member list -w fields",
    "member promote ID-SECOND",
    "member add x --learner --peer-urls=http://127.0.0.1:1",
    "member update ID-SECOND --peer-urls=PEER-FIRST",
    "put a 1",
]
WITH_A_LEARNER = [
    "member list",
    "member list -w json",
    "endpoint status --cluster",
    "endpoint status --cluster -w table",
    "endpoint health --cluster",
    "move-leader ID-SECOND",
    "AT-SECOND get a",
    "AT-SECOND get --consistency=s a",
    "AT-SECOND put a 2",
    "AT-SECOND member list",
]
WITH_TWO = [
    "member list",
    "member promote ID-SECOND",
    "get a",
    "AT-SECOND put a 3",
    "endpoint status --cluster",
    "endpoint health --cluster",
    "endpoint health --cluster -w json",
    "move-leader 1234",
    "move-leader ID-SECOND",
    "endpoint status --cluster -w json",
    "move-leader ID-FIRST",
    "AT-SECOND move-leader ID-FIRST",
    "member update ID-FIRST --peer-urls=PEER-SECOND",
]
WITH_A_THIRD_UNSTARTED = [
    "member list",
    # An id of etcd's is made of the addresses and the second: within it this would be said of ids.
    "member add y --peer-urls=PEER-SECOND",
    "member add y --peer-urls=http://127.0.0.1:4",
    "member remove ID-FIRST",
    "member remove ID-THIRD -w json",
    "member list",
]
AFTERWARDS = [
    "member list",
    "member remove ID-SECOND",
    "member remove ID-FIRST",
    "get a",
    "user add root:pw",
    "user add ann:pw",
    "user grant-role root root",
    "auth enable",
    "member list",
    "member add x --learner --peer-urls=http://127.0.0.1:1",
    "--user ann:pw member add x --learner --peer-urls=http://127.0.0.1:1",
    "--user ann:pw member remove 123",
    "--user ann:pw member update 123 --peer-urls=http://127.0.0.1:1",
    "--user ann:pw member promote 123",
    "--user root:pw member remove 123",
    "--user root:pw member add x --learner --peer-urls=http://127.0.0.1:1 -w json",
]


def add(sides: tuple[Side, Side], command: str, urls: tuple[str, str]) -> list[dict[str, str]]:
    """Add a member at these addresses, when the cluster is healthy; the settings printed."""
    texts = []
    for side, url in zip(sides, urls, strict=True):
        for _ in range(int(HEALTHY_AFTER_S / RETRY_S)):
            text = ask(side.url, f"{command} --peer-urls={url}")
            if "unhealthy cluster" not in text:
                break
            trio.run(trio.sleep, RETRY_S)
        side.learn()
        texts.append(text)
    ours, theirs = (side.plain(text) for side, text in zip(sides, texts, strict=True))
    assert theirs == ours
    assert theirs.endswith("exit status 0")
    return [dict(re.findall(r'^(ETCD_\w+)="(.*)"$', text, re.MULTILINE)) for text in texts]


def join_real(settings: dict[str, str], directory: Path) -> subprocess.Popen[bytes]:
    assert ETCD is not None
    client = f"http://127.0.0.1:{unused_ports(1)[0]}"
    peer = settings["ETCD_INITIAL_ADVERTISE_PEER_URLS"]
    options = (f"--data-dir={directory}", "--unsafe-no-fsync", f"--listen-peer-urls={peer}")
    urls = f"--listen-client-urls={client}", f"--advertise-client-urls={client}"
    with directory.with_suffix(".log").open("wb") as log:
        return subprocess.Popen([ETCD, *options, *urls], env=settings, stdout=log, stderr=log)


def join_ours(settings: dict[str, str], directory: Path) -> subprocess.Popen[bytes]:
    return launch(
        *("--member", settings["ETCD_NAME"], "--data-dir", str(directory), "--port", "0"),
        *("--initial-cluster", settings["ETCD_INITIAL_CLUSTER"]),
        *("--initial-cluster-state", settings["ETCD_INITIAL_CLUSTER_STATE"]),
        stderr=subprocess.PIPE,
    )


def wait_started(side: Side, name: str) -> None:
    for _ in range(int(HEALTHY_AFTER_S / RETRY_S)):
        if f"started, {name}," in ask(side.url, "member list"):
            side.learn()
            return
        trio.run(trio.sleep, RETRY_S)
    raise AssertionError(f"{name} did not start")


def promote(sides: tuple[Side, Side]) -> None:
    """When the learner has caught up."""
    texts = []
    for side in sides:
        for _ in range(int(HEALTHY_AFTER_S / RETRY_S)):
            text = ask(*reversed(side.filled("member promote ID-SECOND")))
            if "in sync with leader" not in text:
                break
            trio.run(trio.sleep, RETRY_S)
        texts.append(side.plain(text))
    assert texts[0] == texts[1] == "Member ID-SECOND promoted in cluster CLUSTER\nexit status 0"


def test_a_cluster_of_one_becomes_two_and_one_again_in_etcds_words(tmp_path: Path) -> None:
    with ExitStack() as stack:
        ours = stack.enter_context(stopping(start("--port", "0", "--members", "1")))
        theirs = stack.enter_context(real_etcd(tmp_path))
        sides = Side(ours.url), Side(theirs.url)
        for side in sides:
            side.learn()
        run(sides, ALONE)
        first, second, third, fourth = (f"http://127.0.0.1:{port}" for port in unused_ports(4))
        settings = add(sides, "member add second --learner", (first, second))
        run(sides, WITH_AN_UNSTARTED_LEARNER)
        joined = [
            join_ours(settings[0], tmp_path / "ours"),
            join_real(settings[1], tmp_path / "theirs"),
        ]
        for process in joined:
            stack.callback(process.communicate)
            stack.callback(process.kill)
        for side in sides:
            wait_started(side, "second")
        run(sides, WITH_A_LEARNER)
        promote(sides)
        run(sides, WITH_TWO)
        add(sides, "member add third", (third, fourth))
        run(sides, [*WITH_A_THIRD_UNSTARTED, "member remove ID-SECOND"])
        assert [process.wait(STOP_TIMEOUT_S) for process in joined] == [0, 0]
        run(sides, AFTERWARDS)
