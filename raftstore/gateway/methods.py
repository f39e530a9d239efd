"""The methods of etcd's services: which request of a member each of them is, and its JSON paths."""

from __future__ import annotations

import json
from typing import Any, Final

from raftstore.errors import StoreError
from raftstore.gateway.auth_service import AUTH
from raftstore.gateway.cluster_service import CLUSTER
from raftstore.gateway.codes import UNIMPLEMENTED
from raftstore.gateway.election_service import ELECTION, OBSERVE
from raftstore.gateway.endpoint import Endpoint
from raftstore.gateway.health_service import CHECK, WATCH_HEALTH
from raftstore.gateway.lock_service import LOCK
from raftstore.gateway.maintenance import WHOLE_STATE
from raftstore.gateway.messages import message
from raftstore.gateway.method import PACKAGE, Method, handled, no_fields, stream, unary
from raftstore.gateway.translation import (
    Fields,
    builder,
    delete_fields,
    delete_response,
    header,
    picker,
    put_fields,
    put_response,
    range_fields,
    range_response,
    txn_fields,
    txn_response,
)
from raftstore.server.alarms import ALARM, ALARM_LIST


async def _alarm(endpoint: Endpoint, request: Any) -> Any:
    """One method in etcd; to a member, a list is a read and the rest are changes."""
    if request.action:
        fields = [request.action, request.memberID, request.alarm]
        about, alarms = await endpoint.caller.ask(ALARM, fields)
    else:
        about, alarms = await endpoint.caller.ask(ALARM_LIST, [request.alarm])
    member = message("AlarmMember")
    return message("AlarmResponse")(
        header=header(about),
        alarms=[member(memberID=number, alarm=alarm) for number, alarm in alarms],
    )


def _defragment_response(_fields: Fields) -> Any:
    return message("DefragmentResponse")()


def _leases_response(fields: Fields) -> Any:
    status = message("LeaseStatus")
    leases = [status(ID=number) for number in fields[1]]
    return message("LeaseLeasesResponse")(header=header(fields[0]), leases=leases)


KV: Final = (
    unary("KV", "Range", "range", range_fields, range_response, "/v3/kv/range"),
    unary("KV", "Put", "put", put_fields, put_response, "/v3/kv/put"),
    unary(
        "KV", "DeleteRange", "delete_range", delete_fields, delete_response, "/v3/kv/deleterange"
    ),
    unary("KV", "Txn", "txn", txn_fields, txn_response, "/v3/kv/txn"),
    unary(
        "KV",
        "Compact",
        "compact",
        picker("revision", "physical"),
        builder("CompactionResponse"),
        "/v3/kv/compaction",
        types="Compaction",
    ),
)

WATCH: Final = stream("Watch", "Watch", "Watch", "/v3/watch")
KEEP_ALIVE: Final = stream("Lease", "LeaseKeepAlive", "LeaseKeepAlive", "/v3/lease/keepalive")

LEASE: Final = (
    unary(
        "Lease",
        "LeaseGrant",
        "lease_grant",
        picker("TTL", "ID"),
        builder("LeaseGrantResponse", "ID", "TTL", "error"),
        "/v3/lease/grant",
    ),
    unary(
        "Lease",
        "LeaseRevoke",
        "lease_revoke",
        picker("ID"),
        builder("LeaseRevokeResponse"),
        "/v3/lease/revoke",
        "/v3/kv/lease/revoke",
    ),
    unary(
        "Lease",
        "LeaseTimeToLive",
        "lease_time_to_live",
        picker("ID", "keys"),
        builder("LeaseTimeToLiveResponse", "ID", "TTL", "grantedTTL", "keys"),
        "/v3/lease/timetolive",
        "/v3/kv/lease/timetolive",
    ),
    unary(
        "Lease",
        "LeaseLeases",
        "lease_leases",
        no_fields,
        _leases_response,
        "/v3/lease/leases",
        "/v3/kv/lease/leases",
    ),
    KEEP_ALIVE,
)

MAINTENANCE: Final = (
    handled(
        PACKAGE,
        "Maintenance",
        "Alarm",
        ("AlarmRequest", "AlarmResponse"),
        _alarm,
        "/v3/maintenance/alarm",
    ),
    unary(
        "Maintenance",
        "Status",
        "status",
        no_fields,
        builder(
            "StatusResponse",
            "version",
            "dbSize",
            "leader",
            "raftIndex",
            "raftTerm",
            "raftAppliedIndex",
            "errors",
            "dbSizeInUse",
            "isLearner",
            "storageVersion",
            "dbSizeQuota",
        ),
        "/v3/maintenance/status",
    ),
    unary(
        "Maintenance",
        "Defragment",
        "defragment",
        no_fields,
        _defragment_response,
        "/v3/maintenance/defragment",
    ),
    unary(
        "Maintenance",
        "HashKV",
        "hash_kv",
        picker("revision"),
        builder("HashKVResponse", "hash", "compact_revision", "hash_revision"),
        "/v3/maintenance/hashkv",
    ),
    unary(
        "Maintenance",
        "MoveLeader",
        "move_leader",
        picker("targetID"),
        builder("MoveLeaderResponse"),
        "/v3/maintenance/transfer-leadership",
    ),
)

METHODS: Final = (
    *KV,
    WATCH,
    *LEASE,
    *CLUSTER,
    *MAINTENANCE,
    *WHOLE_STATE,
    *AUTH,
    *LOCK,
    *ELECTION,
    OBSERVE,
    CHECK,
    WATCH_HEALTH,
)
BY_GRPC_PATH: Final = {method.path: method for method in METHODS}
BY_HTTP_PATH: Final = {path: method for method in METHODS for path in method.http_paths}
SERVICES: Final = tuple(dict.fromkeys(method.full_service for method in METHODS))


def find(path: str) -> Method:
    """The method behind a gRPC path.

    Raises:
        StoreError: there is none; the text is that of etcd's gRPC server.
    """
    method = BY_GRPC_PATH.get(path)
    if method is not None:
        return method
    service, slash, name = path.removeprefix("/").rpartition("/")
    if not slash:
        raise StoreError(UNIMPLEMENTED, f"malformed method name: {json.dumps(path)}")
    if service in SERVICES:
        raise StoreError(UNIMPLEMENTED, f"unknown method {name} for service {service}")
    raise StoreError(UNIMPLEMENTED, f"unknown service {service}")
