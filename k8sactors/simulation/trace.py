"""The trace: a rolling hash over every delivered frame, and listeners that want to see them.

The hash is always kept: two runs with equal seeds must deliver the same bytes to the same places at
the same instants, whatever the hash seed, the addresses of objects or the Python version.
"""

from collections.abc import Callable
from hashlib import blake2b

FrameListener = Callable[[int, bytes], None]


class Trace:
    """Counts and hashes delivered frames. A listener is called with (now_ns, frame)."""

    def __init__(self) -> None:
        self._hash = blake2b(digest_size=16)
        self.frames = 0
        self.bytes = 0
        self.listeners: list[FrameListener] = []

    def record(self, now_ns: int, frame: bytes) -> None:
        """Add one delivered frame. The frame itself names its sender and recipient."""
        self.frames += 1
        self.bytes += len(frame)
        update = self._hash.update
        update(now_ns.to_bytes(8, "little"))
        update(frame)
        if self.listeners:
            for listener in self.listeners:
                listener(now_ns, frame)

    def hexdigest(self) -> str:
        """The hash of everything delivered so far, as 32 hexadecimal digits."""
        return self._hash.hexdigest()
