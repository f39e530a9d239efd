"""Leases of the store that are shared, for objects that vanish some time after they were written.

One lease serves all objects of a minute with the same TTL, so that the store keeps sixty leases an
hour and not one for each object (the real server shares the leases of Events in the same way). An
object lives for its TTL plus at most the minute in which its lease is shared.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from k8sactors.apiserver.errors import StoreError
from k8sactors.apiserver.store import OnError, Store
from k8sactors.simulation import SECOND

SHARED_SECONDS = 60


class SharedLeases:
    """Gives out the current lease of each TTL; asks the store for a new one when it is too old."""

    def __init__(self, store: Store, clock: Any) -> None:
        self._store = store
        self._clock = clock
        self._leases: dict[int, _SharedLease] = {}

    def current(self, ttl_seconds: int) -> int:
        """A lease that lives at least `ttl_seconds`; 0: none is at hand."""
        shared = self._leases.get(ttl_seconds)
        if shared is None or self._clock.now_ns() >= shared.valid_until_ns:
            return 0
        return shared.lease

    def acquire(self, ttl_seconds: int, on_lease: Callable[[], None], on_error: OnError) -> None:
        """Call `on_lease` once `current` has one."""
        shared = self._leases.setdefault(ttl_seconds, _SharedLease())
        shared.waiting.append((on_lease, on_error))
        if len(shared.waiting) > 1:
            return

        def granted(lease: int) -> None:
            shared.lease = lease
            shared.valid_until_ns = self._clock.now_ns() + SHARED_SECONDS * SECOND
            for resume, _ in shared.take_waiting():
                resume()

        def failed(error: StoreError) -> None:
            for _, fail in shared.take_waiting():
                fail(error)

        self._store.grant_lease(ttl_seconds + SHARED_SECONDS, granted, failed)


class _SharedLease:
    __slots__ = ("lease", "valid_until_ns", "waiting")

    def __init__(self) -> None:
        self.lease = 0
        self.valid_until_ns = 0
        self.waiting: list[tuple[Callable[[], None], OnError]] = []

    def take_waiting(self) -> list[tuple[Callable[[], None], OnError]]:
        waiting, self.waiting = self.waiting, []
        return waiting
