"""The trace: a rolling hash over every delivered frame, and listeners that want to see them.

The hash is always kept: two runs with equal seeds must deliver the same bytes to the same places at
the same instants, whatever the hash seed, the addresses of objects or the Python version.
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256

FrameListener = Callable[[int, bytes], None]


# Times and frames that are hashed in one go: a call costs more than the hash of a small frame.
FOLD_PIECES = 512
# A frame of this size is hashed by itself, as it stands.
LARGE_BYTES = 4096


class Trace:
    """Counts and hashes delivered frames. A listener is called with (now_ns, frame)."""

    def __init__(self) -> None:
        # Processors have instructions for this one: it takes half the time of blake2b.
        self._hash = sha256()
        self._pending: list[bytes] = []
        self.frames = 0
        self.listeners: list[FrameListener] = []

    def record(self, now_ns: int, frame: bytes) -> None:
        """Add one delivered frame. The frame itself names its sender and recipient."""
        self.frames += 1
        pending = self._pending
        pending.append(now_ns.to_bytes(8, "little"))
        if len(frame) >= LARGE_BYTES:
            self._fold()
            self._hash.update(frame)
        else:
            pending.append(frame)
            if len(pending) >= FOLD_PIECES:
                self._fold()
        if self.listeners:
            for listener in self.listeners:
                listener(now_ns, frame)

    def hexdigest(self) -> str:
        """The hash of everything delivered so far, as 32 hexadecimal digits."""
        self._fold()
        return self._hash.hexdigest()[:32]

    def _fold(self) -> None:
        self._hash.update(b"".join(self._pending))
        self._pending.clear()
