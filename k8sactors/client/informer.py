"""SharedInformer: one cache of one resource, shared by all in the actor that need it.

Reflector -> DeltaFIFO -> indexer and handlers, all within the turn in which the news arrived: no
task of its own. An object is decoded once, stored, and handed to all handlers; none of them may
change it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
import trio

from k8sactors.api.protocol import ADDED, MODIFIED
from k8sactors.client.client import Client, Object
from k8sactors.client.delta_fifo import (
    DELETED,
    REPLACED,
    SYNC,
    DeletedFinalStateUnknown,
    Delta,
    DeltaFIFO,
)
from k8sactors.client.indexer import Indexer, IndexFunction, Lister
from k8sactors.client.reflector import Reflector, Source


def _ignore(*_: Object) -> None:
    """A handler that was not given."""


@attrs.define(frozen=True)
class _Handler:
    on_add: Callable[[Object], Any]
    on_update: Callable[[Object, Object], Any]
    on_delete: Callable[[Object], Any]
    resyncs: bool


class SharedInformer:
    """Follows a source and keeps its objects; see InformerFactory for how to get one."""

    def __init__(self, client: Client, source: Source) -> None:
        self.source = source
        self._ctx = client.ctx
        self._indexer = Indexer()
        self.lister = Lister(self._indexer)
        self._fifo = DeltaFIFO(self._indexer.objects)
        self.reflector = Reflector(client, source, self._replaced, self._changed)
        self._handlers: list[_Handler] = []
        self._synced = trio.Event()
        self._on_synced: list[Callable[[], Any]] = []
        self._started = False

    @property
    def has_synced(self) -> bool:
        """Whether the first full list has reached the store and the handlers."""
        return self._synced.is_set()

    def add_handler(
        self,
        *,
        on_add: Callable[[Object], Any] = _ignore,
        on_update: Callable[[Object, Object], Any] = _ignore,
        on_delete: Callable[[Object], Any] = _ignore,
        resync_ns: int = 0,
    ) -> None:
        """Call back for every change; objects that are already known are added at once.

        `on_delete` gets the last known state, also when the deletion itself was missed. With
        `resync_ns`, every object is handed out again that often, as an update to itself.
        """
        handler = _Handler(on_add, on_update, on_delete, resync_ns > 0)
        self._handlers.append(handler)
        for obj in list(self._indexer.objects.values()):
            on_add(obj)
        if resync_ns:
            self._resync_later(resync_ns)

    def add_index(self, name: str, function: IndexFunction) -> None:
        """Keep an index; `function` gives an object's value, values, or None."""
        self._indexer.add_index(name, function)

    def by_index(self, name: str, value: str) -> list[Object]:
        """The objects with this value in this index."""
        return self._indexer.by_index(name, value)

    def start(self) -> None:
        """Begin to follow the source."""
        if not self._started:
            self._started = True
            self.reflector.start()

    def stop(self) -> None:
        """Stop following; the store keeps what it has."""
        self.reflector.stop()

    def when_synced(self, callback: Callable[[], Any]) -> None:
        """Run `callback` once, as soon as the first full list is in the store."""
        if self.has_synced:
            callback()
        else:
            self._on_synced.append(callback)

    async def wait_synced(self) -> None:
        """Wait until the first full list is in the store."""
        await self._synced.wait()

    # --- within the turn of the news

    def _replaced(self, objects: list[Object]) -> None:
        self._fifo.replace(objects)
        self._drain()

    def _changed(self, events: list[tuple[str, Object]]) -> None:
        fifo = self._fifo
        for kind, obj in events:
            if kind == MODIFIED:
                fifo.update(obj)
            elif kind == ADDED:
                fifo.add(obj)
            else:
                fifo.delete(obj)
        self._drain()

    def _drain(self) -> None:
        pop = self._fifo.pop
        while (item := pop()) is not None:
            key, deltas = item
            for delta in deltas:
                self._process(key, delta)
        if not self._synced.is_set() and self._fifo.has_synced:
            self._synced.set()
            callbacks, self._on_synced = self._on_synced, []
            for callback in callbacks:
                callback()

    def _process(self, key: str, delta: Delta) -> None:
        kind, obj = delta
        if kind == DELETED:
            if isinstance(obj, DeletedFinalStateUnknown):
                obj = obj.obj
            if self._indexer.remove(key) is not None:
                for handler in self._handlers:
                    handler.on_delete(obj)
            return
        if kind == SYNC:
            for handler in self._handlers:
                if handler.resyncs:
                    handler.on_update(obj, obj)
            return
        old = self._indexer.put(key, obj)
        if old is None:
            for handler in self._handlers:
                handler.on_add(obj)
        elif kind != REPLACED or _version(old) != _version(obj):
            for handler in self._handlers:
                handler.on_update(old, obj)

    def _resync_later(self, period_ns: int) -> None:
        def resync() -> None:
            self._fifo.resync()
            self._drain()
            self._resync_later(period_ns)

        self._ctx.after(period_ns, resync)


def _version(obj: Object) -> str | None:
    version: str | None = obj["metadata"].get("resourceVersion")
    return version


class InformerFactory:
    """Gives out informers: one for each resource and selector, however many ask."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._informers: dict[Source, SharedInformer] = {}

    def informer(
        self,
        resource: str,
        namespace: str | None = None,
        field_selector: str | None = None,
        label_selector: str | None = None,
    ) -> SharedInformer:
        """The informer of this source; `start` makes it follow the server."""
        source = Source(resource, namespace, label_selector, field_selector)
        informer = self._informers.get(source)
        if informer is None:
            informer = self._informers[source] = SharedInformer(self._client, source)
        return informer

    def remove(self, resource: str) -> None:
        """Stop the informers of a resource that is served no longer, and forget them."""
        for source in [each for each in self._informers if each.resource == resource]:
            self._informers.pop(source).stop()

    def start(self) -> None:
        """Start every informer given out so far that does not run yet."""
        for informer in self._informers.values():
            informer.start()

    def stop(self) -> None:
        """Stop all informers."""
        for informer in self._informers.values():
            informer.stop()

    @property
    def has_synced(self) -> bool:
        """Whether all informers have their first full list."""
        return all(informer.has_synced for informer in self._informers.values())

    async def wait_synced(self) -> None:
        """Wait until all informers given out so far have their first full list."""
        for informer in list(self._informers.values()):
            await informer.wait_synced()
