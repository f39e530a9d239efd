"""What each request needs: nothing, permissions on keys, or the root role.

Whatever is not named here needs the root role, so that a request that is added later is not open by
oversight. Followed are etcd's ``server/etcdserver/apply/apply_auth.go`` and ``txn.CheckTxnAuth``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from raftstore.auth.ranges import READ, WRITE
from raftstore.wire import OP_DELETE_RANGE, OP_PUT, OP_RANGE

# Requests that need no login; a token that has run out does no harm.
PUBLIC_OPS: Final = frozenset(
    ("alarm_list", "lease_keep_alive", "lease_leases", "member_list", "status")
)
# Requests that any client may make that shows no token, or a valid one.
OPEN_OPS: Final = PUBLIC_OPS | {"compact", "lease_grant"}
# Requests that need permissions on the keys they name.
KEY_OPS: Final = frozenset(("range", "put", "delete_range", "txn", "lease_revoke"))


class Need(NamedTuple):
    """A permission on keys; with `lease`, on all keys that are attached to it."""

    kind: int
    key: bytes = b""
    range_end: bytes = b""
    lease: int = 0


def needs(op: str, fields: list[Any]) -> Iterator[Need]:
    """What a request of `KEY_OPS` needs, in the order in which etcd asks."""
    if op == "txn":
        yield from _txn(fields)
    elif op == "put":
        yield from _put(fields)
    elif op == "delete_range":
        yield from _delete_range(fields)
    elif op == "lease_revoke":
        yield Need(WRITE, lease=fields[0])
    else:
        yield Need(READ, fields[0], fields[1])


def _put(fields: list[Any]) -> Iterator[Need]:
    key, _, lease, prev_kv, _, _ = fields
    yield Need(WRITE, key)
    if lease:
        # Who may not delete what hangs on a lease may not hang anything on it either.
        yield Need(WRITE, lease=lease)
    if prev_kv:
        yield Need(READ, key)


def _delete_range(fields: list[Any]) -> Iterator[Need]:
    key, range_end, prev_kv = fields
    yield Need(WRITE, key, range_end)
    if prev_kv:
        yield Need(READ, key, range_end)


def _txn(fields: list[Any]) -> Iterator[Need]:
    """Compares tell of values, so they read; both branches count, whichever will run."""
    compares, success, failure = fields
    for compare in compares:
        yield Need(READ, compare[2], compare[4])
    for branch in (success, failure):
        for number, operation in branch:
            if number == OP_RANGE:
                yield Need(READ, operation[0], operation[1])
            elif number == OP_PUT:
                yield from _put(operation)
            elif number == OP_DELETE_RANGE:
                yield from _delete_range(operation)
            else:
                yield from _txn(operation)
