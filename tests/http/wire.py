"""A client's side of HTTP/2, without a socket."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from h2.config import H2Configuration
from h2.connection import H2Connection

from raftstore.http.http2 import Http2
from raftstore.http.limits import Limits

REQUEST = [(":method", "POST"), (":scheme", "http"), (":path", "/a?b=c"), (":authority", "x")]


class Pair:
    """A client by h2 and the server under test, with a wire between them."""

    def __init__(self, limits: Limits | None = None, *, validate: bool = True) -> None:
        self.client = H2Connection(
            H2Configuration(
                header_encoding="utf-8",
                validate_outbound_headers=validate,
                normalize_outbound_headers=validate,
            )
        )
        self.server = Http2(limits or Limits())
        self.client.initiate_connection()
        self.to_server()
        self.to_client()
        self.to_server()

    def to_server(self) -> list[Any]:
        """Let the server hear what the client has said."""
        return self.server.receive(self.client.data_to_send())

    def to_client(self) -> list[Any]:
        """Let the client hear what the server has said."""
        return list(self.client.receive_data(self.server.take_output()))

    def request(
        self, headers: Sequence[tuple[str, str]] = (), body: bytes = b"", *, end: bool = True
    ) -> int:
        """Let the client begin a request; its stream."""
        stream_id = self.client.get_next_available_stream_id()
        self.client.send_headers(stream_id, [*REQUEST, *headers], end_stream=end and not body)
        if body:
            self.client.send_data(stream_id, body, end_stream=end)
        return stream_id
