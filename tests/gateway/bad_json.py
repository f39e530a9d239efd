"""Requests of JSON over HTTP that a server has to refuse, and some that look wrong.

Each is a method of HTTP, a path, and a body: what becomes JSON, or text as it is.
"""

from __future__ import annotations

from base64 import b64encode
from typing import Any, Final

A: Final = b64encode(b"a").decode()
PUT: Final = "/v3/kv/put"
RANGE: Final = "/v3/kv/range"
TXN: Final = "/v3/kv/txn"
LEADER: Final = {"name": A, "key": A, "rev": "1", "lease": "1"}

Asked = tuple[str, str, Any]


def post(path: str, body: Any) -> Asked:
    return "POST", path, body


REFUSED_BY_METHODS: Final = [
    post(PUT, {"key": A, "value": A}),
    post(PUT, {}),
    post(PUT, ""),
    post(PUT, {"nonsense": 1}),
    post(PUT, {"key": None}),
    post(PUT, {"key": A, "nonsense": {"deep": [1]}}),
    post(PUT, {"key": A, "lease": "99"}),
    post(PUT, {"key": A, "lease": 99}),
    post(PUT, {"key": A, "prevKv": True}),
    post(PUT, {"key": A, "prev_kv": True}),
    post(PUT, {"key": A, "value": A, "ignore_value": True}),
    post(f"{PUT}?key=YQ==", {}),
    post(RANGE, {}),
    post(RANGE, {"key": A, "revision": "100"}),
    post(RANGE, {"key": A, "sort_order": "ASCEND"}),
    post(RANGE, {"key": A, "sort_order": 1}),
    post(RANGE, {"key": A, "sortOrder": "DESCEND", "sortTarget": "VALUE"}),
    post(TXN, {}),
    post(TXN, {"compare": [{"key": A, "result": "EQUAL", "target": "VERSION", "version": "1"}]}),
    post(TXN, {"success": [{"requestPut": {"key": A}}]}),
    post(TXN, {"success": [{"request_put": {"key": A}}, {"request_put": {"key": A}}]}),
    post(TXN, {"success": [{}]}),
    post("/v3/kv/deleterange", {}),
    post("/v3/kv/compaction", {"revision": "100"}),
    post("/v3/kv/compaction", {"revision": "-1"}),
    post("/v3/lease/grant", {"TTL": "9223372036854775807", "ID": "4"}),
    post("/v3/lease/revoke", {"ID": "99"}),
    post("/v3/kv/lease/revoke", {"ID": "99"}),
    post("/v3/lease/timetolive", {"ID": "99"}),
    post("/v3/lease/keepalive", {"ID": "99"}),
    post("/v3/lease/keepalive", ""),
    post("/v3/lease/leases", {}),
    post("/v3/cluster/member/add", {}),
    post("/v3/cluster/member/remove", {"ID": "1234"}),
    post("/v3/cluster/member/promote", {"ID": "1234"}),
    post("/v3/cluster/member/update", {"ID": "1234", "peerURLs": ["http://127.0.0.1:1"]}),
    post("/v3/maintenance/transfer-leadership", {"targetID": "99"}),
    post("/v3/auth/enable", {}),
    post("/v3/auth/authenticate", {"name": "x"}),
    post("/v3/auth/user/add", {}),
    post("/v3/auth/user/get", {"name": "x"}),
    post("/v3/auth/user/changepw", {"name": "x"}),
    post("/v3/auth/user/grant", {}),
    post("/v3/auth/user/revoke", {}),
    post("/v3/auth/user/delete", {}),
    post("/v3/auth/role/get", {"role": "x"}),
    post("/v3/auth/role/add", {}),
    post("/v3/auth/role/delete", {}),
    post("/v3/auth/role/revoke", {}),
    post("/v3/lock/lock", {"name": A, "lease": "99"}),
    post("/v3/lock/unlock", {}),
    post("/v3/election/leader", {"name": A}),
    post("/v3/election/proclaim", {}),
    post("/v3/election/proclaim", {"leader": LEADER}),
    post("/v3/election/resign", {}),
    post("/v3/election/campaign", {"name": A, "lease": "99"}),
]
"""Equal in code and words."""
MALFORMED: Final = [
    post(PUT, "{"),
    post(PUT, '{"a":' * 100_000),
    post(PUT, "nonsense"),
    post(PUT, "[]"),
    post(PUT, "1"),
    post(PUT, '"x"'),
    post(PUT, {"key": "%%%"}),
    post(PUT, {"key": A, "value": "not base64"}),
    post(PUT, {"key": "Y"}),
    post(PUT, {"key": 1}),
    post(PUT, {"key": True}),
    post(PUT, {"key": A, "lease": "x"}),
    post(PUT, {"key": A, "lease": 1.5}),
    post(PUT, {"key": A, "lease": "9223372036854775808"}),
    post(PUT, {"key": A, "prev_kv": "yes"}),
    post(TXN, {"success": {}}),
    post(TXN, {"success": [{"request_put": {"key": "%%%"}}]}),
]
"""Equal in status and code; each library has its own words for what is wrong."""
OTHER_PATHS: Final[list[Asked]] = [
    ("GET", PUT, None),
    ("PUT", PUT, {"key": A}),
    ("DELETE", PUT, None),
    ("POST", "/v3/nonsense", {}),
    ("POST", "/v3/maintenance/downgrade", {}),
    ("POST", f"{PUT}/", {}),
    ("GET", "/nonsense", None),
    ("GET", "/", None),
    ("POST", "/v3alpha/kv/range", {}),
    ("GET", "/v2/keys/", None),
    ("GET", "/health/", None),
    ("POST", "/health", {}),
    ("HEAD", "/health", None),
    ("PUT", "/version", {}),
    ("POST", "/version", {}),
    ("POST", "/metrics", {}),
]
"""Equal in status, and in words where they are text."""
