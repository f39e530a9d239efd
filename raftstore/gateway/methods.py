"""The methods of etcd's services: which request of a member each of them is, and its JSON paths."""

from __future__ import annotations

from typing import Any, Final

import attrs

from raftstore.errors import StoreError
from raftstore.gateway.codes import UNIMPLEMENTED
from raftstore.gateway.messages import message
from raftstore.gateway.translation import (
    Fields,
    FromFields,
    ToFields,
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

UNARY: Final = "unary"
BIDI_STREAM: Final = "bidi_stream"
PACKAGE: Final = "etcdserverpb"


@attrs.frozen
class Method:
    """One method; `op`, `to_fields` and `from_fields` mean nothing for a stream."""

    service: str
    name: str
    op: str
    request: Any
    response: Any
    to_fields: ToFields
    from_fields: FromFields
    http_paths: tuple[str, ...] = ()
    kind: str = UNARY

    @property
    def path(self) -> str:
        """Where gRPC finds it."""
        return f"/{PACKAGE}.{self.service}/{self.name}"


def _no_fields(_request: Any) -> Fields:
    return []


def _alarm_fields(request: Any) -> Fields:
    if request.action:
        raise StoreError(UNIMPLEMENTED, "etcdserver: alarms can only be listed")
    return []


def _alarm_response(fields: Fields) -> Any:
    # Nothing raises an alarm yet: the list is empty, and that is the truth.
    return message("AlarmResponse")(header=header(fields[0]))


def _defragment_response(_fields: Fields) -> Any:
    # The key space lives in memory; a compaction gives its room back at once.
    return message("DefragmentResponse")()


def _member_list_response(fields: Fields) -> Any:
    about, members = fields
    member = message("Member")
    return message("MemberListResponse")(
        header=header(about),
        members=[
            member(ID=number, name=name, peerURLs=peers, clientURLs=clients, isLearner=learner)
            for number, name, peers, clients, learner in members
        ],
    )


def _leases_response(fields: Fields) -> Any:
    status = message("LeaseStatus")
    leases = [status(ID=number) for number in fields[1]]
    return message("LeaseLeasesResponse")(header=header(fields[0]), leases=leases)


def _unary(
    service: str,
    name: str,
    op: str,
    to_fields: ToFields,
    from_fields: FromFields,
    *http_paths: str,
    types: str = "",
) -> Method:
    types = types or name
    request, response = message(f"{types}Request"), message(f"{types}Response")
    return Method(service, name, op, request, response, to_fields, from_fields, http_paths)


def _stream(service: str, name: str, types: str, *http_paths: str) -> Method:
    request, response = message(f"{types}Request"), message(f"{types}Response")
    return Method(
        service, name, "", request, response, _no_fields, _no_fields, http_paths, BIDI_STREAM
    )


KV: Final = (
    _unary("KV", "Range", "range", range_fields, range_response, "/v3/kv/range"),
    _unary("KV", "Put", "put", put_fields, put_response, "/v3/kv/put"),
    _unary(
        "KV", "DeleteRange", "delete_range", delete_fields, delete_response, "/v3/kv/deleterange"
    ),
    _unary("KV", "Txn", "txn", txn_fields, txn_response, "/v3/kv/txn"),
    _unary(
        "KV",
        "Compact",
        "compact",
        picker("revision", "physical"),
        builder("CompactionResponse"),
        "/v3/kv/compaction",
        types="Compaction",
    ),
)

WATCH: Final = _stream("Watch", "Watch", "Watch", "/v3/watch")
KEEP_ALIVE: Final = _stream("Lease", "LeaseKeepAlive", "LeaseKeepAlive", "/v3/lease/keepalive")

LEASE: Final = (
    _unary(
        "Lease",
        "LeaseGrant",
        "lease_grant",
        picker("TTL", "ID"),
        builder("LeaseGrantResponse", "ID", "TTL", "error"),
        "/v3/lease/grant",
    ),
    _unary(
        "Lease",
        "LeaseRevoke",
        "lease_revoke",
        picker("ID"),
        builder("LeaseRevokeResponse"),
        "/v3/lease/revoke",
        "/v3/kv/lease/revoke",
    ),
    _unary(
        "Lease",
        "LeaseTimeToLive",
        "lease_time_to_live",
        picker("ID", "keys"),
        builder("LeaseTimeToLiveResponse", "ID", "TTL", "grantedTTL", "keys"),
        "/v3/lease/timetolive",
        "/v3/kv/lease/timetolive",
    ),
    _unary(
        "Lease",
        "LeaseLeases",
        "lease_leases",
        _no_fields,
        _leases_response,
        "/v3/lease/leases",
        "/v3/kv/lease/leases",
    ),
    KEEP_ALIVE,
)

CLUSTER: Final = (
    _unary(
        "Cluster",
        "MemberList",
        "member_list",
        picker("linearizable"),
        _member_list_response,
        "/v3/cluster/member/list",
    ),
)

MAINTENANCE: Final = (
    _unary(
        "Maintenance",
        "Alarm",
        "status",
        _alarm_fields,
        _alarm_response,
        "/v3/maintenance/alarm",
    ),
    _unary(
        "Maintenance",
        "Status",
        "status",
        _no_fields,
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
        ),
        "/v3/maintenance/status",
    ),
    _unary(
        "Maintenance",
        "Defragment",
        "status",
        _no_fields,
        _defragment_response,
        "/v3/maintenance/defragment",
    ),
    _unary(
        "Maintenance",
        "HashKV",
        "hash_kv",
        picker("revision"),
        builder("HashKVResponse", "hash", "compact_revision", "hash_revision"),
        "/v3/maintenance/hashkv",
    ),
    _unary(
        "Maintenance",
        "MoveLeader",
        "move_leader",
        picker("targetID"),
        builder("MoveLeaderResponse"),
        "/v3/maintenance/transfer-leadership",
    ),
)

METHODS: Final = (*KV, WATCH, *LEASE, *CLUSTER, *MAINTENANCE)
BY_GRPC_PATH: Final = {method.path: method for method in METHODS}
BY_HTTP_PATH: Final = {path: method for method in METHODS for path in method.http_paths}
SERVICES: Final = tuple(dict.fromkeys(method.service for method in METHODS))


def find(path: str) -> Method:
    """The method behind a gRPC path.

    Raises:
        StoreError: there is none; the text is that of etcd's gRPC server.
    """
    method = BY_GRPC_PATH.get(path)
    if method is not None:
        return method
    service, _, name = path.removeprefix("/").rpartition("/")
    if service.removeprefix(f"{PACKAGE}.") in SERVICES:
        raise StoreError(UNIMPLEMENTED, f"unknown method {name} for service {service}")
    raise StoreError(UNIMPLEMENTED, f"unknown service {service}")
