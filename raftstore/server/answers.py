"""What a member answers without writing: from its store, and about itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from raftstore.errors import UNKNOWN_METHOD
from raftstore.mvcc import Store
from raftstore.raft import RawNode
from raftstore.server.alarms import ALARM_LIST, NAMES, Alarms
from raftstore.server.config import MemberConfig

# The etcd release whose behaviour is followed.
VERSION: Final = "3.6.0"


class Answers:
    """Reads of one member, by the name of the request."""

    def __init__(
        self,
        config: MemberConfig,
        store: Store,
        node: RawNode,
        alarms: Alarms,
        now_ns: Callable[[], int],
    ) -> None:
        self._config = config
        self._store = store
        self._node = node
        self._alarms = alarms
        self._now_ns = now_ns
        # Whether this member is one.
        self.is_learner = False
        # What is not read from the store alone, or not now; by the name of the request.
        self.own: dict[str, Callable[[list[Any]], list[Any]]] = {
            "status": self._status,
            "defragment": self._defragment,
            "lease_keep_alive": self._keep_alive,
            "snapshot": self._snapshot,
            ALARM_LIST: self._alarm_list,
        }

    def answer(self, op: str, fields: list[Any]) -> list[Any]:
        """The payload of a ``store.response``."""
        own = self.own.get(op)
        if own is not None:
            return own(fields)
        if op in self._store.read_ops:
            return self._store.read_wire(op, fields, self._now_ns())
        return list(UNKNOWN_METHOD)

    def _keep_alive(self, fields: list[Any]) -> list[Any]:
        return self._store.keep_alive_wire(fields, self._now_ns())

    def _defragment(self, _fields: list[Any]) -> list[Any]:
        """Count again: the key space lives in memory; compaction has given room back already."""
        self._store.space.defragment()
        return [0, [self._store.header()]]

    def _alarm_list(self, fields: list[Any]) -> list[Any]:
        return [0, [self._store.header(), self._alarms.to_wire(fields[0])]]

    def _snapshot(self, _fields: list[Any]) -> list[Any]:
        """What goes with the whole state, which members of this process take by reference."""
        raft = self._node.raft
        _, (_, members) = self.own["member_list"]([])
        return [0, [self._store.header(), raft.log.applied, raft.term, VERSION, members]]

    def _status(self, _fields: list[Any]) -> list[Any]:
        raft = self._node.raft
        errors = [] if raft.leader else ["etcdserver: no leader"]
        # In the form in which etcd prints its messages.
        errors += [
            f"memberID:{member} alarm:{NAMES[alarm]} " for member, alarm in self._alarms.to_wire()
        ]
        return [
            0,
            [
                self._store.header(),
                VERSION,
                self._store.allocated_bytes,
                raft.leader,
                raft.log.committed,
                raft.term,
                raft.log.applied,
                errors,
                self._store.in_use_bytes,
                self.is_learner,
                VERSION,
                self._config.quota_bytes,
            ],
        ]
