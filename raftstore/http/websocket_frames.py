"""WebSocket over HTTP/1.1 (RFC 6455), over wsproto: no I/O, as the other protocols."""

from __future__ import annotations

from typing import Final

from wsproto import ConnectionType, WSConnection
from wsproto import events as ws
from wsproto.utilities import LocalProtocolError, RemoteProtocolError

from raftstore.http.errors import PeerError
from raftstore.http.events import ConnectionEnded, Event, Head, MessageReceived, WebSocketClosed

NORMAL_CLOSURE: Final = 1000
PROTOCOL_ERROR: Final = 1002
# Other upgrades are overlooked: what follows is HTTP.
UPGRADES: Final = frozenset({b"spdy/3.1"})


def is_websocket(head: Head) -> bool:
    """Whether a request asks for a WebSocket."""
    return (head.get(b"upgrade") or b"").lower() == b"websocket"


def asks_for_upgrade(head: Head) -> bool:
    """Whether a request asks for another protocol that an application may speak."""
    return (head.get(b"upgrade") or b"").lower() in UPGRADES


def offered_subprotocols(head: Head) -> list[str]:
    """What the client can speak over the WebSocket, what it likes best first."""
    offered = b",".join(head.get_all(b"sec-websocket-protocol")).decode("latin-1")
    return [name for name in (part.strip() for part in offered.split(",")) if name]


class WebSocketFrames:
    """The frames of one WebSocket."""

    def __init__(
        self, stream_id: int, head: Head, subprotocol: str | None, output: list[bytes]
    ) -> None:
        self._stream_id = stream_id
        self._peer = WSConnection(ConnectionType.SERVER)
        try:
            self._peer.initiate_upgrade_connection(list(head.headers), head.target)
            if list(self._peer.events()):
                output.append(self._peer.send(ws.AcceptConnection(subprotocol)))
        except (RemoteProtocolError, LocalProtocolError) as error:
            raise PeerError(str(error)) from error
        self.closed = False

    def receive(self, data: bytes, output: list[bytes]) -> list[Event]:
        """Take what has arrived; pings are answered."""
        found: list[Event] = []
        try:
            self._peer.receive_data(data)
            for event in self._peer.events():
                if isinstance(event, ws.TextMessage | ws.BytesMessage):
                    part = event.data if isinstance(event.data, str) else bytes(event.data)
                    found.append(MessageReceived(self._stream_id, part, event.message_finished))
                elif isinstance(event, ws.Ping):
                    output.append(self._peer.send(event.response()))
                elif isinstance(event, ws.CloseConnection):
                    if not self.closed:
                        self.closed = True
                        output.append(self._peer.send(event.response()))
                    reason = event.reason or ""
                    found.append(WebSocketClosed(self._stream_id, event.code, reason))
        except RemoteProtocolError as error:
            self.closed = True
            if error.event_hint is not None:
                output.append(self._peer.send(error.event_hint))
            found.append(WebSocketClosed(self._stream_id, PROTOCOL_ERROR, str(error)))
            found.append(ConnectionEnded(str(error)))
        return found

    def message(self, data: bytes | str) -> bytes:
        """A whole message."""
        if isinstance(data, str):
            return self._peer.send(ws.TextMessage(data))
        return self._peer.send(ws.BytesMessage(data))

    def close(self, code: int, reason: str) -> bytes:
        """The word that ends the WebSocket; nothing if it has ended."""
        if self.closed:
            return b""
        self.closed = True
        return self._peer.send(ws.CloseConnection(code, reason or None))
