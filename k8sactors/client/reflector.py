"""Reflector: list once, then watch from the list's resourceVersion, forever.

The first list is consistent: as new as the store is at that moment (KEP-2340). A watch that ends
is resumed after the last resourceVersion seen; bookmarks keep that one fresh while nothing happens.
When the server no longer has the history (410), everything is listed again, after a bounded and
jittered delay so that a crowd of clients does not come at once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs

from k8sactors.api import codec, protocol
from k8sactors.api.errors import StatusError
from k8sactors.api.protocol import BOOKMARK, ERROR
from k8sactors.client.backoff import Backoff
from k8sactors.client.client import Client, Object
from k8sactors.client.errors import error_in, is_expired
from k8sactors.client.pool import Watch
from k8sactors.simulation import MILLISECOND, SECOND, Timer

FIRST_DELAY_NS = 800 * MILLISECOND
LAST_DELAY_NS = 30 * SECOND
MIN_WATCH_S = 300
WATCH_GRACE_S = 30
GATEWAY_TIMEOUT = 504
# Errors that a watch may end with and that say nothing about its resourceVersion.
TRANSIENT_CODES = frozenset({429, 500, 503, GATEWAY_TIMEOUT})


@attrs.define(frozen=True)
class Source:
    """What a reflector follows."""

    resource: str
    namespace: str | None = None
    label_selector: str | None = None
    field_selector: str | None = None

    def options(self) -> dict[str, Any]:
        """The selectors as request options."""
        options = {}
        if self.label_selector:
            options["labelSelector"] = self.label_selector
        if self.field_selector:
            options["fieldSelector"] = self.field_selector
        return options


class Reflector:
    """Follows a source: `on_replace(objects)` after a list, then `on_events([(type, object)])`."""

    def __init__(
        self,
        client: Client,
        source: Source,
        on_replace: Callable[[list[Object]], None],
        on_events: Callable[[list[tuple[str, Object]]], None],
    ) -> None:
        self._client = client
        self._ctx = client.ctx
        self._source = source
        self._on_replace = on_replace
        self._on_events = on_events
        self._backoff = Backoff(client.ctx.random, FIRST_DELAY_NS, LAST_DELAY_NS, jitter=1.0)
        self._watch: Watch | None = None
        self._timer: Timer | None = None
        self._running = False
        self._round = 0
        self._listed: list[Object] = []
        self._history_lost = False
        self.last_resource_version = ""
        self.lists = 0
        self.watches = 0

    def start(self) -> None:
        """Begin with a list."""
        if not self._running:
            self._running = True
            self._list()

    def stop(self) -> None:
        """End the watch; nothing is delivered any more."""
        self._running = False
        self._round += 1
        if self._timer is not None:
            self._timer.cancel()
        if self._watch is not None:
            self._watch.cancel()

    # --- list

    def _list(self) -> None:
        self._listed = []
        self.lists += 1
        # Not older than what was seen, from the cache if the server has it; "" after a 410 reads
        # from the store.
        version = "" if self._history_lost else self.last_resource_version or self.first_version()
        self._list_page({"resourceVersion": version} if version else {})

    def first_version(self) -> str:
        """A client that has seen nothing yet asks for the most recent state.

        A cached one ("0") may lie before what the process knew until it was restarted: a kubelet
        would start a pod that is long gone, and runs elsewhere under the same name.
        """
        return ""

    def _list_page(self, options: dict[str, Any]) -> None:
        self._round += 1
        current = self._round
        source = self._source
        options = {**source.options(), **options}
        payload = protocol.request("list", source.resource, source.namespace, options=options)
        self._client.call(
            payload,
            lambda reply: self._listed_page(current, reply),
            lambda error: self._list_failed(current, error),
        )

    def _listed_page(self, current: int, reply: list[Any]) -> None:
        if current != self._round:
            return
        decode = codec.decode
        self._listed.extend([decode(data, revision) for revision, data in reply[2]])
        if reply[3]:
            self._list_page({"continue": reply[3]})
            return
        self.last_resource_version = str(reply[1])
        self._history_lost = False
        listed, self._listed = self._listed, []
        self._on_replace(listed)
        self._open_watch()

    def _list_failed(self, current: int, error: StatusError) -> None:
        if current != self._round:
            return
        # A server that is behind answers 504 to a list "not older than"; ask for the newest
        # instead.
        self._history_lost = is_expired(error) or error.code == GATEWAY_TIMEOUT
        self._later(self._list)

    # --- watch

    def _open_watch(self) -> None:
        if not self._running:
            return
        self._round += 1
        current = self._round
        self.watches += 1
        timeout_s = MIN_WATCH_S + int(MIN_WATCH_S * self._ctx.random.random())
        options = {
            **self._source.options(),
            "resourceVersion": self.last_resource_version,
            "allowWatchBookmarks": True,
            "timeoutSeconds": timeout_s,
        }
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._ctx.after(
            (timeout_s + WATCH_GRACE_S) * SECOND,
            lambda: self._watch_overdue(current),
            slack_ns=SECOND,
        )
        self._watch = self._client.watch(
            self._source.resource,
            namespace=self._source.namespace,
            options=options,
            on_item=lambda payload: self._received(current, payload),
            on_close=lambda _reason: self._watch_ended(current),
        )

    def _received(self, current: int, payload: list[Any]) -> None:
        if current != self._round or not payload:
            return
        decode = codec.decode
        events: list[tuple[str, Object]] = []
        for item in payload:
            kind, revision, data = item
            if kind == ERROR:
                self._deliver(events)
                self._watch_failed(current, item)
                return
            if kind != BOOKMARK:
                events.append((kind, decode(data, revision)))
            self.last_resource_version = str(revision)
        self._deliver(events)

    def _deliver(self, events: list[tuple[str, Object]]) -> None:
        if self._backoff.failures:
            self._backoff.reset()
        if events:
            self._on_events(events)

    def _watch_failed(self, current: int, item: list[Any]) -> None:
        if current != self._round:
            return
        self._end_watch()
        error = error_in(item[1], item[2])
        if is_expired(error):
            self._history_lost = True
            self._later(self._list)
        elif error.code in TRANSIENT_CODES:
            self._later(self._open_watch)
        elif error.code == 0:
            self._open_watch()
        else:
            self._later(self._list)

    def _watch_ended(self, current: int) -> None:
        # The connection broke. The pool paces the next one, so that nothing more is needed here.
        if current == self._round:
            self._open_watch()

    def _watch_overdue(self, current: int) -> None:
        # The server should have ended the watch long ago: it is frozen, or the connection is dead
        # without a sign.
        if current == self._round:
            self._client.suspect_server("a watch outlived its timeout")

    def _end_watch(self) -> None:
        self._round += 1
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None

    def _later(self, step: Callable[[], None]) -> None:
        self._round += 1
        if self._timer is not None:
            self._timer.cancel()
        if self._running:
            self._timer = self._ctx.after(self._backoff.next_ns(), step)
