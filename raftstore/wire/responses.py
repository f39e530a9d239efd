"""What a member answers (etcdserverpb's responses)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import attrs
import msgpack

from raftstore.wire.base import (
    OP_DELETE_RANGE,
    OP_PUT,
    OP_RANGE,
    OP_TXN,
    Event,
    KeyValue,
    ResponseHeader,
    Wire,
    to_header,
    to_key_value,
    to_key_values,
)


@attrs.define
class Response(Wire):
    """What every answer begins with."""

    header: ResponseHeader = attrs.field(converter=to_header)


@attrs.define
class RangeResponse(Response):
    """The keys found; `count`: all in the range, whatever the limit; `more`: the limit cut some."""

    kvs: list[KeyValue] = attrs.field(factory=list, converter=to_key_values)
    more: bool = False
    count: int = 0


@attrs.define
class PutResponse(Response):
    """Answer to a put."""

    prev_kv: KeyValue | None = attrs.field(default=None, converter=to_key_value)


@attrs.define
class DeleteRangeResponse(Response):
    """Answer to a delete."""

    deleted: int = 0
    prev_kvs: list[KeyValue] = attrs.field(factory=list, converter=to_key_values)


def _responses(items: Sequence[Any]) -> list[Response]:
    return [
        item if isinstance(item, Response) else _RESPONSE_OF_OPERATION[item[0]].from_wire(item[1])
        for item in items
    ]


@attrs.define
class TxnResponse(Response):
    """Which branch ran, and its answers in order."""

    succeeded: bool = False
    responses: list[Response] = attrs.field(factory=list, converter=_responses)

    def to_wire(self) -> list[Any]:
        """Answers become ``[operation number, fields]``."""
        return [
            self.header.to_wire(),
            self.succeeded,
            [[_RESPONSE_NUMBERS[type(item)], item.to_wire()] for item in self.responses],
        ]


@attrs.define
class CompactionResponse(Response):
    """Answer to a compaction."""


@attrs.define
class LeaseGrantResponse(Response):
    """The lease granted; `ttl` may be longer than asked for."""

    id: int = 0
    ttl: int = 0
    error: str = ""


@attrs.define
class LeaseRevokeResponse(Response):
    """Answer to a revoke."""


@attrs.define
class LeaseKeepAliveResponse(Response):
    """The new time to live; 0: the lease is gone."""

    id: int = 0
    ttl: int = 0


@attrs.define
class LeaseTimeToLiveResponse(Response):
    """Seconds left; -1: the lease is gone."""

    id: int = 0
    ttl: int = -1
    granted_ttl: int = 0
    keys: list[bytes] = attrs.Factory(list)


@attrs.define
class LeaseLeasesResponse(Response):
    """Identifiers of all leases."""

    leases: list[int] = attrs.Factory(list)


@attrs.define
class Member(Wire):
    """A member of the cluster."""

    id: int
    name: str = ""
    peer_urls: list[str] = attrs.Factory(list)
    client_urls: list[str] = attrs.Factory(list)
    is_learner: bool = False


def _members(items: Sequence[Any]) -> list[Member]:
    return [item if isinstance(item, Member) else Member.from_wire(item) for item in items]


@attrs.define
class MemberListResponse(Response):
    """The members."""

    members: list[Member] = attrs.field(factory=list, converter=_members)


def _member(item: Any) -> Member:
    return item if isinstance(item, Member) else Member.from_wire(item)


@attrs.define
class MemberAddResponse(Response):
    """The new member, and all of them."""

    member: Member = attrs.field(factory=lambda: Member(0), converter=_member)
    members: list[Member] = attrs.field(factory=list, converter=_members)


@attrs.define
class MembersResponse(Response):
    """Answer to another change of the members: the members after it."""

    members: list[Member] = attrs.field(factory=list, converter=_members)


@attrs.define
class StatusResponse(Response):
    """State of the answering member; `leader` 0: it knows of none."""

    version: str = ""
    db_size: int = 0
    leader: int = 0
    raft_index: int = 0
    raft_term: int = 0
    raft_applied_index: int = 0
    errors: list[str] = attrs.Factory(list)
    db_size_in_use: int = 0
    is_learner: bool = False
    storage_version: str = ""
    db_size_quota: int = 0


@attrs.define
class HashKVResponse(Response):
    """Hash over all versions kept up to `hash_revision`."""

    hash: int = 0
    compact_revision: int = 0
    hash_revision: int = 0


@attrs.define
class MoveLeaderResponse(Response):
    """The leadership has moved."""


@attrs.define
class WatchResponse(Wire):
    """An item of a watch.

    `revision`: every matching event up to it has now been delivered, so a watch resumes at the
    next one. An item without events confirms a new watch, or is a progress notification. `events`
    is the packed list ``[[type, kv, prev_kv or None], ...]``: packed once, shared by all watchers
    of the same range.
    """

    watch_id: int
    revision: int
    compact_revision: int = 0
    cancelled: bool = False
    reason: str = ""
    events: bytes = b""

    def decode_events(self) -> list[Event]:
        """The events as objects."""
        return [Event(*fields) for fields in unpack_events(self.events)]


def unpack_events(packed: bytes) -> list[list[Any]]:
    """The events of a watch item, each ``[type, kv fields, prev_kv fields or None]``."""
    if not packed:
        return []
    events: list[list[Any]] = msgpack.unpackb(packed, use_list=True)
    return events


_RESPONSE_OF_OPERATION: Final[dict[int, type[Response]]] = {
    OP_RANGE: RangeResponse,
    OP_PUT: PutResponse,
    OP_DELETE_RANGE: DeleteRangeResponse,
    OP_TXN: TxnResponse,
}
_RESPONSE_NUMBERS: Final = {kind: number for number, kind in _RESPONSE_OF_OPERATION.items()}


RESPONSES: Final[dict[str, type[Response]]] = {
    "range": RangeResponse,
    "put": PutResponse,
    "delete_range": DeleteRangeResponse,
    "txn": TxnResponse,
    "compact": CompactionResponse,
    "lease_grant": LeaseGrantResponse,
    "lease_revoke": LeaseRevokeResponse,
    "lease_keep_alive": LeaseKeepAliveResponse,
    "lease_time_to_live": LeaseTimeToLiveResponse,
    "lease_leases": LeaseLeasesResponse,
    "member_list": MemberListResponse,
    "member_add": MemberAddResponse,
    "member_replace": MemberAddResponse,
    "member_remove": MembersResponse,
    "member_update": MembersResponse,
    "member_promote": MembersResponse,
    "status": StatusResponse,
    "hash_kv": HashKVResponse,
    "move_leader": MoveLeaderResponse,
}
