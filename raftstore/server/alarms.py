"""Alarms: what is wrong with the cluster, and what is refused while it is.

A part of the replicated state, so that all members refuse the same. As etcd's (``server/etcdserver/
api/v3alarm`` and the capped and corrupt appliers in ``server/etcdserver/apply``): under NOSPACE
nothing is taken that needs room, while reads, deletions and compactions continue; under CORRUPT
nothing is taken that changes keys or leases. An alarm belongs to the member that raised it, and
stays until it is cleared, whatever has become of its cause.
"""

from __future__ import annotations

from typing import Any, Final

from raftstore.errors import CORRUPT_CLUSTER, INVALID_ARGUMENT, NO_SPACE, Status, StoreError
from raftstore.mvcc import Store
from raftstore.mvcc.store import LEASE_BYTES, Applier
from raftstore.wire import OP_PUT, OP_RANGE, OP_TXN

NO_ALARM: Final = 0
NO_SPACE_ALARM: Final = 1
CORRUPT_ALARM: Final = 2
NAMES: Final = {NO_SPACE_ALARM: "NOSPACE", CORRUPT_ALARM: "CORRUPT"}
ACTIVATE: Final = 1
DEACTIVATE: Final = 2
# ``[action, member, alarm]``: raise or clear one.
ALARM: Final = "alarm"
# ``[alarm]``: those of a kind; 0: all.
ALARM_LIST: Final = "alarm_list"
# What stands in the log for `ALARM`.
ALARM_SET: Final = "alarm_set"
MAX_MEMBER_ID: Final = (1 << 64) - 1
MAX_ALARMS: Final = 1_000
# Counted for a put in addition to its key and value; etcd: kvOverhead in
# ``server/storage/quota.go``.
PUT_BYTES: Final = 256
_REFUSED_WHEN_CORRUPT: Final = ("put", "delete_range", "compact", "lease_grant", "lease_revoke")


class Alarms:
    """The section "alarms" of one member's store."""

    name = "alarms"

    def __init__(self, store: Store) -> None:
        self._store = store
        self._raised: dict[tuple[int, int], None] = {}
        self.writers: dict[str, Applier] = {ALARM_SET: self._set}
        store.extend(self, frozenset((ALARM_SET,)))

    def __contains__(self, raised: tuple[int, int]) -> bool:
        """Whether there is this alarm of this member."""
        return raised in self._raised

    def to_wire(self, kind: int = NO_ALARM) -> list[list[int]]:
        """``[member, alarm]`` for each, by alarm and member."""
        return [[member, alarm] for alarm, member in sorted(self._raised) if kind in {0, alarm}]

    # -- the section --------------------------------------------------------------------------

    def dump(self) -> Any:
        """The state as plain data."""
        return sorted(self._raised)

    def load(self, data: Any) -> None:
        """Replace the state by what `dump` gave; None: by no alarms."""
        self._raised = dict.fromkeys((alarm, member) for alarm, member in data or ())
        self._refuse()

    def _set(self, fields: list[Any], _now_ns: int) -> list[Any]:
        action, member, alarm = fields
        touched: list[list[int]] = []
        if action == ACTIVATE:
            if len(self._raised) < MAX_ALARMS or (alarm, member) in self._raised:
                self._raised[alarm, member] = None
                touched = [[member, alarm]]
        elif (alarm, member) in self._raised:
            del self._raised[alarm, member]
            touched = [[member, alarm]]
        self._refuse()
        return [0, [self._store.header(), touched]]

    def _refuse(self) -> None:
        """Let through what may be done under the alarms that there are."""
        kinds = {alarm for alarm, _ in self._raised}
        caps: dict[str, Applier] = {}
        if CORRUPT_ALARM in kinds:
            caps = dict.fromkeys(_REFUSED_WHEN_CORRUPT, _refusing(CORRUPT_CLUSTER))
            caps["txn"] = self._read_only_txn
        elif NO_SPACE_ALARM in kinds:
            caps = dict.fromkeys(("put", "lease_grant"), _refusing(NO_SPACE))
            caps["txn"] = self._txn_without_puts
        self._store.cap(caps)

    def _read_only_txn(self, fields: list[Any], now_ns: int) -> list[Any]:
        if not _is_read_only(fields):
            return list(CORRUPT_CLUSTER)
        return self._store.applied_as_usual["txn"](fields, now_ns)

    def _txn_without_puts(self, fields: list[Any], now_ns: int) -> list[Any]:
        if cost_bytes("txn", fields):
            return list(NO_SPACE)
        return self._store.applied_as_usual["txn"](fields, now_ns)


def _refusing(status: Status) -> Applier:
    return lambda _fields, _now_ns: list(status)


def _is_read_only(fields: list[Any]) -> bool:
    return all(
        number == OP_RANGE or (number == OP_TXN and _is_read_only(operation))
        for branch in fields[1:3]
        for number, operation in branch
    )


def cost_bytes(op: str, fields: list[Any]) -> int:
    """The room that a request may need; of a transaction's branches the larger counts."""
    if op == "put":
        return PUT_BYTES + len(fields[0]) + len(fields[1])
    if op == "txn":
        return max(_branch_bytes(fields[1]), _branch_bytes(fields[2]))
    return LEASE_BYTES if op == "lease_grant" else 0


def _branch_bytes(branch: list[Any]) -> int:
    total = 0
    for number, operation in branch:
        if number == OP_PUT:
            total += PUT_BYTES + len(operation[0]) + len(operation[1])
        elif number == OP_TXN:
            total += cost_bytes("txn", operation)
    return total


def check_alarm(fields: list[Any]) -> None:
    """Refuse to raise or clear what is no alarm; what is applied must not fail.

    Raises:
        StoreError: there is no such action, or no such alarm to raise.
        TypeError, ValueError: fields are missing, or of the wrong type.
    """
    action, member, alarm = fields
    if not all(isinstance(field, int) for field in fields) or not 0 <= member <= MAX_MEMBER_ID:
        raise TypeError("an alarm consists of numbers")
    if action not in {ACTIVATE, DEACTIVATE}:
        raise StoreError(INVALID_ARGUMENT, "etcdserver: unknown alarm action")
    if action == ACTIVATE and alarm not in NAMES:
        raise StoreError(INVALID_ARGUMENT, "etcdserver: unknown alarm")
