"""Leases: keys that vanish together when no client renews them.

Which leases exist, and their keys, is replicated state. When one expires is not: only the leader
keeps time, from `promote` to `demote`, and it *proposes* the revocation of what has expired (as
etcd's primary lessor does). A new leader starts every lease again, since it cannot know the old
one's renewals, and gives all of them an election's time on top, in which no client could renew.

So a lease that no client renews would live on forever if leaders changed often enough. Checkpoints
prevent that: now and then the leader writes down what is left of the leases that were not renewed
(`checkpoints_due`), and a new leader starts them with that. Before such a lease is renewed, the
checkpoint has to be taken back, or the next leader would end it too early.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import Any, Final

import attrs

from raftstore.errors import (
    LEASE_EXISTS,
    LEASE_NOT_FOUND,
    LEASE_TTL_TOO_LARGE,
    NOT_LEADER,
    StoreError,
)
from raftstore.units import SECOND

# ``[[[id, seconds left], ...]]``: what the leader writes down.
LEASE_CHECKPOINT: Final = "lease_checkpoint"
# etcd: server/lease/lessor.go.
MAX_TTL_S: Final = 9_000_000_000
MIN_TTL_S: Final = 2


@attrs.define(eq=False)
class Lease:
    """A granted lease; the times in nanoseconds mean something on the leader only."""

    id: int
    ttl_s: int
    keys: dict[bytes, None] = attrs.Factory(dict)
    # What the last checkpoint says is left; 0: nothing was taken off.
    remaining_s: int = 0
    expiry_ns: int = 0
    # When its time was last begun or written down.
    since_ns: int = 0


class Leases:
    """All leases, and on the leader their time."""

    def __init__(self) -> None:
        self.by_id: dict[int, Lease] = {}
        self.primary = False
        # How long a leader waits between two checkpoints of a lease; 0: it makes none.
        self.checkpoint_interval_ns = 0
        self._expiries: list[tuple[int, int]] = []
        self._checkpoints: list[tuple[int, int]] = []

    # Replicated

    def grant(self, lease_id: int, ttl_s: int, now_ns: int) -> Lease:
        """Add a lease; short times are raised to what an election may take."""
        if ttl_s > MAX_TTL_S:
            raise StoreError(*LEASE_TTL_TOO_LARGE)
        if lease_id in self.by_id:
            raise StoreError(*LEASE_EXISTS)
        lease = Lease(lease_id, max(ttl_s, MIN_TTL_S))
        self.by_id[lease_id] = lease
        if self.primary:
            self._start(lease, now_ns, 0)
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

    def checkpoint(self, lease_id: int, remaining_s: int) -> None:
        """Note what is left of a lease, if it is still there; 0: nothing was taken off."""
        lease = self.by_id.get(lease_id)
        if lease is not None:
            lease.remaining_s = remaining_s

    def get(self, lease_id: int) -> Lease:
        """The lease, or LEASE_NOT_FOUND."""
        lease = self.by_id.get(lease_id)
        if lease is None:
            raise StoreError(*LEASE_NOT_FOUND)
        return lease

    # On the leader

    def promote(self, now_ns: int, extend_ns: int = 0) -> None:
        """This member leads: all leases start again, or with what a checkpoint left of them."""
        self.primary = True
        self._expiries = []
        self._checkpoints = []
        for lease in self.by_id.values():
            self._start(lease, now_ns, extend_ns)

    def demote(self) -> None:
        """This member leads no more: it must not let anything expire."""
        self.primary = False
        self._expiries = []
        self._checkpoints = []

    def _start(self, lease: Lease, now_ns: int, extend_ns: int) -> None:
        lease.since_ns = now_ns
        lease.expiry_ns = now_ns + extend_ns + (lease.remaining_s or lease.ttl_s) * SECOND
        heapq.heappush(self._expiries, (lease.expiry_ns, lease.id))
        self._schedule(lease)

    def _schedule(self, lease: Lease) -> None:
        """Write down what is left when it is time, unless it will have expired by then."""
        due_ns = lease.since_ns + self.checkpoint_interval_ns
        if self.checkpoint_interval_ns and due_ns < lease.expiry_ns:
            heapq.heappush(self._checkpoints, (due_ns, lease.id))

    def checkpoints_due(self, now_ns: int, limit: int = 1000) -> list[list[int]]:
        """``[id, seconds left]`` of leases not renewed for an interval, each once."""
        due = self._checkpoints
        found: list[list[int]] = []
        while due and due[0][0] <= now_ns and len(found) < limit:
            _, lease_id = heapq.heappop(due)
            lease = self.by_id.get(lease_id)
            if lease is None or lease.expiry_ns <= now_ns:
                continue
            if lease.since_ns + self.checkpoint_interval_ns <= now_ns:
                remaining_s = -((now_ns - lease.expiry_ns) // SECOND)
                if remaining_s < lease.ttl_s:
                    found.append([lease_id, remaining_s])
                lease.since_ns = now_ns
            self._schedule(lease)
        return found

    def renew(self, lease_id: int, now_ns: int) -> int:
        """Start a lease's time again; returns its TTL in seconds."""
        if not self.primary:
            raise StoreError(*NOT_LEADER)
        lease = self.get(lease_id)
        if lease.expiry_ns <= now_ns:
            # Its revocation may already be proposed: a renewal now would promise too much.
            raise StoreError(*LEASE_NOT_FOUND)
        # The heaps keep the old entries; they are moved on when they come up.
        lease.since_ns = now_ns
        lease.expiry_ns = now_ns + lease.ttl_s * SECOND
        return lease.ttl_s

    def remaining_s(self, lease_id: int, now_ns: int) -> int:
        """Seconds until expiry, rounded down; the full TTL where no time is kept."""
        lease = self.get(lease_id)
        if not self.primary:
            return lease.ttl_s
        return max(0, (lease.expiry_ns - now_ns) // SECOND)

    def in_order(self) -> list[int]:
        """All leases: where time is kept, which expires first comes first."""
        if not self.primary:
            return sorted(self.by_id)
        by_expiry = sorted(self.by_id.values(), key=lambda lease: (lease.expiry_ns, lease.id))
        return [lease.id for lease in by_expiry]

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


class LeaseCheckpoints:
    """A section of the replicated state: what is left of leases, by the leaders' word."""

    name = "lease_checkpoints"

    def __init__(self, leases: Callable[[], Leases], header: Callable[[], list[int]]) -> None:
        self._leases = leases
        self._header = header
        self.writers: dict[str, Callable[[list[Any], int], list[Any]]] = {
            LEASE_CHECKPOINT: self._checkpoint
        }

    def _checkpoint(self, fields: list[Any], _now_ns: int) -> list[Any]:
        leases = self._leases()
        for lease_id, remaining_s in fields[0]:
            leases.checkpoint(lease_id, remaining_s)
        return [0, [self._header()]]

    def dump(self) -> Any:
        """``[id, seconds left]`` of leases of which something was taken off."""
        leases = self._leases().by_id.values()
        return sorted([lease.id, lease.remaining_s] for lease in leases if lease.remaining_s)

    def load(self, data: Any) -> None:
        """Note what `dump` gave; the leases are there, as new."""
        leases = self._leases()
        for lease_id, remaining_s in data or ():
            leases.checkpoint(lease_id, remaining_s)
