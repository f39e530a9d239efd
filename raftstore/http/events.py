"""What a protocol makes of the bytes that arrive."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs

Headers = Sequence[tuple[bytes, bytes]]


@attrs.define(eq=False)
class Head:
    """The head of a request. Requests with equal heads on one connection may share it.

    Header names are in lower case. Of a header that comes several times, `get` knows the last one.
    """

    method: str
    # As it was sent: path and query.
    target: str
    headers: Headers
    version: str
    scheme: str = "http"
    # What an application has found out from the head, for the next request that shares it.
    memo: Any = None
    path: str = attrs.field(init=False)
    query: str = attrs.field(init=False)
    _by_name: dict[bytes, bytes] = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.path, _, self.query = self.target.partition("?")
        self._by_name = dict(self.headers)

    def get(self, name: bytes, default: bytes | None = None) -> bytes | None:
        """The value of a header."""
        return self._by_name.get(name, default)

    def get_all(self, name: bytes) -> list[bytes]:
        """The values of a header that may come several times."""
        return [value for key, value in self.headers if key == name]


@attrs.define(eq=False)
class RequestReceived:
    """The head of a request is complete. `ended`: it has no body."""

    stream_id: int
    head: Head
    ended: bool


@attrs.define(eq=False)
class DataReceived:
    """A part of the body. `ended`: the last one."""

    stream_id: int
    data: bytes
    ended: bool = False


@attrs.define(eq=False)
class StreamReset:
    """The peer has given up a request."""

    stream_id: int


@attrs.define(eq=False)
class WindowOpened:
    """The peer takes more of one answer; `stream_id` 0: perhaps of all."""

    stream_id: int


@attrs.define(eq=False)
class ConnectionEnded:
    """Nothing that comes from now on means anything. What is to be sent still is."""

    reason: str


@attrs.define(eq=False)
class MessageReceived:
    """A part of a message of a WebSocket; `ended`: its last one."""

    stream_id: int
    data: bytes | str
    ended: bool


@attrs.define(eq=False)
class WebSocketClosed:
    """The peer has closed the WebSocket."""

    stream_id: int
    code: int
    reason: str


Event = (
    RequestReceived
    | DataReceived
    | StreamReset
    | WindowOpened
    | ConnectionEnded
    | MessageReceived
    | WebSocketClosed
)
