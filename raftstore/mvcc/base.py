"""The versions that the last compaction has left, packed: no Python object stands for any of them.

Theory of operation. What is written lives as Python objects, side by side with everything else
that comes and goes at that time, and CPython gives memory back to the operating system only where
a whole stretch of it (an arena, a MiB) is free. So what outlives a compaction is moved out of the
way: its versions are packed, one behind the other, into *segments* of up to 256 KiB. What
remains among the objects is dead, all of it, and their arenas go back.

One small object in each arena would keep them all. That is why a segment is one `bytes` and nothing
else (objects of more than 512 bytes are no neighbours of small ones), and why the key space refers
to the segment where otherwise it would refer to the version: an address would be an object again. A
segment holds versions in the order of writing, as a msgpack array of arrays, and before them a hash
table by key and where each begins; it never changes.

When a version dies, its segment stays, and the base notes which ones live. When a quarter of a
segment is dead, or it fits into one with its neighbour, what lives is packed again. So a snapshot,
which holds segments and these notes by reference, keeps what they held.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate, compress
from struct import Struct
from typing import Final, NamedTuple
from zlib import crc32

import msgpack

# A version: key, create_revision, mod_revision, version, value, lease.
KV = tuple[bytes, int, int, int, bytes, int]
Segment = bytes
# Called with the key of a version that has moved, its former segment and the new one.
Move = Callable[[bytes, Segment, Segment], None]

SEGMENT_VERSIONS: Final = 1024
# To pack so many takes a millisecond or two. A larger version has a segment of its own.
SEGMENT_BYTES: Final = 256 << 10
# A segment is packed again when one part in so many is dead.
SPARSE_SHARE: Final = 4
UNTOUCHED_PER_STEP: Final = 256

# A segment: number of versions, slots of the table less one; the table: a place in each slot or
# none; where each version begins, and the last one ends; the array.
_HEAD: Final = Struct("=II")
_SLOT: Final = Struct("=H")
_START: Final = Struct("=I")
_FREE: Final = 0xFFFF
_SHORT_KEY: Final = 0xFF
_head_of: Final = _HEAD.unpack_from
_slot_of: Final = _SLOT.unpack_from
_span_of: Final = Struct("=II").unpack_from
_packer: Final = msgpack.Packer(autoreset=False)
pack_version: Final[Callable[[KV], bytes]] = msgpack.Packer(autoreset=True).pack


# -- segments --------------------------------------------------------------------------------------


def make_segment(keys: Sequence[bytes], records: Sequence[bytes]) -> Segment:
    """Pack versions of different keys; their records are as `pack_version` gives them."""
    mask = (2 << (len(records) - 1).bit_length()) - 1
    table = array("H", [_FREE]) * (mask + 1)
    for place, key in enumerate(keys):
        slot = crc32(key) & mask
        while table[slot] != _FREE:
            slot = slot + 1 & mask
        table[slot] = place
    _packer.pack_array_header(len(records))
    header = _packer.bytes()
    _packer.reset()
    first = _starts_at(mask) + _START.size * (len(records) + 1) + len(header)
    starts = array("I", accumulate(map(len, records), initial=first))
    head = _HEAD.pack(len(records), mask)
    return b"".join((head, table.tobytes(), starts.tobytes(), header, *records))


def _starts_at(mask: int) -> int:
    return _HEAD.size + _SLOT.size * (mask + 1)


def count_of(segment: Segment) -> int:
    """How many versions are in a segment."""
    count: int = _head_of(segment)[0]
    return count


def find(segment: Segment, key: bytes) -> tuple[int, KV]:
    """The version of a key that is in the segment, and its place there."""
    _, mask = _head_of(segment)
    starts = _starts_at(mask)
    slot = crc32(key) & mask
    while True:
        (place,) = _slot_of(segment, _HEAD.size + _SLOT.size * slot)
        assert place != _FREE, "the key is not in the segment"
        begin, end = _span_of(segment, starts + _START.size * place)
        # Headers of array and key precede a key, of three bytes together unless it is long.
        if segment.startswith(key, begin + 3) or len(key) > _SHORT_KEY:
            kv: KV = msgpack.unpackb(segment[begin:end], use_list=False)
            if kv[0] == key:
                return place, kv
        slot = slot + 1 & mask


def read(segment: Segment, key: bytes) -> KV:
    """The version of a key that is in the segment."""
    return find(segment, key)[1]


def bounds(segment: Segment, first: int, end: int) -> tuple[int, int]:
    """Where the versions at the places `first` to `end` begin, and where they end."""
    starts = _starts_at(_head_of(segment)[1])
    (begin,) = _START.unpack_from(segment, starts + _START.size * first)
    (stop,) = _START.unpack_from(segment, starts + _START.size * end)
    return begin, stop


def record_bytes(segment: Segment, place: int) -> int:
    """The length of a version as it is packed."""
    begin, end = bounds(segment, place, place + 1)
    return end - begin


# -- the base --------------------------------------------------------------------------------------


class Part(NamedTuple):
    """What lives of a segment."""

    segment: Segment
    # One byte for each version, 0: dead; None: all live.
    alive: bytes | None
    # How many live.
    left: int
    # The bytes of those that live.
    size: int

    def without(self, places: Sequence[int]) -> Part:
        """The same after the death of the versions at these places."""
        segment = self.segment
        alive = bytearray(self.alive or b"\1" * count_of(segment))
        for place in places:
            alive[place] = 0
        size = self.size - sum([record_bytes(segment, place) for place in places])
        return Part(segment, bytes(alive), self.left - len(places), size)

    def versions(self) -> Sequence[KV]:
        """Those that live, in the order of writing."""
        head = _head_of(self.segment)
        begin = _starts_at(head[1]) + _START.size * (head[0] + 1)
        every = memoryview(self.segment)[begin:]
        versions: Sequence[KV] = msgpack.unpackb(every, use_list=False)
        return versions if self.alive is None else [*compress(versions, self.alive)]

    def records(self) -> Iterator[memoryview]:
        """Those that live, as they are packed, in pieces of whole versions."""
        for span in self._spans():
            begin, end = bounds(self.segment, *span)
            yield memoryview(self.segment)[begin:end]

    def _spans(self) -> Iterator[tuple[int, int]]:
        alive = self.alive
        if alive is None:
            yield 0, count_of(self.segment)
            return
        first = alive.find(1)
        while first >= 0:
            end = alive.find(0, first)
            end = len(alive) if end < 0 else end
            yield first, end
            first = alive.find(1, end)


# A segment that lives, or what lives of it. No small object is made next to those that die.
Piece = Segment | Part


def part_of(piece: Piece) -> Part:
    """What lives of a segment."""
    if isinstance(piece, Part):
        return piece
    count = count_of(piece)
    begin, end = bounds(piece, 0, count)
    return Part(piece, None, count, end - begin)


class Base:
    """Segments in the order of writing. No key has more than one version that lives in them."""

    __slots__ = ("_dead", "pieces")

    def __init__(self) -> None:
        self.pieces: list[Piece] = []
        # Places that have died since the last `tidy`, by the identity of the segment.
        self._dead: dict[int, list[int]] = {}

    def __len__(self) -> int:
        """How many versions live."""
        return sum(self._sizes(part_of(piece))[0] for piece in self.pieces)

    @property
    def size_bytes(self) -> int:
        """What the segments take, with what is dead in them."""
        return sum(len(part_of(piece).segment) for piece in self.pieces)

    def append(self, segment: Segment) -> None:
        """Add a segment behind the others."""
        self.pieces.append(segment)

    def kill(self, segment: Segment, key: bytes) -> KV:
        """Nothing refers to this version any more; the next `tidy` drops it."""
        place, kv = find(segment, key)
        self._dead.setdefault(id(segment), []).append(place)
        return kv

    def _sizes(self, part: Part) -> tuple[int, int]:
        """How many versions live now, and how many bytes they take."""
        dead = self._dead.get(id(part.segment))
        if dead is None:
            return part.left, part.size
        size = sum([record_bytes(part.segment, place) for place in dead])
        return part.left - len(dead), part.size - size

    def tidy(self, moved: Move) -> Iterator[None]:
        """Drop what has died, and pack again where it pays; a step takes about a millisecond."""
        pieces, place, untouched = self.pieces, 0, 0
        while place < len(pieces):
            part = part_of(pieces[place])
            count, size = self._sizes(part)
            begin, stop = bounds(part.segment, 0, count_of(part.segment))
            sparse = (stop - begin - size) * SPARSE_SHARE > stop - begin
            end = place + 1
            while count and end < len(pieces):
                next_count, next_size = self._sizes(part_of(pieces[end]))
                if size + next_size > SEGMENT_BYTES or count + next_count > SEGMENT_VERSIONS:
                    break
                count, size, end = count + next_count, size + next_size, end + 1
            if sparse or end - place > 1:
                place += self._repack(place, end, moved)
                untouched = 0
            else:
                untouched = 0 if id(part.segment) in self._dead else untouched + 1
                self._bury(place)
                place += 1
            if untouched % UNTOUCHED_PER_STEP == 0:
                yield

    def _bury(self, place: int) -> Part:
        part = part_of(self.pieces[place])
        dead = self._dead.pop(id(part.segment), None)
        if dead is not None:
            part = self.pieces[place] = part.without(dead)
        return part

    def _repack(self, place: int, end: int, moved: Move) -> int:
        """Put what lives in these segments into new ones; how many those are."""
        former = [self._bury(number) for number in range(place, end)]
        of_former = [(part.segment, kv) for part in former for kv in part.versions()]
        before = iter(of_former)
        fresh: list[Segment] = []
        for segment, packed in pack([kv for _, kv in of_former]):
            fresh.append(segment)
            for kv in packed:
                moved(kv[0], next(before)[0], segment)
        self.pieces[place:end] = fresh
        return len(fresh)


def pack(versions: Iterable[KV]) -> Iterator[tuple[Segment, list[KV]]]:
    """Segments, and which versions each of them holds."""
    records: list[bytes] = []
    packed: list[KV] = []
    size = 0
    for kv in versions:
        record = pack_version(kv)
        if packed and (size + len(record) > SEGMENT_BYTES or len(packed) == SEGMENT_VERSIONS):
            yield make_segment([kv[0] for kv in packed], records), packed
            records, packed, size = [], [], 0
        records.append(record)
        packed.append(kv)
        size += len(record)
    if packed:
        yield make_segment([kv[0] for kv in packed], records), packed
