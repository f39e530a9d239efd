"""Quota and alarms as clients meet them: etcdctl's words, health, JSON."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from benches.ports import unused_ports
from tests.gateway.etcdctl import ETCDCTL, etcdctl, run_side_by_side
from tests.gateway.real import ETCD, WITHOUT_ETCD, real_etcd
from tests.gateway.served import Served, ask, post, start, stopping
from tests.gateway.sessions import QUOTA

QUOTA_BYTES = 500_000
ALARM = "/v3/maintenance/alarm"


@pytest.mark.skipif(
    ETCDCTL is None, reason="etcdctl is not installed (Debian: apt-get install etcd-client)"
)
@pytest.mark.skipif(ETCD is None, reason=WITHOUT_ETCD)
def test_a_cluster_out_of_room_says_what_a_real_etcd_says(tmp_path: Path) -> None:
    option = f"--quota-backend-bytes={QUOTA_BYTES}"
    with (
        stopping(start("--port", "0", "--members", "1", option)) as ours,
        real_etcd(tmp_path, 1, option) as theirs,
    ):
        urls = ours.url, theirs.url
        for command, printed, expected in run_side_by_side(urls, QUOTA):
            assert expected == printed, command
        healths = [re.sub(r',"reason":"[^"]*"', "", ask(ours, "GET", "/health")[1].decode())]
        assert healths == ['{"health":"true"}']


def test_an_alarm_makes_every_member_unhealthy_until_it_is_cleared(fresh: Served) -> None:
    alarm = {"action": "ACTIVATE", "memberID": 2, "alarm": "NOSPACE"}
    status, answer = post(fresh, ALARM, alarm)
    assert status == 200
    assert answer["alarms"] == [{"memberID": "2", "alarm": "NOSPACE"}]
    for url in fresh.urls:
        member = Served(fresh.process, [url])
        status, body = ask(member, "GET", "/health")
        assert (status, json.loads(body)) == (503, {"health": "false", "reason": "ALARM NOSPACE"})
        assert ask(member, "GET", "/health?exclude=NOSPACE")[0] == 200
        assert ask(member, "GET", "/health?exclude=CORRUPT")[0] == 503
        status, answer = post(member, "/v3/kv/put", {"key": "YQ=="})
        assert status == 429
        assert answer["code"] == 8
        assert answer["message"] == "etcdserver: mvcc: database space exceeded"
        assert post(member, ALARM, {})[1]["alarms"] == [{"memberID": "2", "alarm": "NOSPACE"}]
        assert "alarms" not in post(member, ALARM, {"alarm": "CORRUPT"})[1]
    assert post(fresh, ALARM, {**alarm, "action": "DEACTIVATE"})[0] == 200
    assert post(fresh, ALARM, {**alarm, "alarm": "CORRUPT"})[0] == 200
    assert json.loads(ask(fresh, "GET", "/health")[1])["reason"] == "ALARM CORRUPT"
    status, answer = post(fresh, "/v3/kv/put", {"key": "YQ=="})
    assert (status, answer["code"]) == (500, 15)
    assert answer["message"] == "etcdserver: corrupt cluster"
    assert post(fresh, ALARM, {**alarm, "action": "DEACTIVATE", "alarm": "CORRUPT"})[0] == 200
    assert ask(fresh, "GET", "/health")[0] == 200
    assert ask(fresh, "GET", "/health?serializable=true")[0] == 200
    assert post(fresh, "/v3/kv/put", {"key": "YQ=="})[0] == 200
    assert post(fresh, ALARM, {"action": 7})[0] == 400


def test_the_quota_is_two_gibibytes_unless_it_is_said_otherwise(fresh: Served) -> None:
    status, answer = post(fresh, "/v3/maintenance/status", {})
    assert status == 200
    assert answer["dbSizeQuota"] == str(2 << 30)
    assert answer["storageVersion"] == "3.6.0"
    with stopping(start("--port", "0", "--members", "1", "--quota-backend-bytes=-1")) as endless:
        assert "dbSizeQuota" not in post(endless, "/v3/maintenance/status", {})[1]


def test_a_member_in_a_process_of_its_own_has_a_quota_as_well(tmp_path: Path) -> None:
    place = ["--member", "a", "--data-dir", str(tmp_path / "a"), "--port", "0"]
    cluster = ["--initial-cluster", f"a=127.0.0.1:{unused_ports(1)[0]}"]
    with stopping(start(*place, *cluster, "--quota-backend-bytes=100000")) as alone:
        value = "QUFB" * 50_000
        assert post(alone, "/v3/kv/put", {"key": "YQ==", "value": value})[0] == 429
        assert post(alone, ALARM, {})[1]["alarms"] == [{"memberID": "1", "alarm": "NOSPACE"}]


@pytest.mark.skipif(
    ETCDCTL is None, reason="etcdctl is not installed (Debian: apt-get install etcd-client)"
)
def test_the_status_of_a_member_names_its_alarms(fresh: Served) -> None:
    post(fresh, ALARM, {"action": 1, "memberID": 3, "alarm": 1})
    (status,) = json.loads(etcdctl(fresh.url, "endpoint status -w json").splitlines()[0])
    assert status["Status"]["errors"] == ["memberID:3 alarm:NOSPACE "]
    assert etcdctl(fresh.urls[1], "alarm list") == "memberID:3 alarm:NOSPACE \nexit status 0"
    assert etcdctl(fresh.urls[2], "alarm disarm") == "memberID:3 alarm:NOSPACE \nexit status 0"
    assert etcdctl(fresh.url, "alarm list") == "exit status 0"
