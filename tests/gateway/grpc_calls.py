"""gRPC calls at the application itself, as an HTTP/2 server would make them, one task each."""

from __future__ import annotations

import struct
from typing import Any

import trio

from raftstore.gateway.app import Gateway
from raftstore.gateway.method import Method
from raftstore.http import Head
from tests.http.in_memory import Answer

HEAD_BYTES = 5
GRPC = (b"content-type", b"application/grpc")


def grpc_head(path: str, headers: dict[bytes, bytes] | None = None) -> Head:
    """The head of a call."""
    return Head("POST", path, (GRPC, *(headers or {}).items()), "2")


class Call:
    """One call: its answers as they come, and its end."""

    def __init__(
        self, gateway: Gateway, path: str, method: Method, headers: dict[bytes, bytes] | None = None
    ) -> None:
        self.messages: list[Any] = []
        self.code = -1
        self.text = ""
        self.ended = trio.Event()
        self._method = method
        self._body = b""
        self._answer = Answer(gateway, grpc_head(path, headers), on_data=self._take)

    def hang_up(self) -> None:
        """The client goes away."""
        self._answer.hang_up()

    async def run(self, fields: dict[str, Any]) -> None:
        """Make the call."""
        data = self._method.request(**fields).SerializeToString()
        await self._answer.run(struct.pack(">BI", 0, len(data)) + data)
        trailers = self._answer.trailers
        if trailers:
            self.code = int(trailers[b"grpc-status"])
            self.text = trailers.get(b"grpc-message", b"").decode()
        self.ended.set()

    def _take(self, data: bytes) -> None:
        self._body += data
        while len(self._body) >= HEAD_BYTES:
            end = HEAD_BYTES + int.from_bytes(self._body[1:HEAD_BYTES], "big")
            if len(self._body) < end:
                break
            self.messages.append(self._method.response.FromString(self._body[HEAD_BYTES:end]))
            self._body = self._body[end:]
