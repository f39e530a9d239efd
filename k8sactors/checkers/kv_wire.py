"""Requests and answers of a recorded history in the form in which the store's wire has them.

A history speaks of keys without the prefix under which the clients of a run keep them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from k8sactors.checkers.kv_history import Action, ActionKind, Outcome, Refusal, Request, Result
from raftstore.errors import (
    COMPACTED,
    FUTURE_REVISION,
    LEASE_EXISTS,
    LEASE_NOT_FOUND,
    Status,
)
from raftstore.wire import (
    OP_RANGE,
    CompactionRequest,
    Compare,
    DeleteRangeRequest,
    LeaseGrantRequest,
    LeaseKeepAliveRequest,
    LeaseRevokeRequest,
    PutRequest,
    RangeRequest,
    TxnRequest,
)
from raftstore.wire.base import COMPARE_CREATE, COMPARE_VALUE, EQUAL

# Answers that tell something of the store's state.
REFUSALS = {
    LEASE_NOT_FOUND: Refusal.LEASE_NOT_FOUND,
    LEASE_EXISTS: Refusal.LEASE_EXISTS,
    COMPACTED: Refusal.COMPACTED,
    FUTURE_REVISION: Refusal.FUTURE_REVISION,
}

Message = (
    RangeRequest
    | TxnRequest
    | LeaseGrantRequest
    | LeaseRevokeRequest
    | LeaseKeepAliveRequest
    | CompactionRequest
)

_READS = frozenset((ActionKind.GET, ActionKind.RANGE))


def to_message(request: Request, prefix: str) -> Message:
    """What a client sends for a request: a read alone takes another way than a transaction."""
    (action, *others) = request.success or (None,)
    if action is None or others or request.compares:
        return _to_txn(request, prefix)
    match action.kind:
        case ActionKind.GET | ActionKind.RANGE:
            return _to_range(action, prefix, request.revision, serializable=request.serializable)
        case ActionKind.GRANT:
            return LeaseGrantRequest(action.ttl_s, action.lease)
        case ActionKind.REVOKE:
            return LeaseRevokeRequest(action.lease)
        case ActionKind.KEEP_ALIVE:
            return LeaseKeepAliveRequest(action.lease)
        case ActionKind.COMPACT:
            return CompactionRequest(action.revision)
        case _:
            return _to_txn(request, prefix)


def _to_txn(request: Request, prefix: str) -> TxnRequest:
    compares = [
        Compare(EQUAL, COMPARE_CREATE, _key(prefix, compare.key), 0)
        if compare.value is None
        else Compare(EQUAL, COMPARE_VALUE, _key(prefix, compare.key), compare.value)
        for compare in request.compares
    ]
    success, failure = (
        [_to_operation(action, prefix) for action in branch]
        for branch in (request.success, request.failure)
    )
    return TxnRequest(compares, success, failure)


def _to_range(
    action: Action, prefix: str, revision: int = 0, *, serializable: bool = False
) -> RangeRequest:
    end = _key(prefix, action.end) if action.end else b""
    key = _key(prefix, action.key)
    return RangeRequest(key, end, revision=revision, serializable=serializable)


def _to_operation(action: Action, prefix: str) -> PutRequest | RangeRequest | DeleteRangeRequest:
    key = _key(prefix, action.key)
    if action.kind is ActionKind.PUT:
        return PutRequest(key, action.value, action.lease)
    if action.kind in _READS:
        return _to_range(action, prefix)
    return DeleteRangeRequest(key, _key(prefix, action.end) if action.end else b"")


def _key(prefix: str, key: str) -> bytes:
    return (prefix + key).encode()


def to_outcome(request: Request, answer: Sequence[Any], prefix: str) -> Outcome:
    """What an answer tells: the fields of a response, its header first."""
    revision = answer[0][2]
    if len(request.success) == 1 and not request.compares:
        (action,) = request.success
        match action.kind:
            case ActionKind.GET | ActionKind.RANGE:
                return Outcome(True, (_found(action, answer[1], prefix),), revision)
            case ActionKind.KEEP_ALIVE:
                return Outcome(True, (max(0, answer[2]),), revision)
            case ActionKind.GRANT | ActionKind.REVOKE | ActionKind.COMPACT:
                return Outcome(True, (None,), revision)
            case _:
                pass
    succeeded, items = answer[1:3]
    branch = request.success if succeeded else request.failure
    results = tuple(
        _result(action, item, prefix) for action, item in zip(branch, items, strict=True)
    )
    return Outcome(succeeded, results, revision)


def _result(action: Action, item: Sequence[Any], prefix: str) -> Result:
    number, fields = item
    if number == OP_RANGE:
        return _found(action, fields[1], prefix)
    if action.kind in (ActionKind.DELETE, ActionKind.DELETE_RANGE):
        deleted: int = fields[1]
        return deleted
    return None


def _found(action: Action, kvs: Sequence[Sequence[Any]], prefix: str) -> Result:
    if action.kind is ActionKind.RANGE:
        return tuple((kv[0].decode().removeprefix(prefix), kv[4]) for kv in kvs)
    value: bytes | None = kvs[0][4] if kvs else None
    return value


def refused(status: Status) -> Outcome | None:
    """What a refusal tells; None if it tells nothing of the store's state."""
    refusal = REFUSALS.get(status)
    return None if refusal is None else Outcome(refusal=refusal)
