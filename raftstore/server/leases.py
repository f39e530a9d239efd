"""The leader's duty towards leases.

Propose the revocation of what has expired, and only the leader's; write down now and then what is
left of those that no client renews (`raftstore.mvcc.lease`).

A deposed leader that was paused may believe that leases have expired that its successor keeps alive
(etcd issues 12528, 15247). Its proposals go into its own log in its own term, where they die with
it; they are never passed on to the successor, not even those that still wait when it learns of one
(`Proposals.speak_as_leader`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from raftstore.mvcc import Store
from raftstore.mvcc.lease import LEASE_CHECKPOINT, LeaseCheckpoints
from raftstore.raft import RawNode, Role
from raftstore.server.config import MemberConfig
from raftstore.units import SECOND

# A revocation that has not happened after so long is proposed again.
REPROPOSE_TICKS = 50


class LeaseKeeper:
    """Lease time of one member, running only while it leads."""

    def __init__(self, config: MemberConfig, store: Store, now_ns: Callable[[], int]) -> None:
        self._store = store
        self._now_ns = now_ns
        self._proposed: dict[int, int] = {}
        # Leases that this member has let expire, since the start.
        self.expired_count = 0
        # Whether this member leads, and keeps no time yet.
        self.begins = False
        self._extend_ns = config.election_ticks * config.tick_ns
        self._interval_ns = config.lease_checkpoint_interval_s * SECOND
        section = LeaseCheckpoints(lambda: store.leases, store.header)
        store.extend(section, frozenset((LEASE_CHECKPOINT,)))

    def set_leading(self, *, leading: bool) -> None:
        """Leadership came or went."""
        self._proposed = {}
        self.begins = leading
        if self._store.leases.primary:
            self._store.leases.demote()

    def applied(self, term: int, raft_term: int) -> None:
        """An entry of this term was applied, while a new leader's time has not begun yet.

        With the first one of its own term it knows all that its predecessors have written down.
        """
        if term == raft_term:
            self.begins = False
            leases = self._store.leases
            leases.checkpoint_interval_ns = self._interval_ns
            leases.promote(self._now_ns(), self._extend_ns)

    def may_revoke(self, node: RawNode) -> bool:
        """Only a leader that has committed in its own term speaks for the cluster."""
        return node.raft.role is Role.LEADER and node.raft.committed_in_own_term()

    def expired(self, node: RawNode, tick: int) -> list[tuple[str, list[Any]]]:
        """Revocations to propose now."""
        leases = self._store.leases
        due = leases.next_expiry_ns()
        now_ns = self._now_ns()
        if due is None or due > now_ns or not self.may_revoke(node):
            return []
        self._proposed = {
            lease: since for lease, since in self._proposed.items() if lease in leases.by_id
        }
        found = []
        for lease in leases.expired(now_ns):
            if tick - self._proposed.get(lease, -REPROPOSE_TICKS) >= REPROPOSE_TICKS:
                self.expired_count += lease not in self._proposed
                self._proposed[lease] = tick
                found.append(("lease_revoke", [lease]))
        return found

    def checkpoint(self, node: RawNode) -> list[list[int]]:
        """What to write down now: ``[id, seconds left]`` for each lease."""
        if not self._interval_ns or not self.may_revoke(node):
            return []
        return self._store.leases.checkpoints_due(self._now_ns())

    def take_back(self, lease_id: int) -> list[list[int]]:
        """The checkpoint to undo before a lease is renewed; none: there is nothing to undo."""
        lease = self._store.leases.by_id.get(lease_id)
        if lease is None or not lease.remaining_s:
            return []
        # Until the renewal has come, no further checkpoint may follow.
        lease.since_ns = self._now_ns()
        return [[lease_id, 0]]
