"""A connection after an upgrade to something that is no HTTP (RFC 9110, section 7.8): raw bytes."""

from __future__ import annotations

from raftstore.http.events import Event, Headers, MessageReceived


class UpgradedBytes:
    """Stands where the frames of a WebSocket would: what arrives is a message, as it is."""

    def __init__(
        self, stream_id: int, protocol: str, headers: Headers, output: list[bytes]
    ) -> None:
        self._stream_id = stream_id
        self.closed = False
        lines = [b"%s: %s\r\n" % header for header in headers]
        output.append(
            b"HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\n"
            b"upgrade: %s\r\n%s\r\n" % (protocol.encode("latin-1"), b"".join(lines))
        )

    def receive(self, data: bytes, output: list[bytes]) -> list[Event]:
        """Take what has arrived."""
        del output
        return [MessageReceived(self._stream_id, data, ended=True)] if data else []

    @staticmethod
    def message(data: bytes | str) -> bytes:
        """What is sent, as it is."""
        return data.encode() if isinstance(data, str) else data

    def close(self, code: int, reason: str) -> bytes:
        """The end of the connection is the end."""
        del code, reason
        self.closed = True
        return b""
