"""The trace: a rolling hash over every delivered frame, and listeners that want to see them.

The hash is always kept: two runs with equal seeds must deliver the same bytes to the same places at
the same instants, whatever the hash seed, the addresses of objects or the Python version.
"""

from collections.abc import Callable
from hashlib import blake2b

FrameListener = Callable[[int, bytes], None]


# Frames that are hashed in one go: a call of the hash costs more than its work on a small frame.
FOLD_FRAMES = 256


class Trace:
    """Counts and hashes delivered frames. A listener is called with (now_ns, frame)."""

    def __init__(self) -> None:
        self._hash = blake2b(digest_size=16)
        self._pending: list[bytes] = []
        self._folded_frames = 0
        self.listeners: list[FrameListener] = []

    def record(self, now_ns: int, frame: bytes) -> None:
        """Add one delivered frame. The frame itself names its sender and recipient."""
        pending = self._pending
        pending.append(now_ns.to_bytes(8, "little"))
        pending.append(frame)
        if len(pending) == 2 * FOLD_FRAMES:
            self._fold()
        if self.listeners:
            for listener in self.listeners:
                listener(now_ns, frame)

    @property
    def frames(self) -> int:
        """Number of frames delivered so far."""
        return self._folded_frames + len(self._pending) // 2

    def hexdigest(self) -> str:
        """The hash of everything delivered so far, as 32 hexadecimal digits."""
        self._fold()
        return self._hash.hexdigest()

    def _fold(self) -> None:
        self._folded_frames = self.frames
        self._hash.update(b"".join(self._pending))
        self._pending.clear()
