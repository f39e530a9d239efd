"""Conditions of a transaction (etcd: server/etcdserver/txn/txn.go, applyCompare)."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any, Final

from raftstore.mvcc.base import KV
from raftstore.mvcc.keyspace import KeySpace, upper_bound
from raftstore.wire import COMPARE_VALUE, OP_TXN

# Compare result (equal, greater, less, not equal) and target (version, create, mod, value, lease).
_RELATIONS: Final[tuple[Callable[[Any, Any], bool], ...]] = (
    operator.eq,
    operator.gt,
    operator.lt,
    operator.ne,
)
_TARGET_FIELDS: Final = (3, 1, 2, 4, 5)
# A key that does not exist compares as all zeros.
_ABSENT: Final[KV] = (b"", 0, 0, 0, b"", 0)


def holds(space: KeySpace, fields: list[Any]) -> bool:
    """Whether every key of the compare's range stands in the relation to its value."""
    result, target, key, value, range_end = fields
    relation, field = _RELATIONS[result], _TARGET_FIELDS[target]
    if range_end:
        found = list(space.select_live(key, upper_bound(range_end)))
        if found:
            return all(relation(kv[field], value) for kv in found)
        kv = None
    else:
        kv = space.newest(key)
    if kv is not None:
        return bool(relation(kv[field], value))
    # The wire cannot tell an absent value from an empty one, so it compares with neither.
    return target != COMPARE_VALUE and bool(relation(_ABSENT[field], value))


def choose_branches(space: KeySpace, fields: list[Any], chosen: list[bool]) -> None:
    """Append which branch each transaction takes, nested ones in order of appearance.

    All compares see the state before the whole transaction.
    """
    compares, success, failure = fields
    succeeded = True
    for compare in compares:
        if not holds(space, compare):
            succeeded = False
            break
    chosen.append(succeeded)
    for number, operation in success if succeeded else failure:
        if number == OP_TXN:
            choose_branches(space, operation, chosen)
