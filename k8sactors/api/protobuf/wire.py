"""Protobuf's wire format: tags, numbers of variable length, and what is skipped.

Source: the protobuf encoding guide. Numbers are read up to ten bytes, as 64 bits; groups, which are
deprecated, are skipped.
"""

from __future__ import annotations

from functools import cache

from k8sactors.api.errors import ProtobufError

VARINT = 0
FIXED64 = 1
LENGTH = 2
START_GROUP = 3
END_GROUP = 4
FIXED32 = 5

MAX_DEPTH = 100
"""How deep messages and groups may nest: as deep as JSON may, far more than any object needs."""

_SMALL = 128
_TWO_BYTES = 1 << 14
_MASK_64 = (1 << 64) - 1
_MAX_SHIFT = 63


def varint(number: int) -> bytes:
    """A number of variable length; a negative one takes ten bytes."""
    if 0 <= number < _SMALL:
        return bytes((number,))
    if 0 <= number < _TWO_BYTES:
        return bytes((number & 127 | 128, number >> 7))
    number &= _MASK_64
    found = bytearray()
    while number > 127:  # noqa: PLR2004 - seven bits at a time
        found.append(number & 127 | 128)
        number >>= 7
    found.append(number)
    return bytes(found)


@cache
def heads(number: int, wire: int) -> tuple[bytes, ...]:
    """The tag of a field, in front of each number below 128: a short length or a small value."""
    tag = varint(number << 3 | wire)
    return tuple(tag + bytes((one,)) for one in range(_SMALL))


def framed(number: int, data: bytes) -> bytes:
    """A field that holds bytes, with its tag and length."""
    return varint(number << 3 | LENGTH) + varint(len(data)) + data


def truncated(position: int) -> ProtobufError:
    """The error of a message that ends too early."""
    return ProtobufError("unexpected EOF", position)


def read_varint(data: bytes, pos: int, end: int) -> tuple[int, int]:
    """The number at `pos`, modulo 2**64, and where it ends.

    Raises:
        ProtobufError: it does not end before `end`, or has more than ten bytes.
    """
    start = pos
    number = shift = 0
    while pos < end:
        byte = data[pos]
        pos += 1
        number |= (byte & 127) << shift
        if byte < _SMALL:
            return number & _MASK_64, pos
        shift += 7
        if shift > _MAX_SHIFT:
            raise ProtobufError("proto: integer overflow", start)
    raise truncated(pos)


def read_length(data: bytes, pos: int, end: int) -> tuple[int, int]:
    """Where the bytes behind the length at `pos` begin and end.

    Raises:
        ProtobufError: they do not end before `end`.
    """
    size, start = read_varint(data, pos, end)
    if size > end - start:
        raise truncated(end)
    return start, start + size


def skip(tag: int, data: bytes, start: int, pos: int, end: int) -> int:
    """Where a field ends whose tag stands at `start` and whose value at `pos`.

    Raises:
        ProtobufError: it is malformed, or a group that nests too deep or does not end.
    """
    depth = 0
    while True:
        number, wire = tag >> 3, tag & 7
        if not number:
            raise ProtobufError(f"proto: illegal tag {number} (wire type {wire})", start)
        if wire == VARINT:
            _, pos = read_varint(data, pos, end)
        elif wire == LENGTH:
            _, pos = read_length(data, pos, end)
        elif wire in {FIXED64, FIXED32}:
            pos += 8 if wire == FIXED64 else 4
            if pos > end:
                raise truncated(end)
        elif wire == START_GROUP:
            depth += 1
            if depth > MAX_DEPTH:
                raise ProtobufError(f"proto: nested more than {MAX_DEPTH} levels deep", start)
        elif wire == END_GROUP:
            depth -= 1
            if depth < 0:
                raise ProtobufError("proto: wiretype end group for non-group", start)
        else:
            raise ProtobufError(f"proto: illegal wireType {wire}", start)
        if not depth:
            return pos
        start = pos
        tag, pos = read_varint(data, pos, end)
