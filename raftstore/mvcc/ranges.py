"""Carrying out a range request (etcd: server/etcdserver/txn/range.go)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import islice
from operator import itemgetter
from typing import Any, Final

from raftstore.mvcc.base import KV
from raftstore.mvcc.keyspace import KeySpace, upper_bound
from raftstore.wire import SORT_DESCEND, SORT_KEY, SORT_NONE

# Sort target (key, version, create, mod, value) to the field of a version.
_SORT_FIELDS: Final = (0, 3, 1, 2, 4)


def read_range(space: KeySpace, fields: list[Any], newest: int) -> list[Any]:
    """Response fields after the header: ``[kvs, more, count]``.

    `newest` is the revision that a request without one reads at: within a transaction that has
    already written, the revision being written. The caller has checked the request's revision.
    """
    key, range_end, limit, revision, order, target, _, keys_only, count_only = fields[:9]
    limit = max(limit, 0)  # as in etcd, below 0 means none
    if revision <= 0:
        revision = newest
    if not range_end:
        kv = space.find(key, revision)
        found = [] if kv is None else [kv]
        count = len(found)
        if count_only:
            return [[], False, count]
    else:
        end = upper_bound(range_end)
        at_newest = revision >= newest
        if at_newest:
            count = space.live_keys.count(key, end)
            if count_only:
                return [[], False, count]
            selected: Iterable[KV] = space.select_live(key, end)
        else:
            selected = list(space.select(key, end, revision))
            count = len(selected)
            if count_only:
                return [[], False, count]
        # As in etcd, a target without an order sorts what the limit has left.
        takes_all = not limit or order != SORT_NONE or any(fields[9:13])
        found = list(selected if takes_all else islice(selected, limit + 1))
    if any(fields[9:13]):
        found = list(filter(_revision_filter(*fields[9:13]), found))
    if order != SORT_NONE or target != SORT_KEY:
        _sort(found, order, target)
    more = 0 < limit < len(found)
    if more:
        del found[limit:]
    if keys_only:
        found = [(kv[0], kv[1], kv[2], kv[3], b"", kv[5]) for kv in found]
    return [found, more, count]


def _sort(found: list[KV], order: int, target: int) -> None:
    # A target without an order sorts upwards; keys already stand so.
    descending = order == SORT_DESCEND
    if target != SORT_KEY or descending:
        found.sort(key=itemgetter(_SORT_FIELDS[target]), reverse=descending)


def _revision_filter(
    min_mod: int, max_mod: int, min_create: int, max_create: int
) -> Callable[[KV], bool]:
    def within(kv: KV) -> bool:
        return (
            (not min_mod or kv[2] >= min_mod)
            and (not max_mod or kv[2] <= max_mod)
            and (not min_create or kv[1] >= min_create)
            and (not max_create or kv[1] <= max_create)
        )

    return within
