"""Reading bbolt database files: the format of etcd's database and of its snapshots.

A file is pages of one size. A page has a head ``id u64, flags u16, count u16, overflow u32`` (all
numbers little-endian); a large one continues over the next `overflow` pages. Pages 0 and 1 are
metas, of which the sound one with the newest transaction counts. It names the root bucket: a B+tree
whose branch pages hold (first key, page) and whose leaf pages hold (key, value). A leaf value may
be a bucket itself: a root page and a sequence, or, with root 0, a whole leaf page right behind
those.

Only metas have a checksum; pages are checked for what can be checked (number, kind, bounds, order).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from raftstore.storage.errors import CorruptFileError

MAGIC: Final = 0xED0CDAED
VERSION: Final = 2
PAGE: Final = struct.Struct("<QHHI")
BRANCH_ELEMENT: Final = struct.Struct("<IIQ")
LEAF_ELEMENT: Final = struct.Struct("<IIII")
BUCKET: Final = struct.Struct("<QQ")
META: Final = struct.Struct("<IIIIQQQQQ")
CHECKSUM: Final = struct.Struct("<Q")
BRANCH: Final = 1
LEAF: Final = 2
IS_META: Final = 4
FREELIST: Final = 16
# Flag of a leaf element whose value is a bucket.
NESTED: Final = 1
MIN_PAGE: Final = 512
MAX_PAGE: Final = 1 << 16
MAX_DEPTH: Final = 64
_FNV_OFFSET: Final = 0xCBF29CE484222325
_FNV_PRIME: Final = 0x100000001B3


def fnv1a(data: bytes) -> int:
    """The 64-bit FNV-1a hash, which guards metas."""
    value = _FNV_OFFSET
    for byte in data:
        value = (value ^ byte) * _FNV_PRIME & 0xFFFFFFFFFFFFFFFF
    return value


class Meta(NamedTuple):
    """What a meta page says."""

    page_size: int
    root: int
    freelist: int
    # So many pages belong to the database.
    high_water: int
    transaction: int


class Item(NamedTuple):
    """An element of a leaf."""

    key: bytes
    value: bytes
    nested: bool


class Database:
    """A file, read as a whole.

    Raises:
        CorruptFileError: it is no database, or a page of it is damaged.
    """

    def __init__(self, path: Path, data: bytes) -> None:
        self._path = path
        self._data = data
        self.meta = self._newest_meta()
        self._page_size = self.meta.page_size
        size = self.meta.high_water * self._page_size
        if size > len(data):
            raise self._damaged(len(data), f"the database has {size} bytes, {len(data)} are there")

    @property
    def size_bytes(self) -> int:
        """The size of the database: what belongs to it of the file."""
        return self.meta.high_water * self._page_size

    def buckets(self) -> Iterator[tuple[bytes, Iterator[Item]]]:
        """The top-level buckets, by name, each with its elements in key order."""
        for item in self._tree(self.meta.root, 0):
            if item.nested:
                yield item.key, self.bucket(item.value, self._path_of(item.key))

    def bucket(self, value: bytes, name: str) -> Iterator[Item]:
        """The elements of a nested bucket."""
        if len(value) < BUCKET.size:
            raise self._damaged(0, f"bucket {name} has a head of {len(value)} bytes")
        root, _sequence = BUCKET.unpack_from(value)
        if root:
            return self._tree(root, 0)
        return self._leaf(value[BUCKET.size :], 0, f"bucket {name}")

    @staticmethod
    def _path_of(key: bytes) -> str:
        return key.decode(errors="replace")

    # -- metas --------------------------------------------------------------------------------

    def _newest_meta(self) -> Meta:
        metas = [meta for meta in map(self._meta_at, self._meta_offsets()) if meta is not None]
        if not metas:
            raise self._damaged(
                0, "no sound meta page: not a bbolt database, or damaged at the front"
            )
        return max(metas, key=lambda meta: meta.transaction)

    def _meta_offsets(self) -> Iterator[int]:
        """Where the first meta lies, and where the second may: page sizes are powers of two."""
        yield 0
        size = MIN_PAGE
        while size <= MAX_PAGE:
            yield size
            size *= 2

    def _meta_at(self, offset: int) -> Meta | None:
        start = offset + PAGE.size
        body = self._data[start : start + META.size]
        checksum = self._data[start + META.size : start + META.size + CHECKSUM.size]
        if len(checksum) < CHECKSUM.size:
            return None
        magic, version, page_size, _, root, _, freelist, high_water, transaction = META.unpack(body)
        sound = magic == MAGIC and version == VERSION
        if not sound or CHECKSUM.unpack(checksum)[0] != fnv1a(body):
            return None
        if offset not in {0, page_size} or not MIN_PAGE <= page_size <= MAX_PAGE:
            return None
        return Meta(page_size, root, freelist, high_water, transaction)

    # -- pages --------------------------------------------------------------------------------

    def _tree(self, number: int, depth: int) -> Iterator[Item]:
        offset = number * self._page_size
        page, flags, count = self._page(number)
        if flags == LEAF:
            yield from self._leaf(page, offset, f"page {number}")
            return
        if flags != BRANCH:
            raise self._damaged(offset, f"page {number} has flags {flags}, not a tree's")
        if depth > MAX_DEPTH:
            raise self._damaged(offset, f"page {number} lies deeper than a tree can be")
        for place in range(count):
            element = PAGE.size + place * BRANCH_ELEMENT.size
            if element + BRANCH_ELEMENT.size > len(page):
                raise self._damaged(offset, f"page {number} has no room for {count} elements")
            _, _, child = BRANCH_ELEMENT.unpack_from(page, element)
            yield from self._tree(child, depth + 1)

    def _page(self, number: int) -> tuple[bytes, int, int]:
        offset = number * self._page_size
        if number >= self.meta.high_water:
            raise self._damaged(offset, f"page {number} lies behind the end of the database")
        found, flags, count, overflow = PAGE.unpack_from(self._data, offset)
        if found != number:
            raise self._damaged(offset, f"page {number} says that it is page {found}")
        if number + overflow >= self.meta.high_water:
            raise self._damaged(offset, f"page {number} continues over {overflow} pages: too many")
        return self._data[offset : offset + (overflow + 1) * self._page_size], flags, count

    def _leaf(self, page: bytes, offset: int, name: str) -> Iterator[Item]:
        if len(page) < PAGE.size:
            raise self._damaged(offset, f"{name} has no room for its head")
        _, flags, count, _ = PAGE.unpack_from(page)
        if flags != LEAF:
            raise self._damaged(offset, f"{name} has flags {flags}, not a leaf's")
        last: bytes | None = None
        for place in range(count):
            element = PAGE.size + place * LEAF_ELEMENT.size
            if element + LEAF_ELEMENT.size > len(page):
                raise self._damaged(offset, f"{name} has no room for {count} elements")
            flag, position, key_size, value_size = LEAF_ELEMENT.unpack_from(page, element)
            start = element + position
            end = start + key_size + value_size
            if end > len(page):
                raise self._damaged(offset, f"{name}: element {place} ends behind the page")
            key = page[start : start + key_size]
            if last is not None and key <= last:
                raise self._damaged(offset, f"{name}: element {place} is out of order")
            last = key
            yield Item(key, page[start + key_size : end], bool(flag & NESTED))

    def _damaged(self, offset: int, what: str) -> CorruptFileError:
        return CorruptFileError(self._path, offset, what)
