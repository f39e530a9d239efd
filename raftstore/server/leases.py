"""The leader's duty towards leases.

Propose the revocation of what has expired, and only the leader's.

A deposed leader that was paused may believe that leases have expired that its successor keeps alive
(etcd issues 12528, 15247). Its proposals go into its own log in its own term, where they die with
it; they are never passed on to the successor.
"""

from collections.abc import Callable
from typing import Any

from raftstore.mvcc import Store
from raftstore.raft import RawNode, Role

REPROPOSE_TICKS = 50
"""A revocation that has not happened after so long is proposed again."""


class LeaseKeeper:
    """Lease time of one member, running only while it leads."""

    def __init__(self, store: Store, now_ns: Callable[[], int]) -> None:
        self._store = store
        self._now_ns = now_ns
        self._proposed: dict[int, int] = {}

    def set_leading(self, *, leading: bool) -> None:
        """Leadership came or went."""
        self._proposed = {}
        if leading:
            self._store.leases.promote(self._now_ns())
        elif self._store.leases.primary:
            self._store.leases.demote()

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
                self._proposed[lease] = tick
                found.append(("lease_revoke", [lease]))
        return found
