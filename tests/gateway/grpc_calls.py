"""gRPC calls at the ASGI application, as an HTTP/2 server would make them, one task each."""

from __future__ import annotations

import struct
from typing import Any

import trio

from raftstore.gateway.app import Gateway
from raftstore.gateway.method import Method

HEAD_BYTES = 5


class Call:
    """One call: its answers as they come, and its end."""

    def __init__(
        self, gateway: Gateway, path: str, method: Method, headers: dict[bytes, bytes] | None = None
    ) -> None:
        self.messages: list[Any] = []
        self.code = -1
        self.text = ""
        self.ended = trio.Event()
        self._gateway = gateway
        self._path = path
        self._method = method
        self._headers = headers or {}
        self._hung_up = trio.Event()
        self._body = b""

    def hang_up(self) -> None:
        """The client goes away."""
        self._hung_up.set()

    async def run(self, fields: dict[str, Any]) -> None:
        """Make the call."""
        data = self._method.request(**fields).SerializeToString()
        arriving = [
            {
                "type": "http.request",
                "body": struct.pack(">BI", 0, len(data)) + data,
                "more_body": False,
            }
        ]

        async def receive() -> dict[str, Any]:
            if arriving:
                return arriving.pop()
            await self._hung_up.wait()
            return {"type": "http.disconnect"}

        scope = {
            "type": "http",
            "http_version": "2",
            "method": "POST",
            "path": self._path,
            "headers": [(b"content-type", b"application/grpc"), *self._headers.items()],
        }
        await self._gateway(scope, receive, self._take)
        self.ended.set()

    async def _take(self, event: dict[str, Any]) -> None:
        await trio.lowlevel.checkpoint()
        self._body += event.get("body", b"")
        while len(self._body) >= HEAD_BYTES:
            end = HEAD_BYTES + int.from_bytes(self._body[1:HEAD_BYTES], "big")
            if len(self._body) < end:
                break
            self.messages.append(self._method.response.FromString(self._body[HEAD_BYTES:end]))
            self._body = self._body[end:]
        if event["type"] == "http.response.trailers":
            trailers = dict(event["headers"])
            self.code = int(trailers[b"grpc-status"])
            self.text = trailers.get(b"grpc-message", b"").decode()
