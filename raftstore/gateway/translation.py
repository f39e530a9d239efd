"""Between protobuf messages and the positional fields of `raftstore.wire`.

Requests become lists of fields; answers, which arrive as lists, become messages. Where etcd reads
a value more leniently than a member's wire (a negative limit means none), it is put right here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

import attrs

from raftstore.errors import INVALID_ARGUMENT, KEY_NOT_FOUND, StoreError
from raftstore.gateway.messages import message
from raftstore.wire import (
    COMPARE_CREATE,
    COMPARE_LEASE,
    COMPARE_MOD,
    COMPARE_VALUE,
    COMPARE_VERSION,
    OP_DELETE_RANGE,
    OP_PUT,
    OP_RANGE,
    OP_TXN,
)

Fields = list[Any]
ToFields = Callable[[Any], Fields]
FromFields = Callable[[Fields], Any]

ResponseHeader: Final = message("ResponseHeader")
KeyValue: Final = message("KeyValue", "mvccpb")
Event: Final = message("Event", "mvccpb")
RangeResponse: Final = message("RangeResponse")
PutResponse: Final = message("PutResponse")
DeleteRangeResponse: Final = message("DeleteRangeResponse")
TxnResponse: Final = message("TxnResponse")
ResponseOp: Final = message("ResponseOp")

RANGE_FIELDS: Final = (
    "key",
    "range_end",
    "limit",
    "revision",
    "sort_order",
    "sort_target",
    "serializable",
    "keys_only",
    "count_only",
    "min_mod_revision",
    "max_mod_revision",
    "min_create_revision",
    "max_create_revision",
)
LIMIT: Final = 2
PUT_FIELDS: Final = ("key", "value", "lease", "prev_kv", "ignore_value", "ignore_lease")
DELETE_FIELDS: Final = ("key", "range_end", "prev_kv")
COMPARED: Final = {
    COMPARE_VERSION: "version",
    COMPARE_CREATE: "create_revision",
    COMPARE_MOD: "mod_revision",
    COMPARE_VALUE: "value",
    COMPARE_LEASE: "lease",
}
MAX_COMPARE_RESULT: Final = 3
# Deeper nesting than any client builds; a limit on recursion, ours and the member's.
MAX_TXN_DEPTH: Final = 16


@attrs.frozen
class Picker:
    """The fields of a request with these names, in this order."""

    names: tuple[str, ...]

    def __call__(self, request: Any) -> Fields:
        """Its fields."""
        return [getattr(request, name) for name in self.names]


def picker(*names: str) -> Picker:
    """Fields of a request, in this order."""
    return Picker(names)


_pick_range: Final = picker(*RANGE_FIELDS)
put_fields: Final = picker(*PUT_FIELDS)
delete_fields: Final = picker(*DELETE_FIELDS)


def range_fields(request: Any) -> Fields:
    """RangeRequest; a negative limit is none."""
    fields = _pick_range(request)
    fields[LIMIT] = max(fields[LIMIT], 0)
    return fields


def txn_fields(request: Any, depth: int = 0) -> Fields:
    """TxnRequest, with the transactions in it.

    Raises:
        StoreError: a compare of no known kind, or an operation that says nothing.
    """
    if depth >= MAX_TXN_DEPTH:
        raise StoreError(INVALID_ARGUMENT, "etcdserver: transaction is nested too deeply")
    return [
        [_compare_fields(compare) for compare in request.compare],
        [_operation_fields(operation, depth) for operation in request.success],
        [_operation_fields(operation, depth) for operation in request.failure],
    ]


def _compare_fields(compare: Any) -> Fields:
    name = COMPARED.get(compare.target)
    if name is None or not 0 <= compare.result <= MAX_COMPARE_RESULT:
        raise StoreError(INVALID_ARGUMENT, "etcdserver: unknown compare target or result")
    return [
        compare.result,
        compare.target,
        compare.key,
        getattr(compare, name),
        compare.range_end,
    ]


def _operation_fields(operation: Any, depth: int) -> Fields:
    match operation.WhichOneof("request"):
        case "request_range":
            return [OP_RANGE, range_fields(operation.request_range)]
        case "request_put":
            return [OP_PUT, put_fields(operation.request_put)]
        case "request_delete_range":
            return [OP_DELETE_RANGE, delete_fields(operation.request_delete_range)]
        case "request_txn":
            return [OP_TXN, txn_fields(operation.request_txn, depth + 1)]
    raise StoreError(*KEY_NOT_FOUND)


# Answers


def header(fields: Sequence[int]) -> Any:
    """ResponseHeader."""
    cluster_id, member_id, revision, raft_term = fields
    return ResponseHeader(
        cluster_id=cluster_id, member_id=member_id, revision=revision, raft_term=raft_term
    )


def key_value(fields: Sequence[Any] | None) -> Any:
    """KeyValue, or None."""
    if fields is None:
        return None
    key, create_revision, mod_revision, version, value, lease = fields
    return KeyValue(
        key=key,
        create_revision=create_revision,
        mod_revision=mod_revision,
        version=version,
        value=value,
        lease=lease,
    )


def event(fields: Sequence[Any]) -> Any:
    """Event: type, version written, version before."""
    kind, written, previous = fields
    return Event(type=kind, kv=key_value(written), prev_kv=key_value(previous))


def _key_values(items: Iterable[Sequence[Any]]) -> list[Any]:
    return [key_value(item) for item in items]


def range_response(fields: Fields) -> Any:
    """RangeResponse."""
    about, kvs, more, count = fields
    return RangeResponse(header=header(about), kvs=_key_values(kvs), more=more, count=count)


def put_response(fields: Fields) -> Any:
    """PutResponse."""
    about, previous = fields
    return PutResponse(header=header(about), prev_kv=key_value(previous))


def delete_response(fields: Fields) -> Any:
    """DeleteRangeResponse."""
    about, deleted, previous = fields
    return DeleteRangeResponse(
        header=header(about), deleted=deleted, prev_kvs=_key_values(previous)
    )


def txn_response(fields: Fields) -> Any:
    """TxnResponse, with the answers of the operations that ran."""
    about, succeeded, responses = fields
    return TxnResponse(
        header=header(about),
        succeeded=succeeded,
        responses=[_operation_response(number, answer) for number, answer in responses],
    )


def _operation_response(number: int, answer: Fields) -> Any:
    if number == OP_RANGE:
        return ResponseOp(response_range=range_response(answer))
    if number == OP_PUT:
        return ResponseOp(response_put=put_response(answer))
    if number == OP_DELETE_RANGE:
        return ResponseOp(response_delete_range=delete_response(answer))
    return ResponseOp(response_txn=txn_response(answer))


@attrs.frozen
class Builder:
    """A message from a header and plain fields in this order; what is left over is ignored."""

    make: Any
    names: tuple[str, ...]

    def __call__(self, fields: Fields) -> Any:
        """The message."""
        plain = dict(zip(self.names, fields[1:], strict=False))
        return self.make(header=header(fields[0]), **plain)


def builder(name: str, *field_names: str) -> Builder:
    """Makes messages of this name from a header and fields of these names."""
    return Builder(message(name), field_names)
