"""Tokens that stand for a user who has given the password (etcd: server/auth/simple_token.go).

A token is assigned through the log, so every member accepts it; the log holds its SHA-256 only. How
long it lives is each member's own business, by its own clock, as with leases: 300 s after its last
use there. A member that restarts, or takes a snapshot over, may know none; clients then
authenticate again.
"""

from __future__ import annotations

import hashlib
from typing import Final

TTL_NS: Final = 300_000_000_000
MAX_TOKENS: Final = 100_000


def digest(token: str) -> bytes:
    """What stands for a token in the log."""
    return hashlib.sha256(token.encode()).digest()


class Tokens:
    """The tokens that one member accepts, by digest, least recently used first."""

    def __init__(self, ttl_ns: int = TTL_NS, max_tokens: int = MAX_TOKENS) -> None:
        self._ttl_ns = ttl_ns
        self._max_tokens = max_tokens
        self._known: dict[bytes, tuple[str, int]] = {}

    def __len__(self) -> int:
        return len(self._known)

    def assign(self, token_digest: bytes, user: str, now_ns: int) -> None:
        """Accept a token from now on. Beyond the limit the one unused for longest goes."""
        self._expire(now_ns)
        self._known.pop(token_digest, None)
        if len(self._known) >= self._max_tokens:
            del self._known[next(iter(self._known))]
        self._known[token_digest] = (user, now_ns + self._ttl_ns)

    def user(self, token: str, now_ns: int) -> str | None:
        """The owner of a token, whose time starts again; None: the token is unknown."""
        key = digest(token)
        found = self._known.pop(key, None)
        if found is None or found[1] <= now_ns:
            return None
        self._known[key] = (found[0], now_ns + self._ttl_ns)
        return found[0]

    def drop_user(self, user: str) -> None:
        """Accept no token of this user any more."""
        self._known = {key: kept for key, kept in self._known.items() if kept[0] != user}

    def clear(self) -> None:
        """Accept nothing."""
        self._known.clear()

    def _expire(self, now_ns: int) -> None:
        while self._known:
            key = next(iter(self._known))
            if self._known[key][1] > now_ns:
                return
            del self._known[key]
