"""Keeping a lease alive for as long as its owner lives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from raftstore.client.call import Caller
from raftstore.clock import Timer
from raftstore.errors import RaftStoreError
from raftstore.units import SECOND

# etcd's client renews when a third of the time is over.
RENEWALS_PER_TTL: Final = 3


class KeepAlive:
    """Renews a lease three times per TTL; `on_lost` is called once if it is gone, or may be.

    "May be": no renewal was confirmed for a whole TTL, so the lease must be taken for expired.
    """

    def __init__(
        self, client: Caller, lease_id: int, ttl_s: int, on_lost: Callable[[], None]
    ) -> None:
        self._client = client
        self._lease_id = lease_id
        self._interval_ns = ttl_s * SECOND // RENEWALS_PER_TTL
        self._on_lost = on_lost
        self._missed = 0
        self._timer: Timer | None = None
        self.active = True
        self._wait()

    def stop(self) -> None:
        """Renew no more; the lease runs out by itself. Idempotent."""
        self.active = False
        if self._timer is not None:
            self._timer.cancel()

    def _wait(self) -> None:
        self._timer = self._client.after(self._interval_ns, self._renew)

    def _renew(self) -> None:
        if not self.active:
            return
        self._missed += 1
        if self._missed >= RENEWALS_PER_TTL:
            self._lose()
            return
        self._client.call_wire(
            "lease_keep_alive",
            [self._lease_id],
            self._renewed,
            self._failed,
            timeout_ns=self._interval_ns,
        )
        self._wait()

    def _renewed(self, fields: list[Any]) -> None:
        if fields[2] > 0:
            self._missed = 0
        elif self.active:
            self._lose()

    def _failed(self, _error: RaftStoreError) -> None:
        # The next renewal tries again; only a whole TTL without one means something.
        return

    def _lose(self) -> None:
        self.stop()
        self._on_lost()
