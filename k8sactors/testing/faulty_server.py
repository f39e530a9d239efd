"""An API server that serves as the real one does, except for what a test has ordered."""

from __future__ import annotations

from typing import Any, Final, NamedTuple, Protocol

from k8sactors.actors import Message
from k8sactors.api import codec, errors
from k8sactors.api.effects import Guard, KeyState, Write
from k8sactors.api.errors import StatusError
from k8sactors.api.protocol import REQUEST, REQUEST_USER, RESPONSE, WATCH, WATCH_USER
from k8sactors.apiserver import APIServer
from k8sactors.apiserver.call import status_of
from k8sactors.apiserver.entries import Entry
from k8sactors.apiserver.keys import ROOT
from k8sactors.apiserver.store import Committed
from k8sactors.apiserver.watching import refuse_watch
from k8sactors.testing.observed_message import Gate, GatedStream, ObservedMessage
from k8sactors.testing.request import ReceivedRequest, is_called, received

# Written to move the store's revision; no resource has keys there.
MARKER_KEY: Final = ROOT + b"testing.k8sactors/history"


class View(NamedTuple):
    """What a cache held at a moment."""

    revision: int
    entries: dict[bytes, Entry]


class ServerFaults(Gate, Protocol):
    """What a faulty server asks before it serves."""

    def started(self, server: FaultyAPIServer) -> None:
        """A server runs."""

    def stopped(self, server: FaultyAPIServer) -> None:
        """A server runs no longer."""

    def strike(
        self, server: FaultyAPIServer, message: ObservedMessage, request: ReceivedRequest
    ) -> bool:
        """Whether a fault deals with a request or watch."""

    def watched(self, stream: GatedStream, request: ReceivedRequest) -> None:
        """A watch has been opened."""


class FaultyAPIServer(APIServer):
    """An API server, and what may be done to its clients."""

    def __init__(self, faults: ServerFaults, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self._faults = faults

    def on_start(self) -> None:
        """Start, and be known."""
        super().on_start()
        self._faults.started(self)

    def on_stop(self) -> None:
        """Stop, and be forgotten."""
        self._faults.stopped(self)
        super().on_stop()

    def on_message(self, message: Message) -> None:
        """Serve a request or a watch unless a fault strikes it."""
        if message.kind not in {REQUEST, WATCH}:
            super().on_message(message)
            return
        place = REQUEST_USER if message.kind == REQUEST else WATCH_USER
        try:
            user = self.authentication.user_of(message.connection, message.payload, place).name
        except StatusError:
            super().on_message(message)
            return
        observed = ObservedMessage(message, self._faults, proxied=len(message.payload) > place)
        request = received(message, user)
        if not self._faults.strike(self, observed, request):
            self.serve(observed)
            if observed.stream is not None:
                self._faults.watched(observed.stream, request)

    def serve(self, message: ObservedMessage) -> None:
        """Serve it as the real server does."""
        super().on_message(message)  # type: ignore[arg-type]

    # What faults do

    def refuse(self, message: ObservedMessage, error: StatusError) -> None:
        """Answer with an error."""
        if message.kind == WATCH:
            refuse_watch(message, error)  # type: ignore[arg-type]
        else:
            message.reply(RESPONSE, (error.code, 0, codec.encode_value(error.status())))

    def be_faster(self, message: ObservedMessage, request: ReceivedRequest) -> None:
        """Write the object as it is, so that it gets a new version, then answer with 409."""
        resource = self._resources.get(request.resource)
        if resource is None:
            self.serve(message)
            return
        key = resource.key(request.namespace, request.name)
        error = errors.conflict(resource.info, request.name)

        def touch(state: KeyState | None, _revision: int) -> None:
            if state is None:
                self.serve(message)
                return
            guards = [Guard(key, state.mod_revision)]
            writes = [Write(key, state.value, state.lease)]
            self.store.commit(guards, writes, [], touched, failed)

        def touched(_committed: Committed) -> None:
            # Whether this write came first or another one: the client's is late.
            self.refuse(message, error)

        def failed(error: Any) -> None:
            self.refuse(message, status_of(error))

        self.store.read(key, touch, failed)

    def views(self, resource: str | None) -> dict[str, View]:
        """What the caches hold now, by resource; None: all of them."""
        return {
            name: View(self.feed.revision, dict(served.cache.entries))
            for name, served in self._resources.items()
            if resource is None or is_called(name, resource)
        }

    def answer_from(self, view: View, message: ObservedMessage, request: ReceivedRequest) -> None:
        """Answer a get or a list with the state of then."""
        resource = self._resources[request.resource]
        if request.verb == "list":
            exact = {"resourceVersion": str(view.revision), "resourceVersionMatch": "Exact"}
            message.payload[REQUEST_USER - 1] = {**request.options, **exact}
            self.serve(message)
            return
        entry = view.entries.get(resource.key(request.namespace, request.name))
        if entry is None:
            self.refuse(message, errors.not_found(resource.info, request.name))
            return
        data = entry.data if resource.present is None else resource.present(entry.data)
        message.reply(RESPONSE, (200, entry.mod_revision, data))

    def expire_history(self) -> None:
        """Forget all changes until now: no watch can be resumed and no list be continued."""

        def marked(committed: Committed) -> None:
            self.feed.when_reached(committed.revision, lambda: forget(committed.revision), _nothing)

        def forget(revision: int) -> None:
            for cache in self.feed.caches.values():
                cache.changes.clear()
                cache.oldest_revision = revision
            self.store.compact(revision, _nothing, _ignore)

        for cache in self.feed.caches.values():
            # From this turn on; the store follows.
            cache.changes.clear()
            cache.oldest_revision = self.feed.revision + 1
        self.store.commit([], [Write(MARKER_KEY, b"{}")], [], marked, _ignore)


def _nothing() -> None:
    return


def _ignore(_error: Any) -> None:
    # Another server has compacted as far, or the store is away: history is forgotten here anyway.
    return
