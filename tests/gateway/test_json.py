"""The JSON gateway, health, version and metrics, asked as curl would ask."""

from __future__ import annotations

import base64
import http.client
import json
from typing import Any

import pytest

from tests.gateway.served import ASK_TIMEOUT_S, Served, ask, post


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def test_a_key_can_be_put_read_and_deleted(served: Served) -> None:
    status, answer = post(served, "/v3/kv/put", {"key": b64("json/a"), "value": b64("1")})
    assert status == 200
    revision = answer["header"]["revision"]
    assert isinstance(revision, str), "64-bit integers are strings in protobuf's JSON"
    status, answer = post(served, "/v3/kv/range", {"key": b64("json/a")})
    assert answer["count"] == "1"
    assert answer["kvs"] == [
        {
            "key": b64("json/a"),
            "create_revision": revision,
            "mod_revision": revision,
            "version": "1",
            "value": b64("1"),
        }
    ]
    request = {"key": b64("json/"), "range_end": b64("json0"), "prev_kv": True}
    status, answer = post(served, "/v3/kv/deleterange", request)
    assert (answer["deleted"], len(answer["prev_kvs"])) == ("1", 1)


def test_a_transaction_chooses_its_branch(served: Served) -> None:
    request = {
        "compare": [{"key": b64("json/t"), "target": "CREATE", "create_revision": "0"}],
        "success": [{"requestPut": {"key": b64("json/t"), "value": b64("new")}}],
        "failure": [{"request_range": {"key": b64("json/t")}}],
    }
    _, first = post(served, "/v3/kv/txn", request)
    _, second = post(served, "/v3/kv/txn", request)
    assert first["succeeded"] is True
    assert "succeeded" not in second, "fields of value zero are left out"
    (found,) = second["responses"][0]["response_range"]["kvs"]
    assert found["value"] == b64("new")


def test_a_lease_lives_and_ends(served: Served) -> None:
    _, granted = post(served, "/v3/lease/grant", {"TTL": 60})
    assert granted["TTL"] == "60"
    lease = {"ID": granted["ID"]}
    post(served, "/v3/kv/put", {"key": b64("json/l"), "lease": granted["ID"]})
    _, left = post(served, "/v3/lease/timetolive", {**lease, "keys": True})
    assert (left["grantedTTL"], left["keys"]) == ("60", [b64("json/l")])
    _, renewed = post(served, "/v3/lease/keepalive", lease)
    assert renewed["result"]["TTL"] == "60"
    assert post(served, "/v3/lease/revoke", lease)[0] == 200
    assert "kvs" not in post(served, "/v3/kv/range", {"key": b64("json/l")})[1]


def test_a_watch_streams_one_result_per_line(served: Served) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=ASK_TIMEOUT_S)
    try:
        request = {"create_request": {"key": b64("json/w")}}
        connection.request("POST", "/v3/watch", json.dumps(request))
        stream = connection.getresponse()
        created = json.loads(stream.readline())["result"]
        assert created["created"] is True
        post(served, "/v3/kv/put", {"key": b64("json/w"), "value": b64("x")})
        (event,) = json.loads(stream.readline())["result"]["events"]
        assert event["kv"]["value"] == b64("x")
        assert "type" not in event, "PUT is zero"
    finally:
        connection.close()


def test_the_cluster_and_its_members_tell_about_themselves(served: Served) -> None:
    _, listed = post(served, "/v3/cluster/member/list", {})
    assert [member["clientURLs"] for member in listed["members"]] == [[u] for u in served.urls]
    _, status = post(served, "/v3/maintenance/status", {})
    assert status["header"]["member_id"] == "1"
    assert status["leader"] in {"1", "2", "3"}
    assert post(served, "/v3/maintenance/alarm", {})[1].get("alarms", []) == []
    assert ask(served, "GET", "/health") == (200, b'{"health":"true","reason":""}')
    assert json.loads(ask(served, "GET", "/version")[1])["etcdserver"] == "3.6.0"


def test_metrics_have_etcds_names(served: Served) -> None:
    post(served, "/v3/kv/put", {"key": b64("json/m")})
    status, body = ask(served, "GET", "/metrics")
    values = dict(
        line.rsplit(" ", 1) for line in body.decode().splitlines() if not line.startswith("#")
    )
    assert status == 200
    assert values["etcd_server_has_leader"] == "1.0"
    assert values['etcd_server_id{server_id="1"}'] == "1.0"
    assert float(values["etcd_debugging_mvcc_current_revision"]) > 1
    assert float(values["etcd_network_client_grpc_received_bytes_total"]) > 0


@pytest.mark.parametrize(
    ("path", "body", "status", "code", "text"),
    [
        ("/v3/kv/put", b"{}", 400, 3, "etcdserver: key is not provided"),
        (
            "/v3/kv/range",
            b'{"key": "YQ==", "revision": "99999999"}',
            400,
            11,
            "etcdserver: mvcc: required revision is a future revision",
        ),
        ("/v3/lease/revoke", b'{"ID": 7}', 404, 5, "etcdserver: requested lease not found"),
        (
            "/v3/kv/put",
            b'{"key": "YQ==", "lease": 7}',
            404,
            5,
            "etcdserver: requested lease not found",
        ),
        (
            "/v3/kv/txn",
            b'{"success": [{"requestPut": {"key": "YQ=="}}, {"requestPut": {"key": "YQ=="}}]}',
            400,
            3,
            "etcdserver: duplicate key given in txn request",
        ),
        ("/v3/kv/txn", b'{"success": [{}]}', 400, 3, "etcdserver: key not found"),
        ("/v3/nothing", b"{}", 404, 5, "Not Found"),
    ],
)
def test_refusals_have_etcds_codes_and_texts(
    served: Served, path: str, body: bytes, status: int, code: int, text: str
) -> None:
    found, answer = ask(served, "POST", path, body)
    assert (found, json.loads(answer)) == (status, {"code": code, "message": text})


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[]",
        b"7",
        b"\xff\xfe",
        b'{"key": 5}',
        b'{"key": "*"}',
        b"null",
        b'{"key": "YQ==", "range_end": "a b"}',
        b'{"key": "YQ==", "range_end": "Y"}',
        b'{"key": "YQ==", "limit": "x"}',
        b'{"key": "YQ==", "limit": 99999999999999999999}',
        b'{"key": {"a": 1}}',
        b"[" * 100_000,
    ],
)
def test_malformed_requests_are_refused(served: Served, body: bytes) -> None:
    status, answer = ask(served, "POST", "/v3/kv/range", body)
    assert (status, json.loads(answer)["code"]) == (400, 3), answer


def test_a_request_of_more_than_the_limit_is_refused(served: Served) -> None:
    large = {"key": b64("json/large"), "value": "QUFB" * (512 << 10)}
    assert post(served, "/v3/kv/put", large) == (
        400,
        {"code": 3, "message": "etcdserver: request is too large"},
    )
    assert ask(served, "POST", "/v3/kv/put", b" " * (4 << 20))[0] == 429


def test_only_post_reaches_a_method(served: Served) -> None:
    assert ask(served, "GET", "/v3/kv/range")[0] == 405


def test_members_are_added_moved_and_removed(served: Served) -> None:
    def change(verb: str, **fields: object) -> tuple[int, dict[str, Any]]:
        return post(served, f"/v3/cluster/member/{verb}", fields)

    _, before = change("list", linearizable=True)
    status, added = change("add", peerURLs=["http://127.0.0.1:9"], isLearner=True)
    number = added["member"]["ID"]
    assert (status, added["member"]) == (
        200,
        {"ID": number, "peerURLs": ["http://127.0.0.1:9"], "isLearner": True},
    )
    assert added["members"] == [*before["members"], added["member"]]
    refusals = [
        change("add", peerURLs=["http://127.0.0.1:9"]),
        change("add", peerURLs=["nowhere"]),
        change("promote", ID=number),
        change("promote", ID=before["members"][0]["ID"]),
        change("remove", ID="77"),
    ]
    said = [(code, answer["code"], answer["message"]) for code, answer in refusals]
    assert said == [
        (400, 9, "etcdserver: Peer URLs already exists"),
        (400, 3, "etcdserver: given member URLs are invalid"),
        (400, 9, "etcdserver: can only promote a learner member which is in sync with leader"),
        (400, 9, "etcdserver: can only promote a learner member"),
        (404, 5, "etcdserver: member not found"),
    ]
    _, moved = change("update", ID=number, peerURLs=["http://127.0.0.1:19"])
    assert moved["members"][-1]["peerURLs"] == ["http://127.0.0.1:19"]
    _, left = change("remove", ID=number)
    assert left["members"] == before["members"]
