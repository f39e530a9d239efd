"""Leases: keys that vanish together when nobody renews them.

Which leases exist, and their keys, is replicated state. When one expires is not: only the leader
keeps time, from `promote` to `demote`, and it *proposes* the revocation of what has expired (as
etcd's primary lessor does). A new leader starts every lease anew, since it cannot know the old
one's renewals.
"""

from __future__ import annotations

import heapq
from typing import Final

import attrs

from raftstore.errors import (
    LEASE_EXISTS,
    LEASE_NOT_FOUND,
    LEASE_TTL_TOO_LARGE,
    NOT_LEADER,
    StoreError,
)

SECOND_NS: Final = 1_000_000_000
# etcd: server/lease/lessor.go.
MAX_TTL_S: Final = 9_000_000_000
MIN_TTL_S: Final = 2


@attrs.define(slots=True, eq=False)
class Lease:
    """A granted lease; `expiry_ns` means something on the leader only."""

    id: int
    ttl_s: int
    keys: dict[bytes, None] = attrs.Factory(dict)
    expiry_ns: int = 0


class Leases:
    """All leases, and on the leader their time."""

    def __init__(self) -> None:
        self.by_id: dict[int, Lease] = {}
        self.primary = False
        self._expiries: list[tuple[int, int]] = []

    # Replicated

    def grant(self, lease_id: int, ttl_s: int, now_ns: int) -> Lease:
        """Add a lease; short times are raised to what an election may take."""
        if lease_id in self.by_id:
            raise StoreError(*LEASE_EXISTS)
        if ttl_s > MAX_TTL_S:
            raise StoreError(*LEASE_TTL_TOO_LARGE)
        lease = Lease(lease_id, max(ttl_s, MIN_TTL_S))
        self.by_id[lease_id] = lease
        if self.primary:
            self._start(lease, now_ns)
        return lease

    def revoke(self, lease_id: int) -> list[bytes]:
        """Remove a lease; returns its keys in order, for the caller to delete."""
        lease = self.by_id.pop(lease_id, None)
        if lease is None:
            raise StoreError(*LEASE_NOT_FOUND)
        return sorted(lease.keys)

    def move(self, key: bytes, old: int, new: int) -> None:
        """A key's lease changes; 0 means none."""
        if old == new:
            return
        if old and (lease := self.by_id.get(old)) is not None:
            lease.keys.pop(key, None)
        if new:
            self.by_id[new].keys[key] = None

    def get(self, lease_id: int) -> Lease:
        """The lease, or LEASE_NOT_FOUND."""
        lease = self.by_id.get(lease_id)
        if lease is None:
            raise StoreError(*LEASE_NOT_FOUND)
        return lease

    # On the leader

    def promote(self, now_ns: int) -> None:
        """This member leads: all leases start anew."""
        self.primary = True
        self._expiries = []
        for lease in self.by_id.values():
            self._start(lease, now_ns)

    def demote(self) -> None:
        """This member leads no more: it must not let anything expire."""
        self.primary = False
        self._expiries = []

    def _start(self, lease: Lease, now_ns: int) -> None:
        lease.expiry_ns = now_ns + lease.ttl_s * SECOND_NS
        heapq.heappush(self._expiries, (lease.expiry_ns, lease.id))

    def renew(self, lease_id: int, now_ns: int) -> int:
        """Start a lease's time anew; returns its TTL in seconds."""
        if not self.primary:
            raise StoreError(*NOT_LEADER)
        lease = self.get(lease_id)
        if lease.expiry_ns <= now_ns:
            # Its revocation may already be proposed: a renewal now would promise too much.
            raise StoreError(*LEASE_NOT_FOUND)
        # The heap keeps the old entry; `expired` moves it on when it comes up.
        lease.expiry_ns = now_ns + lease.ttl_s * SECOND_NS
        return lease.ttl_s

    def remaining_s(self, lease_id: int, now_ns: int) -> int:
        """Seconds until expiry, rounded down; the full TTL where no time is kept."""
        lease = self.get(lease_id)
        if not self.primary:
            return lease.ttl_s
        return max(0, (lease.expiry_ns - now_ns) // SECOND_NS)

    def expired(self, now_ns: int, limit: int = 1000) -> list[int]:
        """Leases whose time is over, to be revoked by proposal; asked again, they come again."""
        found: list[tuple[int, int]] = []
        while self._expiries and self._expiries[0][0] <= now_ns and len(found) < limit:
            _, lease_id = heapq.heappop(self._expiries)
            lease = self.by_id.get(lease_id)
            if lease is None:
                continue
            if lease.expiry_ns > now_ns:
                heapq.heappush(self._expiries, (lease.expiry_ns, lease_id))
            else:
                found.append((lease.expiry_ns, lease_id))
        for entry in found:
            heapq.heappush(self._expiries, entry)
        return [lease_id for _, lease_id in found]

    def next_expiry_ns(self) -> int | None:
        """A lower bound of when something expires next; None: never, or not the leader."""
        return self._expiries[0][0] if self._expiries else None
