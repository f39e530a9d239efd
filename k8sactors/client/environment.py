"""What the client machinery needs from the actor that carries it.

The machinery runs inside an actor's turn and owns no task: it is handed the actor's context and
uses only the part that is named here. That keeps it testable without a fabric, and says in one
place what it depends on.
"""

from collections.abc import Awaitable, Callable
from typing import Any, Protocol


class Timer(Protocol):
    """A pending callback."""

    def cancel(self) -> None:
        """Forget the callback; a no-op once it has run."""


class Reply(Protocol):
    """A message that answers a request or belongs to a stream."""

    @property
    def kind(self) -> str:
        """Name of the message in the protocol."""

    @property
    def payload(self) -> Any:
        """Plain msgpack data."""


class Connection(Protocol):
    """An ordered connection to one server, lossless until it breaks."""

    @property
    def closed(self) -> bool:
        """Whether the connection has ended."""

    def send(self, kind: str, payload: Any, cause: int = 0) -> int:
        """Queue a message that expects no reply."""

    def request(
        self,
        kind: str,
        payload: Any,
        on_reply: Callable[[Reply], None],
        *,
        timeout_ns: int,
        on_fail: Callable[[Exception], None],
    ) -> int:
        """Queue a message that expects exactly one reply."""

    def stream(self, kind: str, payload: Any, on_item: Callable[[Reply], None]) -> int:
        """Queue a message that is answered by many."""

    def unsubscribe(self, stream_id: int, /) -> None:
        """Drop further items of a stream."""

    def close(self, reason: str = "") -> None:
        """End the connection."""


class RandomStream(Protocol):
    """The actor's own stream of chance."""

    def random(self) -> float:
        """A number from 0 up to, not including, 1."""

    def getrandbits(self, k: int, /) -> int:
        """An integer of k random bits."""


class Context(Protocol):
    """The part of an actor's context that the client machinery uses."""

    @property
    def random(self) -> RandomStream:
        """The actor's own random stream."""

    def now_ns(self) -> int:
        """Monotonic time of the host."""

    def wall_ns(self) -> int:
        """Nanoseconds since the Unix epoch by the host's clock."""

    def after(self, delay_ns: int, callback: Callable[[], None], *, slack_ns: int = 0) -> Timer:
        """Run `callback` in the actor's turn once `delay_ns` has passed."""

    def connect(self, address: str, on_close: Callable[[str], None] | None = None) -> Connection:
        """Open a connection; a failure arrives as `on_close(reason)`."""

    def spawn_task(self, async_fn: Callable[..., Awaitable[None]], *args: Any) -> Any:
        """Start a task in the actor's nursery."""
