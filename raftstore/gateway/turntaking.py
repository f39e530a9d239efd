"""Streams of an HTTP/2 connection take turns: the first that has something to send goes first.

Hypercorn asks a tree of priorities whose turn it is. HTTP/2 has given its priorities up since
(RFC 9113, section 5.3), no gRPC client sends any, and to take a stream out of the tree takes time
in proportion to the streams that are in it: a connection with many short requests spent most of
its time there.
"""

from __future__ import annotations

from typing import Any

from priority.priority import DeadlockError, DuplicateStreamError, MissingStreamError


class StreamRing:
    """What hypercorn uses of a `priority.PriorityTree`; each operation takes constant time."""

    def __init__(self) -> None:
        self._waiting: dict[int, None] = {}
        self._blocked: dict[int, None] = {}

    def __len__(self) -> int:
        return len(self._waiting) + len(self._blocked)

    def insert_stream(self, stream_id: int) -> None:
        """A stream has been opened, and may send.

        Raises:
            DuplicateStreamError: it is there already.
        """
        if stream_id in self._waiting or stream_id in self._blocked:
            raise DuplicateStreamError(f"stream {stream_id} is there already")
        self._waiting[stream_id] = None

    def remove_stream(self, stream_id: int) -> None:
        """A stream has ended."""
        self._waiting.pop(stream_id, None)
        self._blocked.pop(stream_id, None)

    def block(self, stream_id: int) -> None:
        """A stream has nothing to send, or may not.

        Raises:
            MissingStreamError: it is not there.
        """
        if stream_id not in self._blocked:
            if stream_id not in self._waiting:
                raise MissingStreamError(f"there is no stream {stream_id}")
            del self._waiting[stream_id]
            self._blocked[stream_id] = None

    def unblock(self, stream_id: int) -> None:
        """A stream may have something to send.

        Raises:
            MissingStreamError: it is not there.
        """
        if stream_id not in self._waiting:
            if stream_id not in self._blocked:
                raise MissingStreamError(f"there is no stream {stream_id}")
            del self._blocked[stream_id]
            self._waiting[stream_id] = None

    def reprioritize(self, **_wish: Any) -> None:
        """A client wishes for another order; nothing is kept of that."""

    def __next__(self) -> int:
        """Whose turn it is.

        Raises:
            DeadlockError: nobody's.
        """
        for stream_id in self._waiting:
            del self._waiting[stream_id]
            self._waiting[stream_id] = None
            return stream_id
        raise DeadlockError("all streams are blocked")
