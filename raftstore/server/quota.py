"""The quota: how much room keys and leases may take before writes that need more are refused.

As in etcd (``server/storage/quota.go``) each member looks at its own size, by `Store.
allocated_bytes`, and the one that finds no room raises the alarm NOSPACE through the log; from then
on all members refuse alike (`raftstore.server.alarms`). A write is looked at when it arrives, and
once more when it has been applied: many may have been on their way at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from raftstore.auth import AS_USER
from raftstore.errors import NO_SPACE, StoreError
from raftstore.mvcc import Store
from raftstore.raft import Entry
from raftstore.server.alarms import ACTIVATE, ALARM_SET, NO_SPACE_ALARM, Alarms, cost_bytes
from raftstore.server.requests import Respond, decode

# So many refusals wait until all members know of the lack of room; others are told at once.
MAX_WAITING = 1_000

Submit = Callable[[str, list[Any], Respond], None]


class Quota:
    """The quota of one member; `limit_bytes` 0: there is none."""

    def __init__(
        self, limit_bytes: int, member_id: int, store: Store, alarms: Alarms, submit: Submit
    ) -> None:
        self.limit_bytes = limit_bytes
        self._store = store
        self._alarms = alarms
        self._submit = submit
        self._own_alarm = (NO_SPACE_ALARM, member_id)
        self._raising = False
        self._refused: list[Respond] = []

    def admits(self, op: str, fields: list[Any]) -> bool:
        """Whether there is room for a write."""
        cost = _cost_bytes(op, fields)
        return not cost or self._store.allocated_bytes + cost < self.limit_bytes

    def refuse(self, respond: Respond) -> None:
        """Answer that there is no room, when all members know it."""
        if self._own_alarm in self._alarms or len(self._refused) >= MAX_WAITING:
            respond(list(NO_SPACE))
            return
        self._refused.append(respond)
        self._raise()

    @property
    def is_exceeded(self) -> bool:
        """Whether there is less room than none, and no alarm tells of it."""
        return (
            self._store.allocated_bytes > self.limit_bytes and self._own_alarm not in self._alarms
        )

    def applied(self, entries: Iterable[Entry]) -> None:
        """These have been applied beyond the quota: raise the alarm if it was them that grew."""
        if not self._raising and any(
            _cost_bytes(*decode(data)) for _, _, kind, data in entries if not kind
        ):
            self._raise()

    def _raise(self) -> None:
        if self._raising:
            return
        self._raising = True
        alarm, member_id = self._own_alarm
        try:
            self._submit(ALARM_SET, [ACTIVATE, member_id, alarm], self._raised)
        except StoreError as refusal:
            self._raised(refusal.to_wire())

    def _raised(self, _payload: list[Any]) -> None:
        """Or not, for lack of a quorum: there is no room all the same."""
        self._raising = False
        refused, self._refused = self._refused, []
        for respond in refused:
            respond(list(NO_SPACE))


def _cost_bytes(op: str, fields: list[Any]) -> int:
    if op == AS_USER:
        op, fields = fields[2:]
    return cost_bytes(op, fields)
