"""What a client asks of a member (etcdserverpb's requests)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Self

import attrs

from raftstore.wire.base import OP_DELETE_RANGE, OP_PUT, OP_RANGE, OP_TXN, SORT_KEY, SORT_NONE, Wire


@attrs.define
class RangeRequest(Wire):
    r"""Keys in [key, range_end); range_end b"" means the one key, b"\0" all keys from key on."""

    op = "range"
    key: bytes
    range_end: bytes = b""
    limit: int = 0
    revision: int = 0
    sort_order: int = SORT_NONE
    sort_target: int = SORT_KEY
    serializable: bool = False
    keys_only: bool = False
    count_only: bool = False
    min_mod_revision: int = 0
    max_mod_revision: int = 0
    min_create_revision: int = 0
    max_create_revision: int = 0


@attrs.define
class PutRequest(Wire):
    """Write one key."""

    op = "put"
    key: bytes
    value: bytes = b""
    lease: int = 0
    prev_kv: bool = False
    ignore_value: bool = False
    ignore_lease: bool = False


@attrs.define
class DeleteRangeRequest(Wire):
    """Delete the keys in [key, range_end)."""

    op = "delete_range"
    key: bytes
    range_end: bytes = b""
    prev_kv: bool = False


@attrs.define
class Compare(Wire):
    """A condition: `target` of every key in the range stands in relation `result` to `value`."""

    result: int
    target: int
    key: bytes
    value: int | bytes = 0
    range_end: bytes = b""


TxnOperation = RangeRequest | PutRequest | DeleteRangeRequest | Any


@attrs.define
class TxnRequest(Wire):
    """If all compares hold do `success`, else `failure`; operations may be transactions again."""

    op = "txn"
    compare: list[Compare] = attrs.Factory(list)
    success: list[TxnOperation] = attrs.Factory(list)
    failure: list[TxnOperation] = attrs.Factory(list)

    def to_wire(self) -> list[Any]:
        """Operations become ``[operation number, fields]``."""
        return [
            [compare.to_wire() for compare in self.compare],
            [[OPERATION_NUMBERS[item.op], item.to_wire()] for item in self.success],
            [[OPERATION_NUMBERS[item.op], item.to_wire()] for item in self.failure],
        ]

    @classmethod
    def from_wire(cls, fields: Sequence[Any]) -> Self:
        """Rebuild the nested requests."""
        return cls(
            [Compare.from_wire(item) for item in fields[0]],
            [_REQUEST_OF[number].from_wire(item) for number, item in fields[1]],
            [_REQUEST_OF[number].from_wire(item) for number, item in fields[2]],
        )


OPERATION_NUMBERS: Final = {
    "range": OP_RANGE,
    "put": OP_PUT,
    "delete_range": OP_DELETE_RANGE,
    "txn": OP_TXN,
}
_REQUEST_OF: Final[dict[int, type[Wire]]] = {
    OP_RANGE: RangeRequest,
    OP_PUT: PutRequest,
    OP_DELETE_RANGE: DeleteRangeRequest,
    OP_TXN: TxnRequest,
}


@attrs.define
class CompactionRequest(Wire):
    """Forget what no reader at `revision` or later can see."""

    op = "compact"
    revision: int
    physical: bool = False


@attrs.define
class WatchCreateRequest(Wire):
    """Stream the changes of [key, range_end) from start_revision on (0: from now)."""

    key: bytes
    range_end: bytes = b""
    start_revision: int = 0
    progress_notify: bool = False
    filters: list[int] = attrs.Factory(list)
    prev_kv: bool = False


@attrs.define
class WatchCancelRequest(Wire):
    """End one watch."""

    watch_id: int


@attrs.define
class LeaseGrantRequest(Wire):
    """A lease of `ttl` seconds; id 0 lets the member choose."""

    op = "lease_grant"
    ttl: int
    id: int = 0


@attrs.define
class LeaseRevokeRequest(Wire):
    """End a lease and delete its keys, in one revision."""

    op = "lease_revoke"
    id: int


@attrs.define
class LeaseKeepAliveRequest(Wire):
    """Start a lease's time again."""

    op = "lease_keep_alive"
    id: int


@attrs.define
class LeaseTimeToLiveRequest(Wire):
    """Remaining seconds of a lease, and its keys if asked for."""

    op = "lease_time_to_live"
    id: int
    keys: bool = False


@attrs.define
class LeaseLeasesRequest(Wire):
    """All leases."""

    op = "lease_leases"


@attrs.define
class MemberListRequest(Wire):
    """Who belongs to the cluster."""

    op = "member_list"
    linearizable: bool = False


@attrs.define
class MemberAddRequest(Wire):
    """A new member at these addresses; a learner neither votes nor counts."""

    op = "member_add"
    peer_urls: list[str]
    is_learner: bool = False


@attrs.define
class MemberRemoveRequest(Wire):
    """The cluster continues without a member."""

    op = "member_remove"
    id: int


@attrs.define
class MemberUpdateRequest(Wire):
    """A member has moved to other addresses."""

    op = "member_update"
    id: int
    peer_urls: list[str]


@attrs.define
class MemberPromoteRequest(Wire):
    """A learner that has caught up shall vote."""

    op = "member_promote"
    id: int


@attrs.define
class MemberReplaceRequest(Wire):
    """A new member takes the place of a voter, in one step that etcd does not have."""

    op = "member_replace"
    peer_urls: list[str]
    id: int


@attrs.define
class StatusRequest(Wire):
    """How the answering member fares."""

    op = "status"


@attrs.define
class HashKVRequest(Wire):
    """Hash of the key space at a revision (0: the newest)."""

    op = "hash_kv"
    revision: int = 0


@attrs.define
class MoveLeaderRequest(Wire):
    """Hand the leadership over; only the leader can."""

    op = "move_leader"
    target_id: int


REQUESTS: Final[dict[str, type[Wire]]] = {
    kind.op: kind
    for kind in (
        RangeRequest,
        PutRequest,
        DeleteRangeRequest,
        TxnRequest,
        CompactionRequest,
        LeaseGrantRequest,
        LeaseRevokeRequest,
        LeaseKeepAliveRequest,
        LeaseTimeToLiveRequest,
        LeaseLeasesRequest,
        MemberListRequest,
        MemberAddRequest,
        MemberRemoveRequest,
        MemberUpdateRequest,
        MemberPromoteRequest,
        MemberReplaceRequest,
        StatusRequest,
        HashKVRequest,
        MoveLeaderRequest,
    )
}
