"""Large answers are sent compressed to clients that accept gzip, as the real server does.

What is short is not worth the time, and watches are never compressed: their clients want each event
at once.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Final

import trio

from raftstore.http import Exchange, Headers

MIN_BYTES: Final = 128 << 10
"""Shorter answers are sent as they are."""

HEADERS: Final[Headers] = ((b"content-encoding", b"gzip"), (b"vary", b"Accept-Encoding"))
# After so many bytes others have their turn: about a millisecond.
_TURN_BYTES: Final = 128 << 10
# The fastest level, in gzip's format.
_LEVEL, _GZIP_BITS = 1, 31


def accepts_gzip(accept_encoding: bytes | None) -> bool:
    """Whether a client takes gzip (RFC 9110, section 12.5.3; `q=0` refuses)."""
    for clause in (accept_encoding or b"").split(b","):
        name, _, parameters = clause.strip().partition(b";")
        if name.strip().lower() in {b"gzip", b"*"}:
            quality = parameters.strip().removeprefix(b"q=")
            return not quality or quality.strip(b"0.") != b""
    return False


async def packed_for(exchange: Exchange, parts: list[bytes]) -> tuple[list[bytes], Headers]:
    """The parts of a body as this client gets them, and the headers that tell of it."""
    size_bytes = sum(map(len, parts))
    if size_bytes <= MIN_BYTES or not accepts_gzip(exchange.head.get(b"accept-encoding")):
        return parts, ()
    return [await compressed(parts)], HEADERS


async def compressed(parts: Sequence[bytes]) -> bytes:
    """The parts of a body as one gzip stream; others have their turns meanwhile."""
    packer = zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP_BITS)
    packed: list[bytes] = []
    unspent_bytes = _TURN_BYTES
    for part in parts:
        for start in range(0, len(part), _TURN_BYTES):
            piece = memoryview(part)[start : start + _TURN_BYTES]
            packed.append(packer.compress(piece))
            unspent_bytes -= len(piece)
            if unspent_bytes <= 0:
                unspent_bytes = _TURN_BYTES
                await trio.lowlevel.checkpoint()
    packed.append(packer.flush())
    return b"".join(packed)
