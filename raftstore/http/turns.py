"""The streams of a connection take turns: the first that has something to send goes first.

HTTP/2 has given up its priorities (RFC 9113, section 5.3), and no gRPC client sends any. Each
operation takes constant time, so that a connection with thousands of streams costs no more.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

T = TypeVar("T", bound=Hashable)


class Turns(Generic[T]):
    """What has something to send, in order, and what may not since the peer takes no more of it."""

    __slots__ = ("_blocked", "_ready")

    def __init__(self) -> None:
        self._ready: OrderedDict[T, None] = OrderedDict()
        self._blocked: dict[T, None] = {}

    def __bool__(self) -> bool:
        return bool(self._ready)

    def __len__(self) -> int:
        return len(self._ready) + len(self._blocked)

    def add(self, item: T) -> None:
        """It has something to send; one that is blocked stays so."""
        if item not in self._blocked:
            self._ready[item] = None

    def take(self) -> T:
        """The next one, which is to be added again if it has more to send."""
        return self._ready.popitem(last=False)[0]

    def block(self, item: T) -> None:
        """It may not send until it is unblocked."""
        self._ready.pop(item, None)
        self._blocked[item] = None

    def unblock(self, item: T) -> None:
        """It may send again, behind those that wait already."""
        if item in self._blocked:
            del self._blocked[item]
            self._ready[item] = None

    def unblock_all(self) -> None:
        """All may send again."""
        blocked, self._blocked = self._blocked, {}
        self._ready.update(blocked)

    def remove(self, item: T) -> None:
        """It is over."""
        self._ready.pop(item, None)
        self._blocked.pop(item, None)
