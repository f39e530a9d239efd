"""Checks of a request before it is proposed (etcd: server/etcdserver/api/v3rpc/key.go)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

from raftstore.errors import (
    DUPLICATE_KEY,
    EMPTY_KEY,
    INVALID_SORT_OPTION,
    LEASE_PROVIDED,
    TOO_MANY_OPERATIONS,
    VALUE_PROVIDED,
    StoreError,
)
from raftstore.mvcc.intervals import covers
from raftstore.wire import OP_DELETE_RANGE, OP_PUT, OP_RANGE, OP_TXN, SORT_DESCEND, SORT_VALUE

MAX_TXN_OPERATIONS: Final = 128

Interval = tuple[bytes, bytes | None]


def check_request(op: str, fields: list[Any]) -> None:
    """Raise StoreError for a request that no state of the store could carry out."""
    check = _CHECKS.get(op)
    if check is not None:
        check(fields)


def _check_range(fields: list[Any]) -> None:
    if not fields[0]:
        raise StoreError(*EMPTY_KEY)
    if not 0 <= fields[4] <= SORT_DESCEND or not 0 <= fields[5] <= SORT_VALUE:
        raise StoreError(*INVALID_SORT_OPTION)


def _check_put(fields: list[Any]) -> None:
    key, value, lease, _, ignore_value, ignore_lease = fields
    if not key:
        raise StoreError(*EMPTY_KEY)
    if ignore_value and value:
        raise StoreError(*VALUE_PROVIDED)
    if ignore_lease and lease:
        raise StoreError(*LEASE_PROVIDED)


def _check_delete_range(fields: list[Any]) -> None:
    if not fields[0]:
        raise StoreError(*EMPTY_KEY)


def _check_txn(fields: list[Any]) -> None:
    _check_operations(fields)
    for branch in fields[1:3]:
        # One operation cannot meet itself: the common case needs no search.
        if len(branch) > 1 or (branch and branch[0][0] == OP_TXN):
            _collect_writes(branch)


def _check_operations(fields: list[Any]) -> None:
    compares, success, failure = fields
    if max(len(compares), len(success), len(failure)) > MAX_TXN_OPERATIONS:
        raise StoreError(*TOO_MANY_OPERATIONS)
    for compare in compares:
        if not compare[2]:
            raise StoreError(*EMPTY_KEY)
    for branch in (success, failure):
        for number, operation in branch:
            _OPERATION_CHECKS[number](operation)


def _collect_writes(branch: list[Any]) -> tuple[dict[bytes, None], list[Interval]]:
    """Keys put and ranges deleted by one branch; a key written twice in one revision is refused.

    The two branches of a nested transaction exclude each other, so they may write the same keys.
    """
    puts: dict[bytes, None] = {}
    deletes: list[Interval] = []
    for number, operation in branch:
        if number == OP_DELETE_RANGE:
            deletes.append(_interval(operation))
    for number, operation in branch:
        if number == OP_PUT:
            _add_puts(puts, deletes, (operation[0],))
        elif number == OP_TXN:
            inner = [_collect_writes(side) for side in operation[1:3]]
            for inner_puts, inner_deletes in inner:
                if any(covers(*gap, key) for gap in inner_deletes for key in puts):
                    raise StoreError(*DUPLICATE_KEY)
                if any(key in puts for key in inner_puts):
                    raise StoreError(*DUPLICATE_KEY)
            for inner_puts, _ in inner:
                _add_puts(puts, deletes, (key for key in inner_puts if key not in puts))
            for _, inner_deletes in inner:
                deletes += inner_deletes
    return puts, deletes


def _add_puts(
    puts: dict[bytes, None], deletes: list[Interval], keys: Iterator[bytes] | tuple[bytes, ...]
) -> None:
    for key in keys:
        if key in puts or any(covers(*gap, key) for gap in deletes):
            raise StoreError(*DUPLICATE_KEY)
        puts[key] = None


def _interval(fields: list[Any]) -> Interval:
    key, range_end = fields[0], fields[1]
    if not range_end:
        return key, key + b"\0"
    return key, None if range_end == b"\0" else range_end


_OPERATION_CHECKS: Final[dict[int, Callable[[list[Any]], None]]] = {
    OP_RANGE: _check_range,
    OP_PUT: _check_put,
    OP_DELETE_RANGE: _check_delete_range,
    OP_TXN: _check_operations,
}
_CHECKS: Final[dict[str, Callable[[list[Any]], None]]] = {
    "range": _check_range,
    "put": _check_put,
    "delete_range": _check_delete_range,
    "txn": _check_txn,
}
