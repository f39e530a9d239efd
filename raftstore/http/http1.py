"""HTTP/1.0 and HTTP/1.1 over httptools.

One request is under way at a time. What a client sends behind it (pipelining) is parsed and put off
until its answer has ended; beyond `PIPELINED_BYTES` of that nothing more is received. The number of
a request is its stream id.
"""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import Final

import httptools

from raftstore.http.errors import PeerError
from raftstore.http.events import (
    ConnectionEnded,
    DataReceived,
    Event,
    Head,
    Headers,
    RequestReceived,
)
from raftstore.http.limits import Limits
from raftstore.http.upgraded import UpgradedBytes
from raftstore.http.websocket_frames import WebSocketFrames, asks_for_upgrade, is_websocket

PIPELINED_BYTES: Final = 64 << 10
FRAME_BYTES: Final = 64 << 10
HEAD_TOO_LARGE: Final = "the head of the request is too large"
WITHOUT_BODY: Final = frozenset({204, 304})

_method_matches: Final = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+) ").match
_lines: Final = {each.value: each.phrase.encode() for each in HTTPStatus}


class Http1:
    """A server's side of a connection (`protocol.HttpProtocol`)."""

    def __init__(self, limits: Limits, scheme: str = "http") -> None:
        self._limits = limits
        self._scheme = scheme
        self._parser = httptools.HttpRequestParser(self)
        self._output: list[bytes] = []
        self._put_off: list[Event] = []
        self._put_off_bytes = 0
        self._events: list[Event] = []
        # Of the request that is being parsed.
        self._parsed = 0
        self._target = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._head_bytes = 0
        self._in_head = True
        self._unknown_method = ""
        self._receiving = False
        # Of the one that is being answered; 0: none.
        self._answered = 0
        self._method = ""
        self._version = "1.1"
        self._chunked = False
        self._bodiless = False
        self._keeps_alive = True
        self._keep_alive_of: dict[int, bool] = {}
        self._websocket: WebSocketFrames | UpgradedBytes | None = None
        self._upgraded = b""
        self.opened = False
        self.closed = False
        self.multiplexed = False

    # What comes in

    @property
    def may_receive(self) -> bool:
        """Whether little enough is put off."""
        return self._put_off_bytes < PIPELINED_BYTES

    def receive(self, data: bytes) -> list[Event]:
        """Take what has arrived; without bytes, what was put off."""
        if self._websocket is not None:
            return self._websocket.receive(data, self._output)
        if data and not self.closed:
            self._feed(data)
        return self._release()

    def _feed(self, data: bytes) -> None:
        if self._put_off or (self._answered and not self._receiving):
            self._put_off_bytes += len(data)
        if self._in_head:
            self._head_bytes += len(data)
        try:
            self._parse(data)
        except PeerError as error:
            self._fail(error)
        except httptools.HttpParserCallbackError as error:
            # What a callback below has raised.
            cause = error.__context__
            if not isinstance(cause, PeerError):
                raise
            self._fail(cause)
        except httptools.HttpParserError as error:
            self._fail(PeerError(str(error)))
        else:
            if self._in_head and self._head_bytes > self._limits.head_bytes:
                self._fail(PeerError(HEAD_TOO_LARGE, 431))

    def _parse(self, data: bytes) -> None:
        while True:
            try:
                self._parser.feed_data(data)
            except httptools.HttpParserInvalidMethodError as error:
                # Which methods there are is the application's business: llhttp has a fixed list.
                known = self._with_known_method(data)
                if known is None:
                    raise PeerError(str(error), 501) from error
                data = known
                self._parser = httptools.HttpRequestParser(self)
            except httptools.HttpParserUpgrade as upgrade:
                data = data[upgrade.args[0] :]
                self._parser = httptools.HttpRequestParser(self)
                if self._asks_for_upgrade():
                    # What follows is for the new protocol, if the application accepts it.
                    self._upgraded = data
                    return
                if not data:
                    return
            else:
                return

    def _with_known_method(self, data: bytes) -> bytes | None:
        """A request with another method in the place of its own, which is remembered."""
        found = _method_matches(data)
        if self._unknown_method or found is None or self._head_bytes != len(data):
            return None
        self._unknown_method = found[1].decode()
        return b"POST" + data[found.end(1) :]

    def _asks_for_upgrade(self) -> bool:
        last = next(
            (event for event in reversed(self._events) if isinstance(event, RequestReceived)), None
        )
        return last is not None and (is_websocket(last.head) or asks_for_upgrade(last.head))

    def _fail(self, error: PeerError) -> None:
        self.closed = True
        if not self._answered:
            self._output.append(_refusal(error.status))
        self._events.append(ConnectionEnded(str(error)))

    def _release(self) -> list[Event]:
        """What concerns the request that is under way, or the next one if there is none."""
        events = self._put_off + self._events
        self._events, self._put_off = [], []
        released: list[Event] = []
        for place, event in enumerate(events):
            if isinstance(event, RequestReceived):
                if self._answered:
                    self._put_off = events[place:]
                    break
                self._begin(event)
            elif isinstance(event, DataReceived) and event.ended:
                self._receiving = False
            released.append(event)
        else:
            self._put_off_bytes = 0
        return released

    def _begin(self, event: RequestReceived) -> None:
        self.opened = True
        self._answered = event.stream_id
        self._receiving = not event.ended
        self._method = event.head.method
        self._version = event.head.version
        self._keeps_alive = self._keep_alive_of.pop(event.stream_id)
        expects = event.head.get(b"expect")
        if expects is not None and expects.lower() == b"100-continue" and not event.ended:
            self._output.append(b"HTTP/1.1 100 Continue\r\n\r\n")

    # httptools calls these

    def on_message_begin(self) -> None:
        """A request begins."""
        self._target = b""
        self._headers = []
        self._in_head = True

    def on_url(self, part: bytes) -> None:
        """A part of the target."""
        self._target += part

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header is complete."""
        self._headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """The head is complete."""
        self._parsed += 1
        self._in_head = False
        parser, version = self._parser, self._parser.get_http_version()
        size = len(self._target) + sum(len(name) + len(value) + 4 for name, value in self._headers)
        self._head_bytes = 0
        if size > self._limits.head_bytes:
            raise PeerError(HEAD_TOO_LARGE, 431)
        if version not in {"1.0", "1.1"}:
            raise PeerError(f"HTTP/{version} is not spoken here", 505)
        hosts = [value for name, value in self._headers if name == b"host"]
        if len(hosts) > 1 or (not hosts and version == "1.1"):
            raise PeerError("a request has one host")
        method, self._unknown_method = self._unknown_method, ""
        head = Head(
            method or parser.get_method().decode("latin-1"),
            _origin_form(self._target.decode("latin-1")),
            tuple(self._headers),
            version,
            self._scheme,
        )
        self._keep_alive_of[self._parsed] = parser.should_keep_alive()
        self._events.append(RequestReceived(self._parsed, head, ended=False))

    def on_body(self, data: bytes) -> None:
        """A part of the body."""
        self._events.append(DataReceived(self._parsed, data))

    def on_message_complete(self) -> None:
        """The request is complete."""
        self._in_head = True
        last = self._events[-1] if self._events else None
        if isinstance(last, RequestReceived | DataReceived):
            last.ended = True
        else:
            self._events.append(DataReceived(self._parsed, b"", ended=True))

    # What goes out

    def take_output(self) -> bytes:
        """What is to be sent."""
        output = b"".join(self._output)
        self._output.clear()
        return output

    @property
    def answers_peer(self) -> bool:
        """Whether what has arrived is to be answered by the protocol itself."""
        return bool(self._output)

    def acknowledge(self, stream_id: int, size_bytes: int) -> None:
        """HTTP/1.1 has no windows: without room nothing is received."""

    def room(self, stream_id: int) -> int:
        """How many bytes may be sent now."""
        del stream_id
        return FRAME_BYTES

    def send_head(self, stream_id: int, status: int, headers: Headers) -> None:
        """Begin an answer; a body of unknown length is sent in chunks."""
        assert stream_id == self._answered, "answers come in the order of their requests"
        self._bodiless = self._method == "HEAD" or status in WITHOUT_BODY
        has_length = any(name == b"content-length" for name, _ in headers)
        self._chunked = not (has_length or self._bodiless) and self._version == "1.1"
        if not (has_length or self._bodiless or self._chunked):
            self._keeps_alive = False
        lines = [b"HTTP/1.1 %d %s\r\n" % (status, _lines.get(status, b""))]
        lines += [b"%s: %s\r\n" % header for header in headers]
        if self._chunked:
            lines.append(b"transfer-encoding: chunked\r\n")
        if not self._keeps_alive:
            lines.append(b"connection: close\r\n")
        elif self._version == "1.0":
            lines.append(b"connection: keep-alive\r\n")
        lines.append(b"\r\n")
        self._output.append(b"".join(lines))

    def send_data(self, stream_id: int, data: bytes) -> None:
        """Send a part of the body."""
        del stream_id
        if self._bodiless or not data:
            return
        if self._chunked:
            self._output += (b"%x\r\n" % len(data), data, b"\r\n")
        else:
            self._output.append(data)

    def send_end(self, stream_id: int, trailers: Headers) -> None:
        """End an answer; trailers go behind chunks only."""
        del stream_id
        if self._chunked:
            fields = b"".join(b"%s: %s\r\n" % trailer for trailer in trailers)
            self._output.append(b"0\r\n" + fields + b"\r\n")
        if self._receiving or not self._keeps_alive:
            self.closed = True
        self._answered = 0

    def send_last(self, stream_id: int, data: bytes) -> None:
        """Send the last part of the body, and the end."""
        self.send_data(stream_id, data)
        self.send_end(stream_id, ())

    def reset(self, stream_id: int) -> None:
        """Give up an answer: the connection ends, so that it is seen to be cut short."""
        del stream_id
        self._answered = 0
        self.closed = True

    def stop(self) -> None:
        """Take no further requests."""
        self._keeps_alive = False
        if not self._answered:
            self.closed = True

    # WebSocket

    def accept_websocket(self, head: Head, subprotocol: str | None) -> WebSocketFrames:
        """Answer an upgrade: from now on the connection is a WebSocket.

        Raises:
            PeerError: the handshake is malformed.
        """
        frames = WebSocketFrames(self._answered, head, subprotocol, self._output)
        self._websocket = frames
        return frames

    def accept_upgrade(self, protocol: str, headers: Headers) -> UpgradedBytes:
        """Answer an upgrade: from now on the connection carries bytes."""
        upgraded = UpgradedBytes(self._answered, protocol, headers, self._output)
        self._websocket = upgraded
        return upgraded

    def take_upgraded(self) -> bytes:
        """What has arrived behind the request for an upgrade."""
        upgraded, self._upgraded = self._upgraded, b""
        return upgraded


def _origin_form(target: str) -> str:
    """Path and query; a proxy's client sends scheme and authority before them."""
    if not target.startswith(("http://", "https://")):
        return target
    _, _, rest = target.partition("://")
    _, slash, path = rest.partition("/")
    return slash + path or "/"


def _refusal(status: int) -> bytes:
    line = _lines[status]
    head = b"HTTP/1.1 %d %s\r\nconnection: close\r\ncontent-type: text/plain\r\n" % (status, line)
    return b"%scontent-length: %d\r\n\r\n%s\n" % (head, len(line) + 1, line)
