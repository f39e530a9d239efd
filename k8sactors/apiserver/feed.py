"""Keeps all watch caches in step with the store: one list, then one watch over everything.

A single store watch over `/registry/` sees every revision in order, so the feed's revision is the
revision of every cache, also of those whose resource has not changed for long: consistent reads and
bookmarks need nothing else. Lost history (the watch was behind a compaction) means list again, and
all watchers are told 410, as their client may have missed changes.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from functools import partial

from k8sactors.api import codec, errors
from k8sactors.api.effects import KeyState
from k8sactors.api.field_labels import NO_FIELDS, SelectableFields
from k8sactors.apiserver.errors import CompactedError, StoreError
from k8sactors.apiserver.keys import ROOT, end_of, prefix_of
from k8sactors.apiserver.store import Page, Store, StoreEvent, StoreWatch
from k8sactors.apiserver.watch_cache import WatchCache
from k8sactors.simulation import Clock, Timer

LIST_PAGE = 10_000


class _Waiter:
    """A request that waits until the caches have reached a revision."""

    __slots__ = ("on_ready", "on_timeout", "timer")

    def __init__(self, on_ready: Callable[[], None], on_timeout: Callable[[], None]) -> None:
        self.on_ready = on_ready
        self.on_timeout = on_timeout
        self.timer: Timer | None = None


class _Filling:
    """A cache that was added while the feed was running: filled by a list of its own.

    Events wait until the feed has reached the revision of that list.
    """

    __slots__ = ("cache", "events", "on_filled")

    def __init__(self, cache: WatchCache, on_filled: Callable[[], None]) -> None:
        self.cache = cache
        self.on_filled = on_filled
        self.events: list[StoreEvent] = []


class Feed:
    """The caches of all resources, and the store watch that fills them."""

    def __init__(
        self, store: Store, clock: Clock, *, window: int, backoff_ns: int, timeout_ns: int
    ) -> None:
        self.caches: dict[str, WatchCache] = {}
        self.revision = 0
        self.ready = False
        self.relists = 0
        self.last_error = "the watch cache has not been filled yet"
        self._store = store
        self._clock = clock
        self._window = window
        self._backoff_ns = backoff_ns
        self._timeout_ns = timeout_ns
        self._by_prefix: dict[bytes, WatchCache] = {}
        self._filling: dict[bytes, _Filling] = {}
        self._watch: StoreWatch | None = None
        self._waiters: list[tuple[int, int, _Waiter]] = []
        self._waiter_count = 0
        self._closed = False

    def add_resource(self, resource: str, indexed: SelectableFields = NO_FIELDS) -> WatchCache:
        """The cache of a resource, by its name in keys; made at first use."""
        cache = self.caches.get(resource)
        if cache is None:
            cache = self.caches[resource] = WatchCache(resource, indexed, self._window)
            cache.oldest_revision = self.revision
            self._by_prefix[resource.encode()] = cache
        return cache

    def add_while_running(
        self, resource: str, indexed: SelectableFields, on_filled: Callable[[], None]
    ) -> WatchCache:
        """The cache of a resource that is served from now on; `on_filled` once it holds all."""
        cache = self.caches[resource] = WatchCache(resource, indexed, self._window)
        filling = self._filling[resource.encode()] = _Filling(cache, on_filled)
        if self.ready:
            self._list_one(filling, prefix_of(resource), 0, [])
        return cache

    def is_filling(self, resource: str) -> bool:
        """Whether the cache of a resource that was added does not hold all objects yet."""
        return resource.encode() in self._filling

    def remove_resource(self, resource: str) -> None:
        """Forget a resource that is served no longer; its watches end."""
        self._filling.pop(resource.encode(), None)
        self._by_prefix.pop(resource.encode(), None)
        cache = self.caches.pop(resource, None)
        if cache is not None:
            terminate(cache, f"{resource} is served no longer")

    def start(self) -> None:
        """List the store, then follow it."""
        self._list(ROOT, 0, [])

    def close(self) -> None:
        """Stop following."""
        self._closed = True
        if self._watch is not None:
            self._watch.close()
            self._watch = None

    def when_reached(
        self, revision: int, on_ready: Callable[[], None], on_timeout: Callable[[], None]
    ) -> None:
        """Call `on_ready` once the caches are filled and not older than `revision`."""
        if self.ready and self.revision >= revision:
            on_ready()
            return
        waiter = _Waiter(on_ready, on_timeout)
        self._waiter_count += 1
        heapq.heappush(self._waiters, (revision, self._waiter_count, waiter))

        def give_up() -> None:
            waiter.timer = None
            waiter.on_ready = _nothing
            waiter.on_timeout()

        waiter.timer = self._clock.after(self._timeout_ns, give_up)

    def _list(self, start: bytes, revision: int, gathered: list[KeyState]) -> None:
        def on_page(page: Page) -> None:
            gathered.extend(page.items)
            if page.more:
                self._list(page.items[-1].key + b"\0", revision or page.revision, gathered)
            else:
                self._fill(gathered, revision or page.revision)

        self._store.scan(
            start,
            end_of(ROOT),
            revision=revision,
            limit=LIST_PAGE,
            on_done=on_page,
            on_error=self._list_failed,
        )

    def _list_one(
        self, filling: _Filling, start: bytes, revision: int, gathered: list[KeyState]
    ) -> None:
        name = filling.cache.resource.encode()

        def on_page(page: Page) -> None:
            gathered.extend(page.items)
            if page.more:
                after = page.items[-1].key + b"\0"
                self._list_one(filling, after, revision or page.revision, gathered)
            else:
                listed = revision or page.revision
                self.when_reached(listed, lambda: self._join(filling, gathered, listed), again)

        def again(_error: StoreError | None = None) -> None:
            # A new list of everything has filled it in the meantime, unless it still waits.
            if self._filling.get(name) is filling and not self._closed:
                restart = partial(self._list_one, filling, prefix_of(name.decode()), 0, [])
                self._clock.after(self._backoff_ns, restart)

        self._store.scan(
            start,
            end_of(prefix_of(name.decode())),
            revision=revision,
            limit=LIST_PAGE,
            on_done=on_page,
            on_error=again,
        )

    def _join(self, filling: _Filling, items: Sequence[KeyState], revision: int) -> None:
        """The feed is at the revision of the list: from here on the cache goes with the others."""
        cache = filling.cache
        name = cache.resource.encode()
        if self._filling.get(name) is not filling:
            return
        del self._filling[name]
        cache.replace(items, revision)
        for event in filling.events:
            if event.mod_revision > revision:
                cache.apply(event)
        self._by_prefix[name] = cache
        filling.on_filled()

    def _list_failed(self, error: StoreError) -> None:
        self.last_error = str(error)
        if not self._closed:
            self._clock.after(self._backoff_ns, self.start)

    def _fill(self, items: Sequence[KeyState], revision: int) -> None:
        if self._closed:
            return
        grouped: dict[bytes, list[KeyState]] = {}
        for item in items:
            resource = item.key[len(ROOT) : item.key.index(b"/", len(ROOT))]
            grouped.setdefault(resource, []).append(item)
        filled, self._filling = self._filling, {}
        for name, filling in filled.items():
            self._by_prefix[name] = filling.cache
        for name, cache in self._by_prefix.items():
            cache.replace(grouped.get(name, ()), revision)
        self.revision = revision
        self.ready = True
        self.last_error = ""
        self._watch = self._store.watch(
            ROOT, revision + 1, self._on_events, on_cancel=self._on_cancel
        )
        for filling in filled.values():
            filling.on_filled()
        self._wake_waiters()
        for cache in list(self.caches.values()):
            if cache.on_change is not None:
                cache.on_change()

    def _on_events(self, events: Sequence[StoreEvent], revision: int) -> None:
        by_prefix = self._by_prefix
        touched: dict[WatchCache, None] = {}
        start = len(ROOT)
        for event in events:
            key = event[0]
            cache = by_prefix.get(key[start : key.find(b"/", start)])
            if cache is not None:
                cache.apply(event)
                touched[cache] = None
            elif self._filling:
                filling = self._filling.get(key[start : key.find(b"/", start)])
                if filling is not None:
                    filling.events.append(event)
        self.revision = max(self.revision, revision)
        for cache in touched:
            cache.flush()
        self._wake_waiters()
        for cache in touched:
            if cache.on_change is not None:
                cache.on_change()

    def _on_cancel(self, error: StoreError) -> None:
        self._watch = None
        if self._closed:
            return
        self.ready = False
        self.relists += 1
        self.last_error = str(error)
        lost = isinstance(error, CompactedError)
        for cache in self.caches.values():
            terminate(cache, f"too old resource version: {self.revision} ({cache.oldest_revision})")
        self._clock.after(0 if lost else self._backoff_ns, self.start)

    def _wake_waiters(self) -> None:
        waiters = self._waiters
        while waiters and waiters[0][0] <= self.revision and self.ready:
            waiter = heapq.heappop(waiters)[2]
            if waiter.timer is not None:
                waiter.timer.cancel()
            waiter.on_ready()


def terminate(cache: WatchCache, message: str) -> None:
    """End all watches of a cache with 410."""
    error = errors.expired(message)
    data = codec.encode_value(error.status())
    for watcher in cache.watchers.clear():
        watcher.flush()
        watcher.sink.end(error.code, data)
        cache.terminated += 1


def _nothing() -> None:
    return
