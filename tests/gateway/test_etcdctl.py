"""Debian's etcdctl against a served cluster; where a real etcd is installed, output for output."""

from __future__ import annotations

import base64
import json
import os
import re
import select
import subprocess

import pytest

from tests.gateway.etcdctl import COMMAND_TIMEOUT_S, ETCDCTL, RealEtcd, etcdctl, reduced
from tests.gateway.served import Served, post

pytestmark = pytest.mark.skipif(
    ETCDCTL is None, reason="etcdctl is not installed (Debian: apt-get install etcd-client)"
)

# Commands and what is typed into them. "LEASE" stands for the lease that the cluster granted.
SESSION: list[tuple[str, str]] = [
    ("put greeting hello", ""),
    ("put greeting hi --prev-kv", ""),
    ("put other 3", ""),
    ("get greeting -w json", ""),
    ("get greeting -w fields", ""),
    ("get --prefix g --keys-only", ""),
    ("get a z --sort-by=VALUE --order=DESCEND --limit 1", ""),
    ("get --from-key greeting --limit 1 -w fields", ""),
    ("get greeting --rev=2 --print-value-only", ""),
    ("get greeting --rev=99", ""),
    ("get --consistency=s greeting", ""),
    ("txn", 'value("greeting") = "hi"\nversion("other") > "0"\n\nput c 5\nget c\ndel other\n\n\n'),
    ("txn -w json", 'value("greeting") = "x"\n\nput c 6\n\nget c\n\n'),
    ("txn", "\n\nput c 5\nput c 6\n\n\n"),
    ("del c --prev-kv", ""),
    ("del none", ""),
    ("del --prefix oth", ""),
    ("lease timetolive LEASE", ""),
    ("put --lease=LEASE kept v", ""),
    ("lease timetolive LEASE --keys", ""),
    ("lease list", ""),
    ("lease keep-alive --once LEASE", ""),
    ("put --ignore-lease kept w", ""),
    ("put --ignore-value nokey", ""),
    ("lease revoke LEASE", ""),
    ("lease revoke LEASE", ""),
    ("lease timetolive LEASE", ""),
    ("lease keep-alive --once LEASE", ""),
    ("get kept", ""),
    ("put --lease=1234 kept v", ""),
    ("put typed", "value from the input"),
    ("compaction 4", ""),
    ("compaction 4", ""),
    ("compaction 999", ""),
    ("get greeting --rev=2", ""),
    ("watch --rev=1 greeting", ""),
    ("alarm list", ""),
    ("defrag", ""),
    ("endpoint health", ""),
]


def run_session(url: str) -> list[str]:
    granted = etcdctl(url, "lease grant 60")
    found = re.match(r"lease ([0-9a-f]{16}) granted with TTL\(60s\)", granted)
    assert found, granted
    lease = found[1]
    printed = []
    for command, typed in SESSION:
        text = etcdctl(url, command.replace("LEASE", lease), typed)
        printed.append(f"$ {command}\n" + reduced(text).replace(lease, "LEASE"))
    return printed


def test_every_command_prints_what_it_prints_with_a_real_etcd(
    fresh: Served, real_etcd: RealEtcd
) -> None:
    for ours, theirs in zip(run_session(fresh.url), run_session(real_etcd.url), strict=True):
        assert theirs == ours


def test_a_session_works_on_any_member(served: Served) -> None:
    first, second, third = served.urls
    assert "OK" in etcdctl(first, "put ctl/a 1")
    assert "ctl/a\n1" in etcdctl(second, "get ctl/a")
    swap = 'mod("ctl/a") > "0"\n\nput ctl/a 2\n\n\n'
    assert "SUCCESS" in etcdctl(third, "txn", swap)
    assert "ctl/a\n2" in etcdctl(first, "get ctl/a")
    assert "1\nexit status 0" in etcdctl(second, "del ctl/a")


def test_a_watch_sees_what_another_client_writes(served: Served) -> None:
    assert ETCDCTL is not None
    with subprocess.Popen(
        [ETCDCTL, "watch", "--prefix", "ctl/w", "--prev-kv"],
        stdout=subprocess.PIPE,
        env={**os.environ, "ETCDCTL_API": "3", "ETCDCTL_ENDPOINTS": served.urls[1]},
    ) as watching:
        try:
            assert watching.stdout is not None
            # Written until it is seen: nothing tells when the watch has begun.
            seen = b""
            for number in range(50):
                etcdctl(served.url, f"put ctl/w{number} x")
                readable, _, _ = select.select([watching.stdout], [], [], 0.1)
                if readable:
                    seen = os.read(watching.stdout.fileno(), 4096)
                    break
            assert seen.startswith(b"PUT\nctl/w")
            etcdctl(served.url, f"del ctl/w{number}")
            readable, _, _ = select.select([watching.stdout], [], [], COMMAND_TIMEOUT_S)
            assert readable
            assert b"DELETE\nctl/w" in os.read(watching.stdout.fileno(), 4096)
        finally:
            watching.kill()


@pytest.mark.covers("ST-15")
def test_http_gives_the_same_data(served: Served) -> None:
    etcdctl(served.url, "put ctl/http value")
    printed = json.loads(etcdctl(served.url, "get ctl/http -w json").splitlines()[0])
    key = base64.b64encode(b"ctl/http").decode()
    status, answer = post(served, "/v3/kv/range", {"key": key})
    assert status == 200
    assert set(answer["header"]) == {"cluster_id", "member_id", "revision", "raft_term"}
    # In protobuf's JSON, integers of 64 bits are strings.
    assert json.loads(json.dumps(printed), parse_int=str) == answer


@pytest.mark.covers("ST-31", "DC-07")
def test_the_members_are_listed_with_their_state(served: Served) -> None:
    listed = etcdctl(served.url, "member list -w simple").splitlines()[:-1]
    expected = [
        f"{n}, started, member-{n}, PEER, {url}, false" for n, url in enumerate(served.urls, 1)
    ]
    told = [line.replace("URL", served.url).split(", ") for line in listed]
    assert all(re.fullmatch(r"http://127\.0\.0\.1:\d+", words[3]) for words in told)
    assert expected == [", ".join([*words[:3], "PEER", *words[4:]]) for words in told]
    status = etcdctl(served.url, "endpoint status --cluster -w fields")
    leaders = set(re.findall(r'"Leader" : (\d+)', status))
    assert len(leaders) == 1
    assert leaders <= {"1", "2", "3"}
    for word in ("RaftTerm", "RaftIndex"):
        told_by_members = re.findall(rf'"{word}" : (\d+)', status)
        assert len(told_by_members) >= 3
        assert len(set(told_by_members)) == 1, word
    assert status.count('"Version" : "3.6.0"') == 3
    assert etcdctl(served.url, "endpoint health --cluster").count("is healthy") == 3
    etcdctl(served.url, "put /registry/x 1")
    assert "/registry/x" in etcdctl(served.url, "get / --prefix --keys-only")


def test_all_members_have_one_hash(served: Served) -> None:
    hashes = [etcdctl(url, "endpoint hashkv").split(",")[1] for url in served.urls]
    assert len(set(hashes)) == 1


def test_leadership_moves_on_request(served: Served) -> None:
    status = etcdctl(served.url, "endpoint status -w fields")
    found = re.search(r'"Leader" : (\d+)', status)
    assert found
    leader = int(found[1])
    target = leader % 3 + 1
    printed = etcdctl(served.urls[leader - 1], f"move-leader {target:x}")
    assert f"Leadership transferred from {leader:x} to {target:x}" in printed


def test_locks_and_elections_are_built_on_it(served: Served) -> None:
    assert "locked" in etcdctl(served.url, "lock ctl/lock echo locked")
    assert ETCDCTL is not None
    with subprocess.Popen(
        [ETCDCTL, "elect", "ctl/elect", "candidate"],
        stdout=subprocess.PIPE,
        env={**os.environ, "ETCDCTL_API": "3", "ETCDCTL_ENDPOINTS": served.url},
    ) as candidate:
        try:
            assert candidate.stdout is not None
            assert candidate.stdout.readline().startswith(b"ctl/elect/")
            assert candidate.stdout.readline() == b"candidate\n"
        finally:
            candidate.kill()
