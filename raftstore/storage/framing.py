"""Frames: how records lie one behind the other in a log segment or a snapshot file.

A frame is a head of 16 bytes, little-endian, and its payload::

    2  magic
    1  kind
    1  zero
    4  length of the payload
    4  link: the check of the frame before (of the file's first frame: given by the file's owner)
    4  check: CRC-32 over salt, link, kind, length and payload

The link chains the frames, so that none can be lost, doubled or moved unnoticed. A frame is also
sound by itself, without the one before: that tells damage in the middle (sound frames follow) from
a torn tail (none do). The salt, drawn per directory, keeps bytes that a client has stored from
looking like frames.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import Final, NamedTuple

HEAD: Final = struct.Struct("<2sBBIII")
MAGIC: Final = b"\xe7\x9d"
_CHECKED: Final = struct.Struct("<IIBI")


class Frame(NamedTuple):
    """One frame and where it was found."""

    offset: int
    end: int
    kind: int
    payload: bytes
    check: int


class Damage(NamedTuple):
    """Where frames stop making sense, and why."""

    offset: int
    what: str


def encode(kind: int, payload: bytes, link: int, salt: int) -> tuple[bytes, int]:
    """A frame's bytes, and its check: the next frame's link."""
    check = _check(kind, payload, link, salt)
    return HEAD.pack(MAGIC, kind, 0, len(payload), link, check) + payload, check


def _check(kind: int, payload: bytes, link: int, salt: int) -> int:
    return zlib.crc32(payload, zlib.crc32(_CHECKED.pack(salt, link, kind, len(payload))))


def parse(data: bytes, offset: int, salt: int) -> Frame | Damage:
    """The frame at an offset, sound by itself; its link is not looked at."""
    left = len(data) - offset
    if left < HEAD.size:
        return Damage(offset, f"{left} bytes where a frame's head needs {HEAD.size}")
    magic, kind, zero, length, link, check = HEAD.unpack_from(data, offset)
    if magic != MAGIC or zero:
        return Damage(offset, "no frame begins here")
    end = offset + HEAD.size + length
    if end > len(data):
        return Damage(offset, f"a frame of {length} bytes, {left - HEAD.size} are there")
    payload = data[offset + HEAD.size : end]
    if check != _check(kind, payload, link, salt):
        return Damage(offset, "the frame's checksum does not match")
    return Frame(offset, end, kind, payload, check)


def link_of(data: bytes, offset: int) -> int:
    """The link in the head of a frame that was parsed."""
    link: int = HEAD.unpack_from(data, offset)[4]
    return link


def read(data: bytes, offset: int, link: int, salt: int) -> Iterator[Frame | Damage]:
    """The frames from an offset on; the last item is a `Damage` if something is wrong."""
    while offset < len(data):
        frame = parse(data, offset, salt)
        if isinstance(frame, Frame) and link_of(data, offset) != link:
            frame = Damage(offset, "the frame does not follow the one before it")
        yield frame
        if isinstance(frame, Damage):
            return
        offset, link = frame.end, frame.check


def find_sound(data: bytes, offset: int, salt: int) -> int | None:
    """The first place at or behind an offset where a sound frame lies."""
    place = data.find(MAGIC, offset)
    while place >= 0:
        if isinstance(parse(data, place, salt), Frame):
            return place
        place = data.find(MAGIC, place + 1)
    return None
