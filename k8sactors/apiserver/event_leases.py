"""Leases for Events: they vanish an hour after they were written.

One lease serves all events of a minute, so that the store keeps sixty leases and not one for each
event (the real server shares leases in the same way). An event lives for its TTL plus at most the
minute that its lease is shared.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from k8sactors.apiserver.errors import StoreError
from k8sactors.apiserver.store import OnError, Store
from k8sactors.simulation import SECOND

SHARED_SECONDS = 60


class EventLeases:
    """Gives out the current lease; asks the store for a new one when it is too old."""

    def __init__(self, store: Store, environment: Any, ttl_seconds: int) -> None:
        self._store = store
        self._environment = environment
        self._ttl_seconds = ttl_seconds
        self._lease = 0
        self._valid_until_ns = 0
        self._waiting: list[tuple[Callable[[int], None], OnError]] = []

    def acquire(self, on_lease: Callable[[int], None], on_error: OnError) -> None:
        """Call `on_lease` with a lease that lives at least the TTL."""
        if self._lease and self._environment.now_ns() < self._valid_until_ns:
            on_lease(self._lease)
            return
        self._waiting.append((on_lease, on_error))
        if len(self._waiting) == 1:
            self._store.grant_lease(self._ttl_seconds + SHARED_SECONDS, self._granted, self._failed)

    def forget(self, lease: int) -> None:
        """The store does not know this lease (any more)."""
        if lease == self._lease:
            self._lease = 0

    def _granted(self, lease: int) -> None:
        self._lease = lease
        self._valid_until_ns = self._environment.now_ns() + SHARED_SECONDS * SECOND
        waiting, self._waiting = self._waiting, []
        for on_lease, _ in waiting:
            on_lease(lease)

    def _failed(self, error: StoreError) -> None:
        waiting, self._waiting = self._waiting, []
        for _, on_error in waiting:
            on_error(error)
