"""gRPC calls over one HTTP/2 connection: frames in and out, nothing of etcd's methods.

Theory of operation. `Channel.call` and the methods of a `Call` only queue; one task writes what has
been queued since its last turn, so that calls made together leave together. Another task reads, and
calls back. A call's messages wait here while the peer's flow control, or its limit on open streams,
has no room for them.
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol
from urllib.parse import unquote

import h2.events
import trio
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.exceptions import ProtocolError
from h2.settings import SettingCodes

from raftstore.errors import RESOURCE_EXHAUSTED, STOPPED, UNAVAILABLE, Status
from raftstore.gate import Gate
from raftstore.gateway.codes import INTERNAL, NUMBERS, OK, UNKNOWN

HEAD: Final = struct.Struct(">BI")
RECEIVE_BYTES: Final = 64 << 10
# A page of a list, or a batch of events; without a bound a peer could fill the memory.
MAX_MESSAGE_BYTES: Final = 256 << 20
WINDOW_BYTES: Final = 8 << 20
CODES: Final = {number: code for code, number in NUMBERS.items()}
HTTP_OK: Final = "200"

OnMessage = Callable[[bytes], None]
OnEnd = Callable[[Status], None]
Headers = Sequence[tuple[str, str]]


class ByteStream(Protocol):
    """The part of a trio stream that is used here."""

    async def send_all(self, data: bytes) -> None:
        """Send."""

    async def receive_some(self, max_bytes: int | None = None) -> Any:
        """Receive; nothing at the end."""


class Call:
    """One call. `on_message` gets each message of the peer, then `on_end` its status, once."""

    __slots__ = (
        "_channel",
        "_incoming",
        "finished",
        "headers",
        "on_end",
        "on_message",
        "outgoing",
        "over",
        "status",
        "stream_id",
    )

    def __init__(
        self, channel: Channel, headers: Headers, on_message: OnMessage, on_end: OnEnd
    ) -> None:
        self._channel = channel
        self.headers = headers
        self.on_message = on_message
        self.on_end = on_end
        self.stream_id = 0
        self.outgoing = bytearray()
        self.finished = False
        """Nothing more will be sent."""
        self.over = False
        self.status: Status | None = None
        self._incoming = bytearray()

    def send(self, message: bytes) -> None:
        """Queue one message."""
        self.outgoing += HEAD.pack(0, len(message)) + message
        self._channel.wants_to_write(self)

    def finish(self) -> None:
        """Everything has been said."""
        self.finished = True
        self._channel.wants_to_write(self)

    def cancel(self) -> None:
        """Give up; no callback follows."""
        self._channel.cancel(self)

    def receive(self, data: bytes) -> Status | None:
        """Take a part of the answer; a status if it cannot be understood."""
        self._incoming += data
        while len(self._incoming) >= HEAD.size and not self.over:
            compressed, length = HEAD.unpack_from(self._incoming)
            if compressed:
                return Status(INTERNAL, "grpc: the answer is compressed, which was not offered")
            if length > MAX_MESSAGE_BYTES:
                text = f"grpc: received message larger than max ({length} vs. {MAX_MESSAGE_BYTES})"
                return Status(RESOURCE_EXHAUSTED, text)
            end = HEAD.size + length
            if len(self._incoming) < end:
                return None
            message = bytes(self._incoming[HEAD.size : end])
            del self._incoming[:end]
            self.on_message(message)
        return None


class Channel:
    """One connection. It can be used before `run` has a stream to run it on."""

    def __init__(
        self, authority: str, on_close: Callable[[str], None], *, scheme: str = "http"
    ) -> None:
        self._on_close = on_close
        self._base: Headers = (
            (":method", "POST"),
            (":scheme", scheme),
            (":authority", authority),
        )
        self._h2 = H2Connection(H2Configuration(client_side=True, header_encoding="utf-8"))
        self._calls: dict[int, Call] = {}
        self._new: deque[Call] = deque()
        self._unsent: dict[Call, None] = {}
        self._gate = Gate()
        self._going_away = ""
        self.closed = False

    def call(self, path: str, on_message: OnMessage, on_end: OnEnd, metadata: Headers = ()) -> Call:
        """Begin a call; its messages follow by `Call.send`."""
        headers = (
            *self._base,
            (":path", path),
            ("te", "trailers"),
            ("content-type", "application/grpc"),
            ("user-agent", "raftstore"),
            *metadata,
        )
        call = Call(self, headers, on_message, on_end)
        self._new.append(call)
        self._gate.open()
        return call

    def wants_to_write(self, call: Call) -> None:
        """A call has something to send."""
        if call.stream_id and not call.over:
            self._unsent[call] = None
        self._gate.open()

    def cancel(self, call: Call) -> None:
        """Forget a call, here and at the peer."""
        if call.over:
            return
        call.over = True
        if not call.stream_id:
            self._new.remove(call)
        elif self._calls.pop(call.stream_id, None) is not None:
            self._unsent.pop(call, None)
            self._reset(call)

    def close(self, reason: str = "") -> None:
        """End everything; what waits ends with a status, `on_close` is not called."""
        self._on_close = _ignore
        self.break_(reason or "closed")

    def break_(self, reason: str) -> None:
        """The connection is of no use any more."""
        if self.closed:
            return
        self.closed = True
        self._on_close(reason)
        calls, self._calls = list(self._calls.values()), {}
        new, self._new = list(self._new), deque()
        for call in (*calls, *new):
            if not call.over:
                call.over = True
                call.on_end(Status(UNAVAILABLE, reason))
        self._gate.open()

    # Running

    async def run(self, stream: ByteStream) -> None:
        """Speak until the connection ends or is closed; never raises for what the peer does."""
        self._h2.initiate_connection()
        self._h2.update_settings(
            {SettingCodes.INITIAL_WINDOW_SIZE: WINDOW_BYTES, SettingCodes.ENABLE_PUSH: 0}
        )
        self._h2.increment_flow_control_window(WINDOW_BYTES)
        async with trio.open_nursery() as nursery:

            async def read() -> None:
                self.break_(await self._read(stream))
                nursery.cancel_scope.cancel()

            nursery.start_soon(read)
            await self._write(stream)
            nursery.cancel_scope.cancel()

    async def _write(self, stream: ByteStream) -> None:
        try:
            while not self.closed:
                self._begin_calls()
                self._send_unsent()
                data = self._h2.data_to_send()
                if data:
                    await stream.send_all(data)
                else:
                    await self._gate.wait()
        except (OSError, trio.BrokenResourceError, trio.ClosedResourceError) as error:
            self.break_(f"connection lost: {error.__cause__ or error}")
        except ProtocolError as error:
            self.break_(f"HTTP/2: {error}")

    def _begin_calls(self) -> None:
        while self._new and not self._going_away:
            if len(self._calls) >= self._h2.remote_settings.max_concurrent_streams:
                return
            call = self._new.popleft()
            call.stream_id = self._h2.get_next_available_stream_id()
            self._h2.send_headers(call.stream_id, call.headers)
            self._calls[call.stream_id] = call
            self._unsent[call] = None

    def _send_unsent(self) -> None:
        for call in list(self._unsent):
            while call.outgoing:
                room = min(
                    self._h2.local_flow_control_window(call.stream_id),
                    self._h2.max_outbound_frame_size,
                )
                if room <= 0:
                    break
                self._h2.send_data(call.stream_id, bytes(call.outgoing[:room]))
                del call.outgoing[:room]
            if not call.outgoing:
                del self._unsent[call]
                if call.finished:
                    self._h2.end_stream(call.stream_id)

    async def _read(self, stream: ByteStream) -> str:
        """Handle what comes; returns why nothing more comes."""
        try:
            while True:
                data = await stream.receive_some(RECEIVE_BYTES)
                if not data:
                    return self._going_away or "the server has closed the connection"
                for event in self._h2.receive_data(bytes(data)):
                    self._handle(event)
                if self._going_away and not self._calls:
                    return self._going_away
                self._gate.open()
        except (OSError, trio.BrokenResourceError, trio.ClosedResourceError) as error:
            return f"connection lost: {error.__cause__ or error}"
        except ProtocolError as error:
            return f"the server does not speak HTTP/2 here: {error}"

    def _handle(self, event: Any) -> None:
        if isinstance(event, h2.events.ConnectionTerminated):
            self._going_away = "the server is going away"
            self._refuse_unseen(event.last_stream_id or 0)
            return
        if isinstance(event, h2.events.WindowUpdated | h2.events.RemoteSettingsChanged):
            return
        call = self._calls.get(getattr(event, "stream_id", None) or 0)
        if isinstance(event, h2.events.DataReceived):
            if event.flow_controlled_length:
                self._h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            problem = None if call is None else call.receive(event.data)
            if problem is not None and call is not None and not call.over:
                self._calls.pop(call.stream_id, None)
                self._reset(call)
                self._end(call, problem)
        elif call is None:
            return
        elif isinstance(event, h2.events.ResponseReceived | h2.events.TrailersReceived):
            call.status = _status(event.headers) or call.status
        elif isinstance(event, h2.events.StreamReset):
            self._calls.pop(call.stream_id, None)
            refused = event.error_code == ErrorCodes.REFUSED_STREAM
            reset = Status(UNAVAILABLE, f"the server has reset the stream ({event.error_code})")
            # A refused stream was certainly not looked at.
            self._end(call, call.status or (STOPPED if refused else reset))
        elif isinstance(event, h2.events.StreamEnded):
            self._calls.pop(call.stream_id, None)
            if not call.finished:
                self._reset(call, ErrorCodes.NO_ERROR)
            self._end(call, call.status or Status(INTERNAL, "grpc: the answer has no status"))

    def _refuse_unseen(self, last_stream_id: int) -> None:
        """End the calls that the server, going away, says it has not looked at."""
        unseen = [call for number, call in self._calls.items() if number > last_stream_id]
        for call in (*unseen, *self._new):
            self._calls.pop(call.stream_id, None)
            self._end(call, STOPPED)
        self._new.clear()

    def _end(self, call: Call, status: Status) -> None:
        self._unsent.pop(call, None)
        if not call.over:
            call.over = True
            call.on_end(status)

    def _reset(self, call: Call, code: ErrorCodes = ErrorCodes.CANCEL) -> None:
        try:
            self._h2.reset_stream(call.stream_id, code)
        except ProtocolError:
            return  # the peer was faster: it is closed already
        self._gate.open()


def _status(lines: Any) -> Status | None:
    """The status in the head of an answer, or behind it; None if it is still to come."""
    headers: dict[str, str] = dict(lines)
    number = headers.get("grpc-status")
    if number is not None:
        code = CODES.get(int(number), UNKNOWN) if number.isdigit() else UNKNOWN
        return Status(code, unquote(headers.get("grpc-message", "")))
    http_status = headers.get(":status")
    if http_status is not None and http_status != HTTP_OK:
        return Status(UNAVAILABLE, f"the server answers with HTTP status {http_status}, not gRPC")
    return None


def succeeded(status: Status) -> bool:
    """Whether a call ended well."""
    return status.code == OK


def _ignore(_reason: str) -> None:
    """Nothing to tell: the one that closes knows why."""
