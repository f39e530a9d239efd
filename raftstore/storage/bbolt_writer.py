"""Writing bbolt database files front to back: see `raftstore.storage.bbolt` for the format.

The items of a bucket come in key order, so its tree is built from the leaves up, page by page, and
only the first key of each page is kept. The metas, which name the root, are written at the end.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import BinaryIO, Final

from raftstore.storage.bbolt import (
    BRANCH,
    BRANCH_ELEMENT,
    BUCKET,
    CHECKSUM,
    FREELIST,
    IS_META,
    LEAF,
    LEAF_ELEMENT,
    MAGIC,
    META,
    NESTED,
    PAGE,
    VERSION,
    fnv1a,
)

PAGE_SIZE: Final = 4096
# A bucket up to this size lies within its parent's leaf, as bbolt does it.
INLINE_BYTES: Final = PAGE_SIZE // 4
FREELIST_PAGE: Final = 2
FIRST_TREE_PAGE: Final = 3
# An even transaction stands in the first meta, the one before it in the second.
TRANSACTION: Final = 2

Pair = tuple[bytes, bytes]
# The first key and the number of each page of one level of a tree.
Children = list[tuple[bytes, int]]


def write_database(file: BinaryIO, buckets: Iterable[tuple[bytes, Iterable[Pair]]]) -> int:
    """Write a database with these top-level buckets; their items must be in key order.

    Returns its size in bytes. `file` must be empty and seekable.
    """
    return _Writer(file).write(buckets)


class _Writer:
    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._next_page = FIRST_TREE_PAGE

    def write(self, buckets: Iterable[tuple[bytes, Iterable[Pair]]]) -> int:
        self._file.write(bytes(FIRST_TREE_PAGE * PAGE_SIZE))
        values = sorted((name, self._bucket(items)) for name, items in buckets)
        root = self._tree(values, flag=NESTED)
        size = self._next_page * PAGE_SIZE
        self._file.seek(0)
        for number in (0, 1):
            self._file.write(self._meta(number, root))
        self._file.write(PAGE.pack(FREELIST_PAGE, FREELIST, 0, 0))
        self._file.seek(size)
        return size

    def _meta(self, number: int, root: int) -> bytes:
        body = META.pack(
            MAGIC,
            VERSION,
            PAGE_SIZE,
            0,
            root,
            0,
            FREELIST_PAGE,
            self._next_page,
            TRANSACTION - number,
        )
        page = PAGE.pack(number, IS_META, 0, 0) + body + CHECKSUM.pack(fnv1a(body))
        return page.ljust(PAGE_SIZE, b"\0")

    def _bucket(self, items: Iterable[Pair]) -> bytes:
        """The value of a bucket: within itself if it is small, else the root of its tree."""
        iterator = iter(items)
        first: list[Pair] = []
        size = PAGE.size
        for pair in iterator:
            first.append(pair)
            size += _leaf_bytes(pair)
            if size > INLINE_BYTES:
                break
        else:
            return BUCKET.pack(0, 0) + _leaf_page(0, first, 0)
        return BUCKET.pack(self._tree(_chain(first, iterator), flag=0), 0)

    def _tree(self, items: Iterable[Pair], flag: int) -> int:
        level = self._leaves(items, flag)
        while len(level) > 1:
            level = self._branches(level)
        return level[0][1]

    def _leaves(self, items: Iterable[Pair], flag: int) -> Children:
        level: Children = []
        held: list[Pair] = []
        size = PAGE.size
        for pair in items:
            more = _leaf_bytes(pair)
            if held and size + more > PAGE_SIZE:
                level.append((held[0][0], self._put(_leaf_page(self._next_page, held, flag))))
                held, size = [], PAGE.size
            held.append(pair)
            size += more
        if held or not level:
            first = held[0][0] if held else b""
            level.append((first, self._put(_leaf_page(self._next_page, held, flag))))
        return level

    def _branches(self, children: Children) -> Children:
        level: Children = []
        held: Children = []
        size = PAGE.size
        for child in children:
            more = BRANCH_ELEMENT.size + len(child[0])
            if len(held) > 1 and size + more > PAGE_SIZE:
                level.append((held[0][0], self._put(_branch_page(self._next_page, held))))
                held, size = [], PAGE.size
            held.append(child)
            size += more
        level.append((held[0][0], self._put(_branch_page(self._next_page, held))))
        return level

    def _put(self, page: bytes) -> int:
        """Write a page, with its overflow, at the end; its number."""
        number = self._next_page
        count = -(-len(page) // PAGE_SIZE)
        self._file.write(page.ljust(count * PAGE_SIZE, b"\0"))
        self._next_page += count
        return number


def _chain(first: list[Pair], rest: Iterable[Pair]) -> Iterable[Pair]:
    yield from first
    yield from rest


def _leaf_bytes(pair: Pair) -> int:
    return LEAF_ELEMENT.size + len(pair[0]) + len(pair[1])


def _leaf_page(number: int, items: list[Pair], flag: int) -> bytes:
    elements: list[bytes] = []
    position = len(items) * LEAF_ELEMENT.size
    for key, value in items:
        elements.append(LEAF_ELEMENT.pack(flag, position, len(key), len(value)))
        # Positions count from the element that holds them.
        position += len(key) + len(value) - LEAF_ELEMENT.size
    for pair in items:
        elements.extend(pair)
    body = b"".join(elements)
    return PAGE.pack(number, LEAF, len(items), _overflow(body)) + body


def _branch_page(number: int, children: Children) -> bytes:
    elements: list[bytes] = []
    position = len(children) * BRANCH_ELEMENT.size
    for key, child in children:
        elements.append(BRANCH_ELEMENT.pack(position, len(key), child))
        position += len(key) - BRANCH_ELEMENT.size
    elements.extend(key for key, _ in children)
    body = b"".join(elements)
    return PAGE.pack(number, BRANCH, len(children), _overflow(body)) + body


def _overflow(body: bytes) -> int:
    return -(-(PAGE.size + len(body)) // PAGE_SIZE) - 1
