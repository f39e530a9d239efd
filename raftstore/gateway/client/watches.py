"""All watches of one connection on one gRPC stream, told apart by ids that are chosen here.

What a watch has been given for certain differs from what the header of a response says: the header
has the store's newest revision, and an endpoint that replays history sends it in parts. So a watch
resumes behind the last *event* it got; only a progress notification speaks of the revision itself.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import Any, Final

import attrs
import msgpack

from raftstore.errors import UNAVAILABLE, Status
from raftstore.gateway.client.channel import Call, Channel, Headers
from raftstore.gateway.client.codecs import key_value_fields
from raftstore.gateway.codes import DEADLINE_EXCEEDED, INTERNAL, OK
from raftstore.gateway.messages import message
from raftstore.gateway.methods import WATCH

# An endpoint that has lost its leader ends the stream, instead of being silent (etcd's metadata).
REQUIRE_LEADER: Final = (("hasleader", "true"),)
WatchRequest: Final = message("WatchRequest")
# The stream may be had again, here or elsewhere.
PASSING: Final = frozenset((OK, UNAVAILABLE, INTERNAL, DEADLINE_EXCEEDED, "Canceled", "Unknown"))

# How a watch that is refused says why.
REFUSAL: Final = re.compile(r"rpc error: code = (\w+) desc = (.*)")

OnFields = Callable[[list[Any]], None]

_pack: Final = msgpack.Packer(autoreset=True).pack


@attrs.define(eq=False)
class Watched:
    """One watch; `revision`: everything it wants up to there has been delivered."""

    id: int
    message_id: int
    on_fields: OnFields
    revision: int
    token: str = ""
    created: bool = False
    fragments: list[list[Any]] = attrs.Factory(list)


def token_metadata(token: str) -> Headers:
    """How a call shows a token."""
    return (("token", token),) if token else ()


class WatchMultiplexer:
    """Takes WatchCreateRequest fields, gives WatchResponse fields as `raftstore.wire` has them.

    All watches with one token share a stream: a stream names its user when it begins. A stream
    whose last watch has gone is ended when there is one with a newer token.
    """

    def __init__(self, channel: Channel, metadata: Headers, fail: Callable[[str], None]) -> None:
        self._channel = channel
        self._metadata = (*metadata, *REQUIRE_LEADER)
        self._fail = fail
        self._calls: dict[str, Call] = {}
        self._watches: dict[int, Watched] = {}
        self._by_message: dict[int, Watched] = {}
        self._last_id = 0

    def create(self, message_id: int, fields: list[Any], on_fields: OnFields) -> None:
        """Begin a watch."""
        key, range_end, start_revision, progress_notify, filters, prev_kv = fields[:6]
        self._last_id += 1
        token = "".join(fields[6:])
        watched = Watched(self._last_id, message_id, on_fields, start_revision - 1, token)
        self._watches[watched.id] = self._by_message[message_id] = watched
        request = WatchRequest()
        create = request.create_request
        create.key, create.range_end = key, range_end
        create.start_revision = start_revision
        create.progress_notify = progress_notify
        create.filters.extend(filters)
        create.prev_kv = prev_kv
        create.watch_id = watched.id
        create.fragment = True
        self._end_idle_streams(token)
        self._send(request, token)

    def cancel(self, watch_id: int) -> None:
        """End a watch at the endpoint."""
        watched = self._watches.pop(watch_id, None)
        if watched is not None:
            self._by_message.pop(watched.message_id, None)
            request = WatchRequest()
            request.cancel_request.watch_id = watch_id
            self._send(request, watched.token)

    def unsubscribe(self, message_id: int) -> None:
        """Hear no more of a watch."""
        watched = self._by_message.get(message_id)
        if watched is not None:
            watched.on_fields = _ignore

    def _send(self, request: Any, token: str) -> None:
        call = self._calls.get(token)
        if call is None or call.over:
            call = self._calls[token] = self._channel.call(
                WATCH.path,
                partial(self._received, token),
                partial(self._ended, token),
                (*self._metadata, *token_metadata(token)),
            )
        call.send(request.SerializeToString())

    def _end_idle_streams(self, newest: str) -> None:
        used = {watched.token for watched in self._watches.values()}
        for token in [token for token in self._calls if token != newest and token not in used]:
            self._calls.pop(token).cancel()

    def _received(self, token: str, data: bytes) -> None:
        response = WATCH.response.FromString(data)
        watched = self._watches.get(response.watch_id)
        if watched is None and response.created and response.canceled:
            # What is refused at once is not named; but answers come in the order of the requests.
            items = (item for item in self._watches.values() if item.token == token)
            watched = next((item for item in items if not item.created), None)
        if watched is None:
            return  # cancelled here, while this was on its way
        if response.canceled:
            self._cancelled(watched, response)
        elif response.created:
            self._created(watched, response.header.revision)
        else:
            self._events(watched, response)

    def _cancelled(self, watched: Watched, response: Any) -> None:
        del self._watches[watched.id]
        self._by_message.pop(watched.message_id, None)
        reason = response.cancel_reason or "the store has cancelled the watch"
        refusal = REFUSAL.fullmatch(reason)
        if refusal is not None and not watched.created:
            watched.on_fields([refusal[1], refusal[2]])
            return
        revision = response.header.revision
        watched.on_fields([watched.id, revision, response.compact_revision, True, reason, b""])

    def _created(self, watched: Watched, revision: int) -> None:
        watched.created = True
        if watched.revision < 0:
            # "From now on": now is what the endpoint says.
            watched.revision = revision
        watched.on_fields([watched.id, watched.revision, 0, False, "", b""])

    def _events(self, watched: Watched, response: Any) -> None:
        events = watched.fragments
        events += [
            [
                event.type,
                key_value_fields(event.kv),
                key_value_fields(event.prev_kv) if event.HasField("prev_kv") else None,
            ]
            for event in response.events
        ]
        if response.fragment:
            return
        watched.fragments = []
        if events:
            watched.revision = max(watched.revision, events[-1][1][2])
        else:
            watched.revision = max(watched.revision, response.header.revision)
        packed = _pack(events) if events else b""
        watched.on_fields([watched.id, watched.revision, 0, False, "", packed])

    def _ended(self, token: str, status: Status) -> None:
        self._calls.pop(token, None)
        if self._channel.closed:
            return
        if status.code in PASSING:
            self._fail(f"the watch stream has ended: {status.message or status.code}")
            return
        for watched in [item for item in self._watches.values() if item.token == token]:
            del self._watches[watched.id]
            self._by_message.pop(watched.message_id, None)
            watched.on_fields(list(status))


def _ignore(_fields: list[Any]) -> None:
    """Nothing listens any more."""
