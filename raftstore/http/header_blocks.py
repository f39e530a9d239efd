"""HPACK (RFC 7541) that remembers: most requests of a connection look like the one before.

The decoder returns what it returned before for the same block, as long as neither the table of the
connection nor its size has changed in between. The encoder keeps nothing in the table of the peer,
so that a block depends on its headers only, and is made once for all connections.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from hpack import Decoder, Encoder, HeaderTuple
from hpack.table import HeaderTable

MAX_REMEMBERED: Final = 256
# Of one block: larger ones are rare, and different each time.
MAX_REMEMBERED_BYTES: Final = 1_024
SEVEN_BITS: Final = 0x7F
MORE_FOLLOWS: Final = 0x80
# A literal field without indexing, its name as well (RFC 7541, section 6.2.2).
LITERAL: Final = b"\x00"


class _WatchedTable(HeaderTable):
    """Tells when something was added to it."""

    def __init__(self) -> None:
        super().__init__()
        self.additions = 0

    def add(self, name: bytes, value: bytes) -> None:
        """Add an entry."""
        self.additions += 1
        super().add(name, value)


class RememberingDecoder(Decoder):
    """Decodes the blocks of one connection."""

    def __init__(self, max_header_list_size: int) -> None:
        super().__init__(max_header_list_size)
        self.header_table: _WatchedTable = _WatchedTable()
        self._remembered: dict[bytes, list[HeaderTuple]] = {}

    def decode(self, data: bytes, raw: bool = False) -> Iterable[HeaderTuple]:
        """Decode a block; `raw`, as h2 asks for it: names and values are bytes."""
        assert raw, "names and values are bytes here"
        remembered = self._remembered
        found = remembered.get(data)
        if found is not None:
            return found
        table = self.header_table
        before = (table.additions, table.maxsize)
        headers = list(super().decode(data, raw))
        if before != (table.additions, table.maxsize):
            remembered.clear()
        elif len(data) <= MAX_REMEMBERED_BYTES:
            if len(remembered) >= MAX_REMEMBERED:
                remembered.clear()
            remembered[data] = headers
        return headers


class PlainEncoder(Encoder):
    """Encodes blocks that depend on nothing but their headers."""

    def encode(self, headers: Any, huffman: bool = True) -> bytes:
        """The block of these headers."""
        del huffman
        key = tuple(headers)
        block = _blocks.get(key)
        if block is None:
            block = _encode(key)
            if len(block) <= MAX_REMEMBERED_BYTES:
                if len(_blocks) >= MAX_REMEMBERED:
                    _blocks.clear()
                _blocks[key] = block
        if self.header_table.resized:
            # The peer wants to hear of a new size of the table, though it stays empty.
            return super().encode([]) + block
        return block


_blocks: Final[dict[tuple[tuple[bytes, bytes], ...], bytes]] = {}
_static: Final = HeaderTable()


def _encode(headers: tuple[tuple[bytes, bytes], ...]) -> bytes:
    parts: list[bytes] = []
    for name, value in headers:
        match = _static.search(name, value)
        if match is not None and match[2] is not None:
            parts.append(_integer(match[0], 7, 0x80))
        elif match is not None:
            parts += [_integer(match[0], 4, 0x00), _integer(len(value), 7, 0), value]
        else:
            name_length, value_length = _integer(len(name), 7, 0), _integer(len(value), 7, 0)
            parts += [LITERAL, name_length, name, value_length, value]
    return b"".join(parts)


def _integer(number: int, prefix_bits: int, flags: int) -> bytes:
    """An integer with a prefix (RFC 7541, section 5.1)."""
    limit = (1 << prefix_bits) - 1
    if number < limit:
        return bytes((flags | number,))
    encoded = bytearray((flags | limit,))
    number -= limit
    while number > SEVEN_BITS:
        encoded.append(number & SEVEN_BITS | MORE_FOLLOWS)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)
