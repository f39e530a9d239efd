"""A request on its way through a faulty server: its answer may be lost, its watch held back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Protocol

from k8sactors.actors import Connection, Message, Stream
from k8sactors.api import codec
from k8sactors.api.errors import StatusError
from k8sactors.api.protocol import RESPONSE

LOST_CODE: Final = 599
LOST_REASON: Final = "AnswerLost"
_LOST: Final = StatusError(LOST_CODE, LOST_REASON, "the answer was lost")


class Gate(Protocol):
    """Says which watches wait."""

    def holds(self, stream: GatedStream) -> bool:
        """Whether a watch has to wait with its events."""


class GatedStream:
    """The stream of a watch, whose window looks closed while the gate holds it."""

    def __init__(self, stream: Stream, gate: Gate) -> None:
        self._stream = stream
        self._gate = gate

    @property
    def credit(self) -> int:
        """The weight that may be sent now."""
        credit = self._stream.credit
        return 0 if credit > 0 and self._gate.holds(self) else credit

    @property
    def closed(self) -> bool:
        """Whether it has ended."""
        return self._stream.closed

    @property
    def on_writable(self) -> Callable[[], None]:
        """Says that a closed window has opened."""
        return self._stream.on_writable

    @on_writable.setter
    def on_writable(self, callback: Callable[[], None]) -> None:
        self._stream.on_writable = callback

    @property
    def on_close(self) -> Callable[[str, Any], None]:
        """Says that the client has closed it, or is gone."""
        return self._stream.on_close

    @on_close.setter
    def on_close(self, callback: Callable[[str, Any], None]) -> None:
        self._stream.on_close = callback

    def send(self, kind: str, payload: Any) -> None:
        """Queue an item."""
        self._stream.send(kind, payload)

    def close(self, reason: str = "", trailer: Any = None) -> None:
        """End it."""
        self._stream.close(reason, trailer)

    def drop(self, reason: str) -> None:
        """End it as a lost connection does, at both ends."""
        self._stream.close(reason)
        self._stream.on_close(reason, None)


class ObservedMessage:
    """Stands for the message of a client."""

    def __init__(self, message: Message, gate: Gate, *, proxied: bool) -> None:
        self.kind = message.kind
        self.payload: list[Any] = message.payload
        self.connection: Connection | None = message.connection
        self.id = message.id
        self.cause = message.cause
        self.sender = message.sender
        self.loses_answer = False
        self.stream: GatedStream | None = None
        self._message = message
        self._gate = gate
        # Whether it came by a front, which is to break its own client's connection.
        self._proxied = proxied

    def reply(self, kind: str, payload: Any) -> None:
        """Answer it, or lose the answer."""
        if not self.loses_answer or kind != RESPONSE:
            self._message.reply(kind, payload)
        elif self._proxied:
            self._message.reply(RESPONSE, (LOST_CODE, 0, codec.encode_value(_LOST.status())))
        elif self.connection is not None:
            self.connection.close("the answer was lost by order of the test")

    def accept_stream(self, **settings: Any) -> GatedStream | None:
        """This end of the stream that the message opens."""
        stream = self._message.accept_stream(**settings)
        if stream is None:
            return None
        self.stream = GatedStream(stream, self._gate)
        return self.stream
