"""The interface between a connection and what is spoken on it: no I/O, no clock, no tasks."""

from __future__ import annotations

from typing import Protocol

from raftstore.http.events import Event, Headers


class HttpProtocol(Protocol):
    """One connection of a server.

    Streams are numbered by the protocol; in HTTP/1.1 one follows the other. Answers are given in
    this order: `send_head`, any number of `send_data`, `send_end` or `send_last`. Nothing is sent
    on a stream behind its end or its reset.
    """

    # Whether there are several streams at a time, each with a window of its own.
    multiplexed: bool
    # The peer has begun as the protocol wants it.
    opened: bool
    # Nothing more can come; what is to be sent may be sent, and then the connection is closed.
    closed: bool

    def receive(self, data: bytes) -> list[Event]:
        """Take what has arrived; without bytes, what was put off until an answer had ended."""

    def take_output(self) -> bytes:
        """What is to be sent, which is forgotten with this."""

    @property
    def answers_peer(self) -> bool:
        """Whether what has arrived is to be answered by the protocol itself: a ping, a mistake."""

    @property
    def may_receive(self) -> bool:
        """Whether there is room for more to arrive."""

    def acknowledge(self, stream_id: int, size_bytes: int) -> None:
        """Let the peer send as much more of a body."""

    def room(self, stream_id: int) -> int:
        """How many bytes of a body may be sent now in one `send_data`."""

    def send_head(self, stream_id: int, status: int, headers: Headers) -> None:
        """Begin an answer."""

    def send_data(self, stream_id: int, data: bytes) -> None:
        """Send a part of an answer's body, not more than there is room for."""

    def send_end(self, stream_id: int, trailers: Headers) -> None:
        """End an answer. What has not arrived of its request is not wanted any more."""

    def send_last(self, stream_id: int, data: bytes) -> None:
        """Send the last part of an answer's body and its end, in one frame if there are frames."""

    def reset(self, stream_id: int) -> None:
        """Give up a stream in the midst of its answer."""

    def stop(self) -> None:
        """Take no further requests; those under way may end."""
