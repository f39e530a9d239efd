"""HTTP/2 over h2.

What h2 does for each request and would do alike for the next one is done once here: headers are
decoded and encoded by `header_blocks`, checked and parsed by `http2_heads`, and remembered.

Windows. The one of the connection is kept wide open, since what arrives on one stream must not hold
up the others; each stream has its own, which opens as its body is read (`acknowledge`).
"""

from __future__ import annotations

from typing import Any, Final

from h2 import events as h2
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.exceptions import ProtocolError
from h2.settings import SettingCodes, Settings
from hyperframe.frame import GoAwayFrame

from raftstore.http.errors import PeerError
from raftstore.http.events import (
    ConnectionEnded,
    DataReceived,
    Event,
    Head,
    Headers,
    RequestReceived,
    StreamReset,
    WindowOpened,
)
from raftstore.http.header_blocks import MAX_REMEMBERED, PlainEncoder, RememberingDecoder
from raftstore.http.http2_heads import check_trailers, parse_head
from raftstore.http.limits import Limits

PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
STREAM_WINDOW_BYTES: Final = 1 << 20
CONNECTION_WINDOW_BYTES: Final = 1 << 30
MAX_FRAME_BYTES: Final = 64 << 10

Fields = tuple[tuple[bytes, bytes], ...]


class Http2:
    """A server's side of a connection (`protocol.HttpProtocol`)."""

    def __init__(self, limits: Limits) -> None:
        config = H2Configuration(
            client_side=False,
            header_encoding=None,
            # See `http2_heads` for what comes in. What goes out is the application's.
            validate_inbound_headers=False,
            normalize_inbound_headers=False,
            validate_outbound_headers=False,
            normalize_outbound_headers=False,
        )
        self._peer = peer = H2Connection(config)
        peer.local_settings = Settings(
            client=False,
            initial_values={
                SettingCodes.MAX_CONCURRENT_STREAMS: limits.streams,
                SettingCodes.INITIAL_WINDOW_SIZE: STREAM_WINDOW_BYTES,
                SettingCodes.MAX_FRAME_SIZE: MAX_FRAME_BYTES,
                SettingCodes.MAX_HEADER_LIST_SIZE: limits.head_bytes,
            },
        )
        peer.max_inbound_frame_size = MAX_FRAME_BYTES
        peer.decoder = RememberingDecoder(limits.head_bytes)
        peer.encoder = PlainEncoder()
        peer.initiate_connection()
        peer.increment_flow_control_window(CONNECTION_WINDOW_BYTES - (1 << 16))
        self._connection_bytes = 0
        self._stream_bytes: dict[int, int] = {}
        self._heads: dict[Fields, Head] = {}
        self._receiving: dict[int, None] = {}
        self._control = b""
        self._stopping = False
        self.opened = False
        self.closed = False
        self.multiplexed = True

    @property
    def may_receive(self) -> bool:
        """Each stream has a window of its own."""
        return True

    def receive(self, data: bytes) -> list[Event]:
        """Take what has arrived."""
        if self.closed or not data:
            return []
        events: list[Event] = []
        try:
            for event in self._peer.receive_data(data):
                self._take(event, events)
        except PeerError as error:
            self._peer.close_connection(ErrorCodes.PROTOCOL_ERROR)
            self._end(str(error), events)
        except ProtocolError as error:
            self._end(str(error), events)
        self._control += self._peer.data_to_send()
        return events

    def _take(self, event: h2.Event, events: list[Event]) -> None:
        match event:
            case h2.RequestReceived():
                self._take_request(event, events)
            case h2.DataReceived():
                self._take_data(event, events)
            case h2.StreamEnded():
                self._take_end(event, events)
            case h2.TrailersReceived():
                check_trailers(_fields(event.headers))
            case h2.StreamReset():
                self._ended(event.stream_id)
                events.append(StreamReset(event.stream_id))
            case h2.WindowUpdated():
                events.append(WindowOpened(event.stream_id))
            case h2.RemoteSettingsChanged():
                self.opened = True
                events.append(WindowOpened(0))
            case h2.ConnectionTerminated():
                self._end("the peer has ended the connection", events)

    def _end(self, reason: str, events: list[Event]) -> None:
        self.closed = True
        events.append(ConnectionEnded(reason))

    def _take_request(self, event: h2.RequestReceived, events: list[Event]) -> None:
        stream_id, ended = event.stream_id, event.stream_ended is not None
        head = self._head(_fields(event.headers))
        if self._stopping:
            self._peer.reset_stream(stream_id, ErrorCodes.REFUSED_STREAM)
            return
        if not ended:
            self._receiving[stream_id] = None
        events.append(RequestReceived(stream_id, head, ended))

    def _head(self, key: Fields) -> Head:
        head = self._heads.get(key)
        if head is None:
            head = parse_head(key)
            if len(self._heads) >= MAX_REMEMBERED:
                self._heads.clear()
            self._heads[key] = head
        return head

    def _take_data(self, event: h2.DataReceived, events: list[Event]) -> None:
        stream_id, data, ended = event.stream_id, event.data, event.stream_ended is not None
        size_bytes = event.flow_controlled_length
        self._connection_bytes += size_bytes
        if self._connection_bytes >= CONNECTION_WINDOW_BYTES // 2:
            self._peer.increment_flow_control_window(self._connection_bytes)
            self._connection_bytes = 0
        if ended:
            self._ended(stream_id)
        elif size_bytes > len(data):
            # Padding is read by no application.
            self.acknowledge(stream_id, size_bytes - len(data))
        if data or ended:
            events.append(DataReceived(stream_id, data, ended))

    def _take_end(self, event: h2.StreamEnded, events: list[Event]) -> None:
        """The end of a request, unless it came with its head or with data."""
        if event.stream_id in self._receiving:
            self._ended(event.stream_id)
            events.append(DataReceived(event.stream_id, b"", ended=True))

    def _ended(self, stream_id: int) -> None:
        self._receiving.pop(stream_id, None)
        self._stream_bytes.pop(stream_id, None)

    def take_output(self) -> bytes:
        """What is to be sent."""
        control, self._control = self._control, b""
        return control + self._peer.data_to_send()

    @property
    def answers_peer(self) -> bool:
        """Whether what has arrived is to be answered by the protocol itself."""
        return bool(self._control)

    def acknowledge(self, stream_id: int, size_bytes: int) -> None:
        """Let the peer send as much more of a body."""
        if stream_id not in self._receiving:
            return
        size_bytes += self._stream_bytes.pop(stream_id, 0)
        if size_bytes < STREAM_WINDOW_BYTES // 2:
            self._stream_bytes[stream_id] = size_bytes
        else:
            self._peer.increment_flow_control_window(size_bytes, stream_id)
            self._control += self._peer.data_to_send()

    def room(self, stream_id: int) -> int:
        """How many bytes may be sent now in one frame."""
        peer = self._peer
        return min(peer.local_flow_control_window(stream_id), peer.max_outbound_frame_size)

    def send_head(self, stream_id: int, status: int, headers: Headers) -> None:
        """Begin an answer."""
        self._peer.send_headers(stream_id, [(b":status", b"%d" % status), *headers])

    def send_data(self, stream_id: int, data: bytes) -> None:
        """Send a frame of data."""
        self._peer.send_data(stream_id, data)

    def send_end(self, stream_id: int, trailers: Headers) -> None:
        """End an answer, with trailers if there are any."""
        if trailers:
            self._peer.send_headers(stream_id, trailers, end_stream=True)
        else:
            self._peer.end_stream(stream_id)
        self._refuse_rest(stream_id)

    def send_last(self, stream_id: int, data: bytes) -> None:
        """Send the last frame of data, which says that it is the last."""
        self._peer.send_data(stream_id, data, end_stream=True)
        self._refuse_rest(stream_id)

    def _refuse_rest(self, stream_id: int) -> None:
        if stream_id in self._receiving:
            # RFC 9113, section 8.1: the rest of the request is not wanted.
            self._ended(stream_id)
            self._peer.reset_stream(stream_id, ErrorCodes.NO_ERROR)

    def reset(self, stream_id: int) -> None:
        """Give up a stream."""
        self._ended(stream_id)
        self._peer.reset_stream(stream_id, ErrorCodes.INTERNAL_ERROR)

    def stop(self) -> None:
        """Take no further requests; tell the peer which one was the last."""
        if not self._stopping and not self.closed:
            self._stopping = True
            last = self._peer.highest_inbound_stream_id
            # h2 would send nothing behind its own GOAWAY, not even the answers under way.
            self._control += GoAwayFrame(0, last_stream_id=last).serialize()


def _fields(headers: Any) -> Fields:
    """The headers of an event; h2 gives bytes, as it is told to."""
    return tuple(headers)
