"""What the client needs of its surroundings: a connection, a dialler, a timer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from raftstore.clock import Timer


class Message(Protocol):
    """A message that arrived on a connection; `cause` is the id of the one it answers."""

    payload: Any
    cause: int


class Connection(Protocol):
    """Ordered and lossless until it breaks. It can be used before it is established."""

    closed: bool

    def send(self, kind: str, payload: Any, cause: int = 0) -> int:
        """Queue a message; returns its id."""

    def subscribe(self, kind: str, payload: Any, on_item: Callable[[Any], None]) -> int:
        """Queue a message whose answers go to `on_item` (with a `Message`) until `unsubscribe`."""

    def unsubscribe(self, message_id: int) -> None:
        """Drop what still comes in answer to a message."""

    def close(self, reason: str = "") -> None:
        """Close both ends; the own `on_close` is not called."""


class Dial(Protocol):
    """Opens connections. Never fails by itself: a failure arrives as `on_close(reason)`."""

    def __call__(self, endpoint: str, on_close: Callable[[str], None], /) -> Connection:
        """Connect to an endpoint."""


class After(Protocol):
    """Calls back after a delay."""

    def __call__(self, delay_ns: int, callback: Callable[[], None], /) -> Timer:
        """Start a timer."""
