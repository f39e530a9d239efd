"""What the API server needs of a store: few operations, callbacks, no waiting.

Every write is one transaction: guards (a key must still have the mod_revision that was read; 0:
must not exist) and writes. When a guard fails nothing is written, and the answer carries the
current state of the keys in `reads`, so that the caller can try again without a round trip.
`store_client` implements this over `raftstore.client`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from k8sactors.api.effects import Guard, KeyState, Write
from k8sactors.apiserver.errors import StoreError


class Committed(NamedTuple):
    """The outcome of a transaction."""

    succeeded: bool
    revision: int
    found: Sequence[KeyState | None] = ()


class Page(NamedTuple):
    """A part of a range: `more` says whether keys follow, `total` how many the range has."""

    revision: int
    items: Sequence[KeyState]
    more: bool
    total: int


class StoreEvent(NamedTuple):
    """A change: `value` is None when the key was deleted at `mod_revision`."""

    key: bytes
    value: bytes | None
    mod_revision: int
    lease: int = 0


OnError = Callable[[StoreError], None]
OnEvents = Callable[[Sequence[StoreEvent], int], None]


class StoreWatch(Protocol):
    """A running watch."""

    def close(self) -> None:
        """End it; no callback follows."""


class Store(Protocol):
    """The operations. Exactly one of each one's two callbacks is called, now or in a later turn."""

    def commit(
        self,
        guards: Sequence[Guard],
        writes: Sequence[Write],
        reads: Sequence[bytes],
        on_done: Callable[[Committed], None],
        on_error: OnError,
    ) -> None:
        """One transaction."""

    def read(
        self, key: bytes, on_done: Callable[[KeyState | None, int], None], on_error: OnError
    ) -> None:
        """A linearizable read of one key, with the revision at which it was read."""

    def scan(
        self,
        start: bytes,
        end: bytes,
        *,
        revision: int,
        limit: int,
        on_done: Callable[[Page], None],
        on_error: OnError,
    ) -> None:
        """Keys from `start` up to `end` at `revision` (0: now, linearizable); limit 0: all."""

    def current_revision(self, on_done: Callable[[int], None], on_error: OnError) -> None:
        """The store's revision now, confirmed by a quorum."""

    def watch(
        self,
        prefix: bytes,
        start_revision: int,
        on_events: OnEvents,
        on_cancel: Callable[[StoreError], None],
    ) -> StoreWatch:
        """Changes from `start_revision` on, in order, in batches; also empty ones: progress."""

    def grant_lease(
        self, ttl_seconds: int, on_done: Callable[[int], None], on_error: OnError
    ) -> None:
        """A lease whose keys vanish when it runs out."""

    def compact(self, revision: int, on_done: Callable[[], None], on_error: OnError) -> None:
        """Forget history before `revision`."""

    def close(self) -> None:
        """Let go of connections and watches."""
