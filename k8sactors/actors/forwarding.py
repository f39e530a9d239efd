"""Carries a stream on: joins one that was accepted with a new one to another actor.

Until the first item has come from there, nothing is joined: `on_failed` decides what the client is
told. Afterwards the streams are relayed, and when one of them goes, so does the other.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs

from k8sactors.actors.connection import Message
from k8sactors.actors.context import Context
from k8sactors.actors.relay import relay
from k8sactors.actors.stream import Stream

# Gets the reason, and the trailer if the other end has closed by itself (None: it was lost).
OnFailed = Callable[[str, Any], None]
TIMED_OUT = "timed out"


@attrs.frozen
class Destination:
    """Where a stream is carried to: the actor, and the message that opens the stream there."""

    address: str
    kind: str
    payload: Any


def _nothing() -> None:
    return


def forward(
    ctx: Context,
    outer: Stream,
    destination: Destination,
    on_failed: OnFailed,
    *,
    window: int,
    timeout_ns: int,
    on_opened: Callable[[], None] = _nothing,
    on_ended: Callable[[], None] = _nothing,
) -> None:
    """Open a stream on a connection of its own and join `outer`, made with manual credit, with it.

    `on_failed` is also called, with no trailer, when the connection is lost after the beginning.
    `on_ended` is called once, when nothing more crosses.
    """
    connection = ctx.connect(destination.address)
    inner = connection.open_stream(
        destination.kind, destination.payload, window=window, manual_credit=True
    )

    over = False

    def end() -> bool:
        """Whether this is the end, and not what follows from it."""
        nonlocal over
        if over:
            return False
        over = True
        timer.cancel()
        connection.close()
        on_ended()
        return True

    def give_up() -> None:
        if end():
            on_failed(TIMED_OUT, None)

    timer = ctx.after(timeout_ns, give_up)

    def failed(reason: str, trailer: Any) -> None:
        if end():
            on_failed(reason, trailer)

    def abandoned(_reason: str, _trailer: Any) -> None:
        end()

    def opened(item: Message) -> None:
        timer.cancel()
        on_opened()
        relay(inner, outer)
        inner_closed, outer_closed = inner.on_close, outer.on_close

        def inner_gone(reason: str, trailer: Any) -> None:
            if not end():
                return
            if trailer is None:
                on_failed(reason, None)
            else:
                inner_closed(reason, trailer)

        def outer_gone(reason: str, trailer: Any) -> None:
            outer_closed(reason, trailer)
            end()

        inner.on_close, outer.on_close = inner_gone, outer_gone
        inner.on_item(item)

    inner.on_close, inner.on_item = failed, opened
    outer.on_close = abandoned
