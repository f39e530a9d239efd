"""HTTP/2 by hand: what no gRPC library would send, and what comes back."""

from __future__ import annotations

import socket
import struct
from collections.abc import Sequence
from typing import Any, Self
from urllib.parse import unquote

import attrs
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    ResponseReceived,
    StreamEnded,
    StreamReset,
    TrailersReceived,
)

TIMEOUT_S = 60.0
PSEUDO = {":method": "POST", ":scheme": "http", ":authority": "x"}
GRPC = {"content-type": "application/grpc", "te": "trailers"}


@attrs.define
class Outcome:
    """What became of a call."""

    headers: dict[str, str] = attrs.Factory(dict)
    body: bytes = b""
    reset: int | None = None
    closed: bool = False

    @property
    def status(self) -> str:
        """In words: the status of gRPC or HTTP, or how it ended without."""
        if self.reset is not None:
            return f"stream reset, {self.reset}"
        if "grpc-status" in self.headers:
            text = unquote(self.headers.get("grpc-message", ""))
            return f"{self.headers['grpc-status']}: {text}".removesuffix(": ")
        if self.closed:
            return "connection closed"
        return f"HTTP {self.headers.get(':status')}"


def message(data: bytes, flag: int = 0, length: int | None = None) -> bytes:
    """A message of gRPC; the length may be another than its own."""
    return struct.pack(">BI", flag, len(data) if length is None else length) + data


class RawConnection:
    """One connection, on which calls are made one after the other."""

    def __init__(self, address: str) -> None:
        host, _, port = address.partition(":")
        self._socket = socket.create_connection((host, int(port)), TIMEOUT_S)
        # What is sent is what the test says, right or wrong.
        config = H2Configuration(
            header_encoding="utf-8",
            validate_outbound_headers=False,
            normalize_outbound_headers=False,
        )
        self._peer = H2Connection(config)
        self._peer.initiate_connection()
        self._flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def call(
        self,
        path: str,
        body: bytes = b"",
        headers: dict[str, str] | None = None,
        without: Sequence[str] = (),
    ) -> Outcome:
        """Make a call and wait for its end."""
        stream = self.begin(path, headers, without)
        self.send(stream, body, end=True)
        return self.outcome(stream)

    def begin(
        self, path: str, headers: dict[str, str] | None = None, without: Sequence[str] = ()
    ) -> int:
        """Send the head; the stream's number."""
        stream = self._peer.get_next_available_stream_id()
        everything = {**PSEUDO, ":path": path, **GRPC, **(headers or {})}
        self._peer.send_headers(
            stream, [item for item in everything.items() if item[0] not in without]
        )
        self._flush()
        return stream

    def send(self, stream: int, body: bytes, *, end: bool) -> None:
        """Send a part of the body."""
        view = memoryview(body)
        while view:
            room = self._peer.local_flow_control_window(stream)
            if not room:
                self._receive(Outcome(), stream)
                continue
            part = view[: min(room, self._peer.max_outbound_frame_size)]
            view = view[len(part) :]
            self._peer.send_data(stream, bytes(part))
            self._flush()
        if end:
            self._peer.end_stream(stream)
            self._flush()

    def reset(self, stream: int) -> None:
        """Give a call up."""
        self._peer.reset_stream(stream, 8)
        self._flush()

    def outcome(self, stream: int) -> Outcome:
        """Wait for the end of a call."""
        outcome = Outcome()
        while not self._receive(outcome, stream):
            pass
        return outcome

    def first_outcome(self, streams: Sequence[int]) -> Outcome:
        """Wait for the end of any of these calls; the server may serve them in any order."""
        outcomes = {stream: Outcome() for stream in streams}
        while True:
            ended = [
                outcome
                for event in self._events()
                for stream, outcome in outcomes.items()
                if self._take(event, outcome, stream)
            ]
            if ended:
                return ended[0]

    def _receive(self, outcome: Outcome, stream: int) -> bool:
        """Take what comes; whether the call is over."""
        ended = False
        for event in self._events():
            ended |= self._take(event, outcome, stream)
        return ended

    def _events(self) -> list[Any]:
        """The next events of the connection; its end is one of them."""
        try:
            data = self._socket.recv(65_536)
        except ConnectionResetError:
            data = b""
        if not data:
            return [ConnectionTerminated()]
        events = self._peer.receive_data(data)
        self._flush()
        return events

    def _take(self, event: Any, outcome: Outcome, stream: int) -> bool:
        if isinstance(event, ConnectionTerminated):
            outcome.closed = True
            return True
        if getattr(event, "stream_id", None) != stream:
            return False
        match event:
            case ResponseReceived() | TrailersReceived():
                outcome.headers.update(event.headers)
            case DataReceived():
                outcome.body += event.data
                self._peer.acknowledge_received_data(event.flow_controlled_length, stream)
            case StreamReset():
                outcome.reset = event.error_code
        return isinstance(event, StreamEnded | StreamReset)

    def _flush(self) -> None:
        self._socket.sendall(self._peer.data_to_send())
