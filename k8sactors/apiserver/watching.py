"""Open watches: from the client's message to a watcher in a cache, and to its end."""

from __future__ import annotations

from typing import Any

from k8sactors.actors import Connection, Message
from k8sactors.api import codec, errors
from k8sactors.api.errors import StatusError
from k8sactors.apiserver.call import status_of
from k8sactors.apiserver.errors import StoreError
from k8sactors.apiserver.freshness import (
    ANY,
    Freshness,
    Source,
    check_list_options,
    required_freshness,
)
from k8sactors.apiserver.protocol import ADDED, BOOKMARK, ERROR, EVENTS
from k8sactors.apiserver.reads import Reads, request_scope
from k8sactors.apiserver.resource import Resource
from k8sactors.apiserver.watchers import Scope, Watcher
from k8sactors.simulation import SECOND

TIMEOUT_SLACK_NS = SECOND


class OpenWatch:
    """One watch of one client."""

    __slots__ = ("closed", "message", "options", "resource", "scope", "timer", "watcher")

    def __init__(
        self, message: Message, resource: Resource, scope: Scope, options: dict[str, Any]
    ) -> None:
        self.message = message
        self.resource = resource
        self.scope = scope
        self.options = options
        self.watcher: Watcher | None = None
        self.timer: Any = None
        self.closed = False

    def send(self, items: list[Any]) -> None:
        """One message to the client."""
        self.message.reply(EVENTS, items)

    def fail(self, error: StatusError) -> None:
        """End with an error."""
        self.send([[ERROR, error.code, codec.encode_value(error.status())]])


class Watches:
    """All open watches of a server, by connection."""

    def __init__(self, reads: Reads, environment: Any, bookmark_interval_ns: int) -> None:
        self.count = 0
        self.opened = 0
        self._reads = reads
        self._feed = reads.feed
        self._environment = environment
        self._bookmark_interval_ns = bookmark_interval_ns
        self._open: dict[Connection | None, dict[int, OpenWatch]] = {}
        self._bookmarks: dict[str, bytes] = {}

    def start(self) -> None:
        """Begin sending bookmarks."""
        self._environment.after(self._bookmark_interval_ns, self._send_bookmarks)

    def open(
        self, message: Message, resource: Resource, namespace: str, options: dict[str, Any]
    ) -> None:
        """Start a watch."""
        try:
            check_list_options(options, watch=True)
            scope = request_scope(resource, namespace, options)
            demand = required_freshness({**options, "limit": None})
        except StatusError as error:
            message.reply(EVENTS, [[ERROR, error.code, codec.encode_value(error.status())]])
            return
        watch = OpenWatch(message, resource, scope, options)
        self._open.setdefault(message.connection, {})[message.id] = watch
        self.count += 1
        self.opened += 1
        timeout_seconds = int(options.get("timeoutSeconds") or 0)
        if timeout_seconds > 0:
            watch.timer = self._environment.after(
                timeout_seconds * SECOND, lambda: self._time_out(watch), slack_ns=TIMEOUT_SLACK_NS
            )
        # A watch from N needs a cache that works, not one that has reached N: what is not newer
        # than N is left out.
        wanted = ANY if demand.source is Source.NOT_OLDER else demand
        self._reads.when_fresh(
            wanted,
            lambda: self._begin(watch, demand),
            lambda error: self._refuse(watch, error),
            lambda error: self._refuse_store(watch, error),
        )

    def cancel(self, connection: Connection | None, message_id: int) -> None:
        """The client has had enough."""
        watch = self._open.get(connection, {}).get(message_id)
        if watch is not None:
            self._close(watch)

    def drop_connection(self, connection: Connection) -> None:
        """The client is gone."""
        for watch in list(self._open.get(connection, {}).values()):
            self._close(watch)

    def _begin(self, watch: OpenWatch, demand: Freshness) -> None:
        if watch.closed:
            return
        cache = watch.resource.cache
        bookmarks = bool(watch.options.get("allowWatchBookmarks"))
        revision = self._feed.revision
        initial: list[Any] = []
        if demand.source is Source.NOT_OLDER:
            revision = demand.revision
            try:
                cache.check_revision(revision)
            except StatusError as error:
                self._refuse(watch, error)
                return
        else:
            initial = [
                [ADDED, entry.mod_revision, entry.data] for entry in cache.select(watch.scope)
            ]
        watcher = Watcher(
            watch.scope, lambda items: self._send(watch, items), revision, bookmarks=bookmarks
        )
        watch.watcher = watcher
        if initial or watch.options.get("acknowledge"):
            watch.send(initial)
        cache.attach(watcher)

    def _send(self, watch: OpenWatch, items: list[Any]) -> None:
        watch.send(items)
        if items[-1][0] == ERROR:
            self._close(watch)

    def _refuse(self, watch: OpenWatch, error: StatusError) -> None:
        if not watch.closed:
            watch.fail(error)
            self._close(watch)

    def _refuse_store(self, watch: OpenWatch, error: StoreError) -> None:
        self._refuse(watch, status_of(error))

    def _time_out(self, watch: OpenWatch) -> None:
        watch.timer = None
        if watch.closed:
            return
        watcher = watch.watcher
        if watcher is not None and watcher.bookmarks:
            self._send_bookmark(watch.resource, watcher)
        watch.send([[ERROR, 0, b""]])
        self._close(watch)

    def _close(self, watch: OpenWatch) -> None:
        if watch.closed:
            return
        watch.closed = True
        self.count -= 1
        if watch.timer is not None:
            watch.timer.cancel()
        if watch.watcher is not None:
            watch.resource.cache.watchers.remove(watch.watcher)
        connection = watch.message.connection
        mine = self._open.get(connection)
        if mine is not None:
            mine.pop(watch.message.id, None)
            if not mine:
                del self._open[connection]

    def _send_bookmarks(self) -> None:
        if self._feed.ready:
            for mine in self._open.values():
                for watch in mine.values():
                    if watch.watcher is not None and watch.watcher.bookmarks:
                        self._send_bookmark(watch.resource, watch.watcher)
        self._environment.after(self._bookmark_interval_ns, self._send_bookmarks)

    def _send_bookmark(self, resource: Resource, watcher: Watcher) -> None:
        """Tell how far the watcher has seen everything, unless it knows."""
        revision = self._feed.revision
        if revision <= max(watcher.last_revision, watcher.start_revision) or not self._feed.ready:
            return
        watcher.last_revision = revision
        info = resource.info
        data = self._bookmarks.get(resource.name)
        if data is None:
            empty = {"kind": info.kind, "apiVersion": info.api_version, "metadata": {}}
            data = self._bookmarks[resource.name] = codec.encode(empty)
        watcher.send([[BOOKMARK, revision, data]])


def unknown_resource(message: Message) -> None:
    """Refuse a watch of something that is not served."""
    error = errors.path_not_found()
    message.reply(EVENTS, [[ERROR, error.code, codec.encode_value(error.status())]])
