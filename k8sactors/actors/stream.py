"""Streams: flow-controlled exchanges of items in both directions of a connection.

One end opens a stream with a message of its protocol; the other accepts it, or closes it with a
reason. Then both send items, each until it ends its own direction; either may close the whole
stream at any time. Watches are streams, and whatever carries bytes to and fro can be.

Flow control is HTTP/2's (RFC 9113, section 5.2), by weight: a payload of bytes weighs its length, a
list its items, anything else 1. An end may send while its window is open; a message may overdraw
the window, which is then closed until the receiver has returned credit, so what is under way is
bounded by the window and one message. Both directions begin with `INITIAL_WINDOW`. A sender keeps
what it cannot send: it decides what waits, and for how long.

On the wire an item carries the id of the message that opened the stream as its cause: negative from
the end that opened it, positive from the other. `CREDIT` returns weight, `END` ends a direction,
`STOP` with `[reason, trailer]` closes the stream; the trailer is plain data of the protocol, which
needs no open window.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Protocol

from k8sactors.actors.errors import StreamBlockedError

CREDIT: Final = "$credit"
END: Final = "$end"
STOP: Final = "$stop"
CONTROL: Final = frozenset({CREDIT, END, STOP})

INITIAL_WINDOW: Final = 4096

_MEASURED: Final = frozenset({bytes, list, tuple})

OnClose = Callable[[str, Any], None]


class Item(Protocol):
    """A message of a stream."""

    @property
    def kind(self) -> str:
        """Its name in the protocol."""

    @property
    def payload(self) -> Any:
        """Plain data."""


class Carrier(Protocol):
    """The connection that a stream crosses."""

    def send(self, kind: str, payload: Any, cause: int = 0) -> int:
        """Queue a message."""

    def forget_stream(self, key: int) -> None:
        """A stream has ended."""


def weight_of(payload: Any) -> int:
    """What a payload takes of the window."""
    return len(payload) or 1 if type(payload) in _MEASURED else 1


def _nothing(*_: object) -> None:
    return


class Stream:
    """One end of a stream. Set the callbacks before the turn ends in which it was made.

    `on_item(message)` takes each item; `on_end()` says that the peer sends no more;
    `on_close(reason, trailer)` that the peer, or the loss of the connection, has closed the stream:
    it is not called after an own `close`. `on_writable()` says that a closed window has opened.

    With `manual_credit` nothing is returned to the peer until `consume` is called.
    """

    __slots__ = (
        "_carrier",
        "_cause",
        "_credit",
        "_key",
        "_manual_credit",
        "_receivable",
        "_unreturned",
        "_window",
        "closed",
        "ended",
        "on_close",
        "on_end",
        "on_item",
        "on_writable",
        "peer_ended",
    )

    def __init__(
        self, carrier: Carrier, key: int, window: int = INITIAL_WINDOW, *, manual_credit: bool
    ) -> None:
        self.on_item: Callable[[Any], None] = _nothing
        self.on_end: Callable[[], None] = _nothing
        self.on_close: OnClose = _nothing
        self.on_writable: Callable[[], None] = _nothing
        self.ended = False
        self.peer_ended = False
        self.closed = False
        self._carrier = carrier
        # What comes to this end has the key as its cause; what it sends, the key's negative.
        self._key = key
        self._cause = -key
        self._credit = INITIAL_WINDOW
        self._window = window
        self._receivable = window
        self._unreturned = 0
        self._manual_credit = manual_credit
        assert window >= INITIAL_WINDOW, "the peer may send as much at once"
        if window > INITIAL_WINDOW:
            carrier.send(CREDIT, window - INITIAL_WINDOW, self._cause)

    @property
    def id(self) -> int:
        """The id of the message that opened it, negative at the end that accepted it."""
        return self._key

    @property
    def credit(self) -> int:
        """The weight that may be sent now; 0 or less: the window is closed."""
        return self._credit

    @property
    def writable(self) -> bool:
        """Whether an item may be sent now."""
        return self._credit > 0 and not self.ended and not self.closed

    def send(self, kind: str, payload: Any) -> None:
        """Queue an item for the flush at the end of the turn.

        On a stream that is closed, or ended from here, it is dropped.

        Raises:
            StreamBlockedError: the window is closed.
        """
        if self.closed or self.ended:
            return
        if self._credit <= 0:
            raise StreamBlockedError(f"the window of stream {self._key} is closed")
        self._credit -= weight_of(payload)
        self._carrier.send(kind, payload, self._cause)

    def end(self) -> None:
        """Send no more; the peer still may. Idempotent."""
        if self.closed or self.ended:
            return
        self.ended = True
        self._carrier.send(END, None, self._cause)
        if self.peer_ended:
            self._forget()

    def close(self, reason: str = "", trailer: Any = None) -> None:
        """End both directions; what was sent before is still delivered. Idempotent."""
        if not self.closed:
            self._carrier.send(STOP, [reason, trailer], self._cause)
            self._forget()

    def consume(self, weight: int) -> None:
        """With manual credit: what was received has been dealt with."""
        self._unreturned += weight
        if self._unreturned * 2 >= self._window:
            self._return_credit()

    # Called by the connection.

    def receive(self, message: Item) -> None:
        """Take a message of the stream."""
        kind, payload = message.kind, message.payload
        if kind in CONTROL:
            self._control(kind, payload)
            return
        if self._receivable <= 0:
            self.close("flow control: more was sent than the window allows")
            self.on_close("flow control violated by the peer", None)
            return
        weight = len(payload) or 1 if type(payload) in _MEASURED else 1
        self._receivable -= weight
        self.on_item(message)
        if not self._manual_credit:
            self._unreturned = unreturned = self._unreturned + weight
            if unreturned * 2 >= self._window:
                self._return_credit()

    def break_(self, reason: str) -> None:
        """The connection is gone."""
        if not self.closed:
            self.closed = True
            self.on_close(reason, None)

    def _control(self, kind: str, payload: Any) -> None:
        if kind == CREDIT:
            blocked = self._credit <= 0
            self._credit += payload
            if blocked and self._credit > 0:
                self.on_writable()
        elif kind == END:
            self.peer_ended = True
            if self.ended:
                self._forget()
            self.on_end()
        else:
            reason, trailer = payload
            self._forget()
            self.on_close(reason, trailer)

    def _return_credit(self) -> None:
        if not self.closed and not self.peer_ended:
            returned, self._unreturned = self._unreturned, 0
            self._receivable += returned
            self._carrier.send(CREDIT, returned, self._cause)

    def _forget(self) -> None:
        self.closed = True
        self._carrier.forget_stream(self._key)
