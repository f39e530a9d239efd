"""Open watches: from the client's message to a watcher in a cache, and to its end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from k8sactors.actors import Message, Stream
from k8sactors.api import codec
from k8sactors.api.errors import StatusError
from k8sactors.api.protocol import ADDED, BOOKMARK, EVENTS, FLOW
from k8sactors.apiserver.call import status_of
from k8sactors.apiserver.config import APIServerConfig
from k8sactors.apiserver.errors import StoreError
from k8sactors.apiserver.feature_gates import WATCH_LIST, is_enabled
from k8sactors.apiserver.freshness import (
    ANY,
    INITIAL_EVENTS,
    Freshness,
    Source,
    check_watch_options,
    required_freshness,
)
from k8sactors.apiserver.reads import Reads, request_scope
from k8sactors.apiserver.resource import Resource
from k8sactors.apiserver.watchers import Scope, Watcher
from k8sactors.simulation import SECOND, Clock, Timer

TIMEOUT_SLACK_NS = SECOND
# What the bookmark says that follows the initial events.
END = {"k8s.io/initial-events-end": "true"}


class OpenWatch:
    """One watch of one client: a stream of events to it."""

    __slots__ = (
        "closed",
        "on_end",
        "options",
        "overflowed",
        "resource",
        "scope",
        "stream",
        "timer",
        "unconverted",
        "watcher",
    )

    def __init__(
        self,
        stream: Stream,
        resource: Resource,
        scope: Scope,
        options: dict[str, Any],
        on_end: Callable[[OpenWatch], None],
    ) -> None:
        self.stream = stream
        self.resource = resource
        self.scope = scope
        self.options = options
        self.on_end = on_end
        self.watcher: Watcher | None = None
        self.timer: Timer | None = None
        self.closed = False
        self.overflowed = False
        # Messages behind one whose objects a webhook is converting, that one first.
        self.unconverted: list[list[Any]] = []

    @property
    def credit(self) -> int:
        """How many events the client takes now."""
        return self.stream.credit

    def send(self, items: list[Any]) -> None:
        """One message to the client, in the version that it watches."""
        if self.resource.present is None:
            self.stream.send(EVENTS, items)
            return
        self.unconverted.append(items)
        if len(self.unconverted) == 1:
            self._send_converted()

    def _send_converted(self) -> None:
        while self.unconverted and not self.closed:
            items = self.unconverted[0]
            try:
                shown = self.resource.present_all([each[2] for each in items], self._send_converted)
            except StatusError as error:
                self.fail(error)
                return
            if shown is None:
                return
            del self.unconverted[0]
            both = zip(items, shown, strict=True)
            self.stream.send(EVENTS, [[kind, at, data] for (kind, at, _), data in both])

    def overflow(self, waiting: int) -> None:
        """End the watch of a client that does not keep up."""
        self.overflowed = True
        self.end(0, b"", f"the client is too slow: {waiting} events wait")

    def end(self, code: int, status: bytes, reason: str = "") -> None:
        """Close the stream: with an error, or (code 0) so that the client may resume."""
        self.stream.close(reason, [code, status])
        self.on_end(self)

    def fail(self, error: StatusError) -> None:
        """End with an error."""
        self.end(error.code, codec.encode_value(error.status()), error.message)

    def resume(self) -> None:
        """The client takes events again."""
        if self.watcher is not None:
            self.watcher.flush()


class Watches:
    """All open watches of a server."""

    def __init__(self, reads: Reads, clock: Clock, config: APIServerConfig) -> None:
        self.opened = 0
        self._lists = is_enabled(config.feature_gates, WATCH_LIST)
        # Ended because their clients did not keep up.
        self.too_slow = 0
        self._reads = reads
        self._feed = reads.feed
        self._clock = clock
        self._bookmark_interval_ns = config.bookmark_interval_ns
        self._buffer_events = config.watch_buffer_events
        self._open: dict[OpenWatch, None] = {}
        # By resource, and whether it ends the initial events.
        self._bookmarks: dict[tuple[str, bool], bytes] = {}

    def start(self) -> None:
        """Begin sending bookmarks."""
        self._clock.after(self._bookmark_interval_ns, self._send_bookmarks)

    def open(
        self, message: Message, resource: Resource, namespace: str, options: dict[str, Any]
    ) -> None:
        """Start a watch."""
        try:
            check_watch_options(options, lists=self._lists)
            scope = request_scope(resource, namespace, options)
            demand = required_freshness({**options, "limit": None})
        except StatusError as error:
            refuse_watch(message, error)
            return
        stream = message.accept_stream()
        if stream is None:
            return
        watch = OpenWatch(stream, resource, scope, options, self._close)
        stream.on_writable = watch.resume
        stream.on_close = lambda _reason, _trailer: self._close(watch)
        self._open[watch] = None
        self.opened += 1
        timeout_seconds = int(options.get("timeoutSeconds") or 0)
        if timeout_seconds > 0:
            watch.timer = self._clock.after(
                timeout_seconds * SECOND, lambda: self._time_out(watch), slack_ns=TIMEOUT_SLACK_NS
            )
        # A watch from N needs a cache that works, not one that has reached N: what is not newer
        # than N is left out.
        resumes = demand.source is Source.NOT_OLDER and not options.get(INITIAL_EVENTS)
        wanted = ANY if resumes else demand
        self._reads.when_fresh(
            wanted,
            lambda: self._begin(watch, demand),
            lambda error: self._refuse(watch, error),
            lambda error: self._refuse_store(watch, error),
        )

    @property
    def count(self) -> int:
        """How many are open."""
        return len(self._open)

    @property
    def waiting_events(self) -> int:
        """Events that wait because clients do not read."""
        return sum(len(each.watcher.pending) for each in self._open if each.watcher is not None)

    def _begin(self, watch: OpenWatch, demand: Freshness) -> None:
        if watch.closed:
            return
        cache = watch.resource.cache
        bookmarks = bool(watch.options.get("allowWatchBookmarks"))
        revision = self._feed.revision
        initial: list[Any] = []
        begins_with_all = watch.options.get(INITIAL_EVENTS)
        if demand.source is Source.NOT_OLDER and not begins_with_all:
            revision = demand.revision
            try:
                cache.check_revision(revision)
            except StatusError as error:
                self._refuse(watch, error)
                return
        elif begins_with_all is not False:
            initial = [
                [ADDED, entry.mod_revision, entry.data] for entry in cache.select(watch.scope)
            ]
            if begins_with_all and bookmarks:
                initial.append([BOOKMARK, revision, self._bookmark(watch.resource, END)])
        limit = self._buffer_events + len(initial)
        watcher = Watcher(watch.scope, watch, revision, limit, bookmarks=bookmarks)
        watch.watcher = watcher
        acknowledged = watch.options.get("acknowledge")
        if isinstance(acknowledged, list):
            watch.stream.send(EVENTS, [[FLOW, 0, acknowledged]])
        elif acknowledged and not initial:
            watch.send([])
        watcher.pending = initial
        cache.attach(watcher)

    def _refuse(self, watch: OpenWatch, error: StatusError) -> None:
        if not watch.closed:
            watch.fail(error)

    def _refuse_store(self, watch: OpenWatch, error: StoreError) -> None:
        self._refuse(watch, status_of(error))

    def _time_out(self, watch: OpenWatch) -> None:
        watch.timer = None
        if watch.closed:
            return
        watcher = watch.watcher
        if watcher is not None and watcher.bookmarks:
            self._send_bookmark(watch.resource, watcher)
        watch.end(0, b"", "its time is over")

    def _close(self, watch: OpenWatch) -> None:
        if watch.closed:
            return
        watch.closed = True
        self._open.pop(watch)
        self.too_slow += watch.overflowed
        if watch.timer is not None:
            watch.timer.cancel()
        if watch.watcher is not None:
            watch.resource.cache.watchers.remove(watch.watcher)

    def _send_bookmarks(self) -> None:
        if self._feed.ready:
            for watch in self._open:
                if watch.watcher is not None and watch.watcher.bookmarks:
                    self._send_bookmark(watch.resource, watch.watcher)
        self._clock.after(self._bookmark_interval_ns, self._send_bookmarks)

    def _send_bookmark(self, resource: Resource, watcher: Watcher) -> None:
        """Tell how far the watcher has seen everything, unless it knows."""
        revision = self._feed.revision
        if revision <= max(watcher.last_revision, watcher.start_revision) or not self._feed.ready:
            return
        if watcher.pending or watcher.sink.credit <= 0:
            return  # it has not seen everything
        watcher.last_revision = revision
        data = self._bookmark(resource, {})
        watcher.sink.send([[BOOKMARK, revision, data]])

    def _bookmark(self, resource: Resource, annotations: dict[str, str]) -> bytes:
        """The object of a bookmark: empty but for its version and these annotations."""
        key = resource.name, bool(annotations)
        data = self._bookmarks.get(key)
        if data is None:
            info = resource.info
            metadata = {"annotations": annotations} if annotations else {}
            empty = {"kind": info.kind, "apiVersion": info.api_version, "metadata": metadata}
            data = self._bookmarks[key] = codec.encode(empty)
        return data


def refuse_watch(message: Message, error: StatusError) -> None:
    """Refuse a watch before it is opened."""
    stream = message.accept_stream()
    if stream is not None:
        stream.close(error.message, [error.code, codec.encode_value(error.status())])
