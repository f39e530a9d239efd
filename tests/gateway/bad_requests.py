"""Requests that a server has to refuse, by what is wrong with them; and some that look wrong.

All are asked of clusters that `PREPARED` has made equal: key ``a`` at the revisions 2 and 3, ``b``
at 4, ``leased`` with lease 7 at 5, history compacted at 3.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from raftstore.gateway.sizes import MAX_REQUEST_BYTES

MAX_INT64: Final = (1 << 63) - 1
MAX_ENUM: Final = (1 << 31) - 1
MANY: Final = 128
CONTROL: Final = b"a/\0/\xff"


class Bad(NamedTuple):
    """A request of a method: its fields, or bytes that need not be its protobuf."""

    name: str
    method: str
    request: Any


PREPARED: Final = [
    ("Put", {"key": b"a", "value": b"1"}),
    ("Put", {"key": b"a", "value": b"2"}),
    ("Put", {"key": b"b", "value": b"1"}),
    ("LeaseGrant", {"ID": 7, "TTL": 600}),
    ("Put", {"key": b"leased", "value": b"1", "lease": 7}),
    ("Compact", {"revision": 3}),
    ("RoleAdd", {"name": "r"}),
    ("UserAdd", {"name": "u", "password": "p"}),
]


def put(**fields: Any) -> dict[str, Any]:
    return {"request_put": fields}


def delete(**fields: Any) -> dict[str, Any]:
    return {"request_delete_range": fields}


def read(**fields: Any) -> dict[str, Any]:
    return {"request_range": fields}


def txn(*success: dict[str, Any], failure: Any = (), compare: Any = ()) -> dict[str, Any]:
    return {"compare": list(compare), "success": list(success), "failure": list(failure)}


def nested(*success: dict[str, Any], **others: Any) -> dict[str, Any]:
    return {"request_txn": txn(*success, **others)}


PUT_A: Final = put(key=b"a")
PUT_B: Final = put(key=b"b")

RANGES: Final = [
    Bad("no key", "Range", {}),
    Bad("a key of one zero byte", "Range", {"key": b"\0"}),
    Bad("an end before the key", "Range", {"key": b"b", "range_end": b"a"}),
    Bad("a negative limit", "Range", {"key": b"a", "limit": -1}),
    Bad("the smallest limit", "Range", {"key": b"a", "limit": -(1 << 63)}),
    Bad("a negative revision", "Range", {"key": b"a", "revision": -1}),
    Bad("a future revision", "Range", {"key": b"a", "revision": 100}),
    Bad("the largest revision", "Range", {"key": b"a", "revision": MAX_INT64}),
    Bad(
        "a future revision of its own state",
        "Range",
        {"key": b"a", "revision": 100, "serializable": True},
    ),
    Bad("a compacted revision", "Range", {"key": b"a", "revision": 2}),
    Bad(
        "a compacted revision, counted only",
        "Range",
        {"key": b"a", "revision": 1, "count_only": True},
    ),
    Bad("the compacted revision itself", "Range", {"key": b"a", "revision": 3}),
    Bad("an unknown sort order", "Range", {"key": b"a", "sort_order": 3}),
    Bad("an unknown sort target", "Range", {"key": b"a", "sort_order": 1, "sort_target": 5}),
    Bad("a negative sort target", "Range", {"key": b"a", "range_end": b"c", "sort_target": -1}),
    Bad("a target without an order", "Range", {"key": b"a", "range_end": b"z", "sort_target": 9}),
    Bad(
        "bounds that contradict",
        "Range",
        {"key": b"a", "range_end": b"z", "min_mod_revision": 5, "max_mod_revision": 2},
    ),
    Bad(
        "negative bounds",
        "Range",
        {"key": b"a", "range_end": b"z", "min_create_revision": -5, "max_create_revision": -2},
    ),
    Bad("keys only and count only", "Range", {"key": b"a", "keys_only": True, "count_only": True}),
]
PUTS: Final = [
    Bad("no key", "Put", {"value": b"1"}),
    Bad("nothing", "Put", {}),
    Bad("an unknown lease", "Put", {"key": b"a", "lease": 99}),
    Bad("a negative lease", "Put", {"key": b"a", "lease": -1}),
    Bad("a value that is ignored", "Put", {"key": b"a", "value": b"1", "ignore_value": True}),
    Bad("a lease that is ignored", "Put", {"key": b"a", "lease": 7, "ignore_lease": True}),
    Bad("the value of no key", "Put", {"key": b"none", "ignore_value": True}),
    Bad("the lease of no key", "Put", {"key": b"none", "ignore_lease": True}),
    Bad("both of no key", "Put", {"key": b"none", "ignore_value": True, "ignore_lease": True}),
    Bad(
        "both ignored, with both",
        "Put",
        {"key": b"a", "value": b"x", "lease": 7, "ignore_value": True, "ignore_lease": True},
    ),
    Bad("a value too large", "Put", {"key": b"a", "value": bytes(MAX_REQUEST_BYTES)}),
    Bad("a key too large", "Put", {"key": bytes(MAX_REQUEST_BYTES)}),
    Bad(
        "a message too large", "Put", {"key": b"a", "value": bytes(MAX_REQUEST_BYTES + (512 << 10))}
    ),
    Bad("a delete of nothing", "DeleteRange", {}),
    Bad("a delete with no key and an end", "DeleteRange", {"range_end": b"z"}),
    Bad("a delete with the end before the key", "DeleteRange", {"key": b"b", "range_end": b"a"}),
]
TXNS: Final = [
    Bad("nothing", "Txn", {}),
    Bad("too many operations", "Txn", txn(*[read(key=b"a")] * (MANY + 1))),
    Bad("too many operations otherwise", "Txn", txn(failure=[read(key=b"a")] * (MANY + 1))),
    Bad("too many compares", "Txn", {"compare": [{"key": b"a", "version": 1}] * (MANY + 1)}),
    Bad("too many in a nested one", "Txn", txn(nested(*[read(key=b"a")] * (MANY + 1)))),
    Bad("many in several nested ones", "Txn", txn(*[nested(*[read(key=b"a")] * 100)] * 2)),
    Bad("a key put twice", "Txn", txn(PUT_A, PUT_A)),
    Bad("a key put twice in both branches", "Txn", txn(PUT_A, failure=[PUT_A, PUT_A])),
    Bad("a key put in both branches", "Txn", txn(PUT_A, failure=[PUT_A])),
    Bad("a key put and put in a nested one", "Txn", txn(PUT_A, nested(PUT_A))),
    Bad("a key put in two nested ones", "Txn", txn(nested(PUT_A), nested(PUT_A))),
    Bad("a key put in both branches of a nested one", "Txn", txn(nested(PUT_A, failure=[PUT_A]))),
    Bad(
        "a key put in the other branch and nested",
        "Txn",
        txn(PUT_A, nested(PUT_B, failure=[PUT_A])),
    ),
    Bad("a key put two levels down", "Txn", txn(PUT_A, nested(nested(PUT_A)))),
    Bad("a key put and deleted", "Txn", txn(PUT_A, delete(key=b"a"))),
    Bad("a key deleted and put", "Txn", txn(delete(key=b"a"), PUT_A)),
    Bad("a key put and deleted in a range", "Txn", txn(PUT_B, delete(key=b"a", range_end=b"c"))),
    Bad("a key put next to a deleted range", "Txn", txn(PUT_B, delete(key=b"a", range_end=b"b"))),
    Bad(
        "a key deleted in a nested range",
        "Txn",
        txn(PUT_B, nested(delete(key=b"a", range_end=b"c"))),
    ),
    Bad(
        "a key put in a nested one and deleted",
        "Txn",
        txn(nested(PUT_B), delete(key=b"a", range_end=b"c")),
    ),
    Bad("a key deleted twice", "Txn", txn(delete(key=b"zz"), delete(key=b"zz"))),
    Bad(
        "ranges deleted that overlap",
        "Txn",
        txn(delete(key=b"y", range_end=b"zz"), delete(key=b"z", range_end=b"zzz")),
    ),
    Bad("an invalid operation", "Txn", txn({})),
    Bad("an invalid nested operation", "Txn", txn(nested({}))),
    Bad("an invalid operation, not carried out", "Txn", txn(failure=[{}])),
    Bad("a put without a key", "Txn", txn(put(value=b"1"))),
    Bad("a read without a key", "Txn", txn(read())),
    Bad("a delete without a key", "Txn", txn(delete())),
    Bad("a put without a key, not carried out", "Txn", txn(failure=[put()])),
    Bad("a nested put without a key", "Txn", txn(nested(put()))),
    Bad("a put with an unknown lease", "Txn", txn(put(key=b"a", lease=99))),
    Bad(
        "a put with an unknown lease, not carried out",
        "Txn",
        txn(failure=[put(key=b"a", lease=99)]),
    ),
    Bad("a value that is ignored", "Txn", txn(put(key=b"a", value=b"1", ignore_value=True))),
    Bad("a lease that is ignored", "Txn", txn(put(key=b"a", lease=7, ignore_lease=True))),
    Bad("the value of no key", "Txn", txn(put(key=b"none", ignore_value=True))),
    Bad("the lease of no key", "Txn", txn(put(key=b"none", ignore_lease=True))),
    Bad(
        "the value of no key after a put of another",
        "Txn",
        txn(PUT_A, put(key=b"none", ignore_value=True)),
    ),
    Bad("a read in the future", "Txn", txn(PUT_A, read(key=b"a", revision=100))),
    Bad("a compacted read", "Txn", txn(PUT_A, read(key=b"a", revision=1))),
    Bad("a compacted read, nested", "Txn", txn(nested(PUT_A, read(key=b"a", revision=1)))),
    Bad("a read with an unknown order", "Txn", txn(read(key=b"a", sort_order=7))),
    Bad("a read with an unknown target", "Txn", txn(read(key=b"a", sort_order=1, sort_target=7))),
    Bad("a compare without a key", "Txn", {"compare": [{"version": 1}]}),
    Bad("a compare without a union", "Txn", {"compare": [{"key": b"a", "target": 3}]}),
    Bad(
        "a compare of a value with a version",
        "Txn",
        {"compare": [{"key": b"a", "target": 3, "version": 1}]},
    ),
    Bad(
        "a compare of a version with a value",
        "Txn",
        {"compare": [{"key": b"a", "target": 0, "value": b"1"}]},
    ),
    Bad(
        "a compare with an unknown target",
        "Txn",
        {"compare": [{"key": b"a", "target": 9, "version": 1}]},
    ),
    Bad(
        "a compare with an unknown result",
        "Txn",
        {"compare": [{"key": b"a", "result": 9, "version": 1}]},
    ),
    Bad("a nested compare without a key", "Txn", txn(nested(compare=[{"version": 1}]))),
    Bad(
        "a compare with an end before the key",
        "Txn",
        {"compare": [{"key": b"b", "range_end": b"a", "version": 1}]},
    ),
    Bad("a value too large", "Txn", txn(put(key=b"a", value=bytes(MAX_REQUEST_BYTES)))),
    Bad(
        "values too large together",
        "Txn",
        txn(*[put(key=b"k%d" % n, value=bytes(MAX_REQUEST_BYTES // 2)) for n in range(2)]),
    ),
]
HISTORY: Final = [
    Bad("nothing", "HashKV", {"revision": 100}),
    Bad("before the compaction", "HashKV", {"revision": 2}),
    Bad("negative", "HashKV", {"revision": -1}),
    Bad("the future", "Compact", {"revision": 100}),
    Bad("the compacted", "Compact", {"revision": 3}),
    Bad("before the compacted", "Compact", {"revision": 1}),
    Bad("negative", "Compact", {"revision": -1}),
    Bad("the future, physically", "Compact", {"revision": MAX_INT64, "physical": True}),
]
LEASES: Final = [
    Bad("a time to live of nothing", "LeaseGrant", {"ID": 50}),
    Bad("a negative time to live", "LeaseGrant", {"ID": 51, "TTL": -1}),
    Bad("the smallest time to live", "LeaseGrant", {"ID": 52, "TTL": -(1 << 63)}),
    Bad("a time to live too large", "LeaseGrant", {"ID": 53, "TTL": 9_000_000_001}),
    Bad("the largest time to live", "LeaseGrant", {"ID": 54, "TTL": MAX_INT64}),
    Bad("an id that is taken", "LeaseGrant", {"ID": 7, "TTL": 60}),
    Bad("an id that is taken, for too long", "LeaseGrant", {"ID": 7, "TTL": MAX_INT64}),
    Bad("a negative id", "LeaseGrant", {"ID": -3, "TTL": 60}),
    Bad("unknown", "LeaseRevoke", {"ID": 99}),
    Bad("none", "LeaseRevoke", {}),
    Bad("unknown", "LeaseTimeToLive", {"ID": 99}),
    Bad("none", "LeaseTimeToLive", {"keys": True}),
    Bad("unknown", "LeaseKeepAlive", {"ID": 99}),
    Bad("none", "LeaseKeepAlive", {}),
    Bad("negative", "LeaseKeepAlive", {"ID": -1}),
]
MEMBERS: Final = [
    Bad("no address", "MemberAdd", {}),
    Bad("an invalid address", "MemberAdd", {"peerURLs": ["nonsense"]}),
    Bad("an empty address", "MemberAdd", {"peerURLs": [""]}),
    Bad("an address without a port", "MemberAdd", {"peerURLs": ["http://127.0.0.1"]}),
    Bad("an address with a path", "MemberAdd", {"peerURLs": ["http://127.0.0.1:1/path"]}),
    Bad("an address of another kind", "MemberAdd", {"peerURLs": ["ftp://127.0.0.1:1"]}),
    Bad("a good and a bad address", "MemberAdd", {"peerURLs": ["http://127.0.0.1:1", "x"]}),
    Bad("unknown", "MemberRemove", {"ID": 99}),
    Bad("none", "MemberRemove", {}),
    Bad("unknown", "MemberUpdate", {"ID": 99, "peerURLs": ["http://127.0.0.1:1"]}),
    Bad("no address", "MemberUpdate", {"ID": 99}),
    Bad("a bad address", "MemberUpdate", {"ID": 99, "peerURLs": ["x"]}),
    Bad("unknown", "MemberPromote", {"ID": 99}),
    Bad("none", "MemberPromote", {}),
    Bad("unknown", "MoveLeader", {"targetID": 99}),
    Bad("none", "MoveLeader", {}),
]
ALARMS: Final = [
    Bad("an unknown action", "Alarm", {"action": 9}),
    Bad("an unknown alarm", "Alarm", {"alarm": 9}),
    Bad("to clear what is not raised", "Alarm", {"action": 2, "memberID": 99, "alarm": 1}),
]
ACCOUNTS: Final = [
    Bad("no name", "UserAdd", {"password": "p"}),
    Bad("no password", "UserAdd", {"name": "empty"}),
    Bad("a name that is taken", "UserAdd", {"name": "u", "password": "p"}),
    Bad("unknown", "UserGet", {"name": "stranger"}),
    Bad("no name", "UserGet", {}),
    Bad("unknown", "UserDelete", {"name": "stranger"}),
    Bad("no name", "UserDelete", {}),
    Bad("unknown", "UserChangePassword", {"name": "stranger", "password": "p"}),
    Bad("no name", "UserChangePassword", {}),
    Bad("to an unknown user", "UserGrantRole", {"user": "stranger", "role": "r"}),
    Bad("an unknown role", "UserGrantRole", {"user": "u", "role": "nothing"}),
    Bad("no name", "UserGrantRole", {}),
    Bad("from an unknown user", "UserRevokeRole", {"name": "stranger", "role": "r"}),
    Bad("a role that the user has not", "UserRevokeRole", {"name": "u", "role": "r"}),
    Bad("no name", "RoleAdd", {}),
    Bad("a name that is taken", "RoleAdd", {"name": "r"}),
    Bad("unknown", "RoleGet", {"role": "nothing"}),
    Bad("no name", "RoleGet", {}),
    Bad("unknown", "RoleDelete", {"role": "nothing"}),
    Bad("no name", "RoleDelete", {}),
    Bad("to an unknown role", "RoleGrantPermission", {"name": "nothing", "perm": {"key": b"a"}}),
    Bad("no permission", "RoleGrantPermission", {"name": "r"}),
    Bad(
        "a permission without a key", "RoleGrantPermission", {"name": "r", "perm": {"permType": 2}}
    ),
    Bad(
        "an end before the key",
        "RoleGrantPermission",
        {"name": "r", "perm": {"key": b"b", "range_end": b"a"}},
    ),
    Bad(
        "an end that is the key",
        "RoleGrantPermission",
        {"name": "r", "perm": {"key": b"b", "range_end": b"b"}},
    ),
    Bad(
        "an unknown kind",
        "RoleGrantPermission",
        {"name": "r", "perm": {"permType": 9, "key": b"kind"}},
    ),
    Bad("nothing that it has", "RoleRevokePermission", {"role": "r", "key": b"zzz"}),
    Bad("of an unknown role", "RoleRevokePermission", {"role": "nothing", "key": b"a"}),
    Bad("without a root", "AuthEnable", {}),
    Bad("while there is no auth", "Authenticate", {"name": "u", "password": "p"}),
    Bad("no user, while there is no auth", "Authenticate", {}),
]
CONCURRENCY: Final = [
    Bad("no name", "Lock", {"lease": 7}),
    Bad("an unknown lease", "Lock", {"name": b"l", "lease": 99}),
    Bad("no key", "Unlock", {}),
    Bad("a key that is not held", "Unlock", {"key": b"none"}),
    Bad("an unknown lease", "Campaign", {"name": b"e", "lease": 99}),
    Bad("there is no leader", "Leader", {"name": b"nothing"}),
    Bad("no name", "Leader", {}),
    Bad("no leader", "Proclaim", {"value": b"1"}),
    Bad(
        "one who does not lead",
        "Proclaim",
        {"leader": {"name": b"e", "key": b"e/1", "rev": 1, "lease": 7}},
    ),
    Bad("no leader", "Resign", {}),
    Bad(
        "one who does not lead",
        "Resign",
        {"leader": {"name": b"e", "key": b"e/1", "rev": 1, "lease": 7}},
    ),
]
WATCHES: Final = [
    Bad("nothing", "Watch", {}),
    Bad("no key", "Watch", {"create_request": {}}),
    Bad("an end before the key", "Watch", {"create_request": {"key": b"b", "range_end": b"a"}}),
    Bad("an end that is the key", "Watch", {"create_request": {"key": b"b", "range_end": b"b"}}),
    Bad(
        "an unknown filter",
        "Watch",
        {"create_request": {"key": b"a", "filters": [9], "start_revision": 4}},
    ),
    Bad("a compacted revision", "Watch", {"create_request": {"key": b"a", "start_revision": 1}}),
    Bad("a negative id", "Watch", {"create_request": {"key": b"a", "watch_id": -1}}),
    Bad("the largest id", "Watch", {"create_request": {"key": b"a", "watch_id": MAX_INT64}}),
]
BYTES: Final = [
    Bad("noise", "Put", b"\xff" * 40),
    Bad("half a field", "Put", b"\x0a\x7fabc"),
    Bad("a number for a key", "Put", b"\x08\x01"),
    Bad("a number that does not end", "Range", b"\x10" + b"\xff" * 11),
    Bad("a group", "Range", b"\x0b\x0c"),
    Bad("a field with number zero", "Range", b"\x00\x01"),
    Bad("an unknown field", "Range", b"\x0a\x01a\xf8\x07\x01"),
    Bad("a name that is not UTF-8", "RoleGet", b"\x0a\x02\xff\xfe"),
    Bad("noise", "Txn", b"\x12\x04\xff\xff\xff\xff"),
    Bad("noise", "LeaseKeepAlive", b"\xff\xff"),
    Bad("noise", "Watch", b"\x0a\x05\xff"),
    Bad("a text for a number", "Compact", b"\x0a\x01a"),
]
GROUPS: Final = {
    "ranges": RANGES,
    "puts": PUTS,
    "transactions": TXNS,
    "history": HISTORY,
    "leases": LEASES,
    "members": MEMBERS,
    "alarms": ALARMS,
    "accounts": ACCOUNTS,
    "concurrency": CONCURRENCY,
    "watches": WATCHES,
    "bytes": BYTES,
}
