"""As much of protobuf's encoding as etcd's database needs: varints and byte strings.

By hand, so that reading and writing snapshot files needs no package beyond the store's own.
"""

from __future__ import annotations

from typing import Final

VARINT: Final = 0
LENGTH: Final = 2
MAX_SHIFT: Final = 63
_WORD: Final = (1 << 64) - 1
_SIGN: Final = 1 << 63
# Seven bits of a number stand in each byte, the lowest first.
LOW: Final = 0x7F
# More bytes follow.
HIGH: Final = 0x80
_SHORT: Final = [
    bytes((number,)) if number <= LOW else bytes((number & LOW | HIGH, number >> 7))
    for number in range(1 << 14)
]


def varint(value: int) -> bytes:
    """A number; negative ones as the 64-bit two's complement, as protobuf's int64 has them."""
    if 0 <= value < len(_SHORT):
        return _SHORT[value]
    if 0 <= value < 1 << 21:
        return bytes((value & LOW | HIGH, value >> 7 & LOW | HIGH, value >> 14))
    value &= _WORD
    out = bytearray()
    while value > LOW:
        out.append(value & LOW | HIGH)
        value >>= 7
    out.append(value)
    return bytes(out)


def encode(*fields: int | bytes | list[bytes]) -> bytes:
    """A message of the fields 1, 2, ...; zero and empty ones are left out, as proto3 does.

    A list is a repeated field.
    """
    parts: list[bytes] = []
    for place, value in enumerate(fields, start=1):
        if isinstance(value, int):
            if value:
                parts += (varint(place << 3 | VARINT), varint(value))
        elif isinstance(value, list):
            for item in value:
                parts += (varint(place << 3 | LENGTH), varint(len(item)), item)
        elif value:
            parts += (varint(place << 3 | LENGTH), varint(len(value)), value)
    return b"".join(parts)


def key_value(
    key: bytes, created: int, modified: int, version: int, value: bytes, lease: int
) -> bytes:
    """``encode(key, created, ...)`` of a version that exists: most of a database is this."""
    parts = [
        b"\n",
        varint(len(key)),
        key,
        b"\x10",
        varint(created),
        b"\x18",
        varint(modified),
        b" ",
        varint(version),
    ]
    if value:
        parts += (b"*", varint(len(value)), value)
    if lease:
        parts += (b"0", varint(lease))
    return b"".join(parts)


def decode(data: bytes) -> dict[int, int | bytes]:
    """The fields of a message by number; varints as int64, of a repeated field the last.

    Raises:
        ValueError: it is no message of varints and byte strings.
    """
    fields: dict[int, int | bytes] = {}
    place, end = 0, len(data)
    while place < end:
        tag, value, place = _next(data, place)
        kind = tag & 7
        if kind == VARINT:
            fields[tag >> 3] = value - (1 << 64) if value & _SIGN else value
        elif kind == LENGTH and place + value <= end:
            fields[tag >> 3] = data[place : place + value]
            place += value
        else:
            raise _unexpected(tag)
    return fields


def decode_repeated(data: bytes, field: int) -> list[bytes]:
    """The values of a repeated field of byte strings.

    Raises:
        ValueError: it is no message of varints and byte strings.
    """
    values: list[bytes] = []
    place = 0
    while place < len(data):
        tag, value, place = _next(data, place)
        if tag & 7 == LENGTH and place + value <= len(data):
            if tag >> 3 == field:
                values.append(data[place : place + value])
            place += value
        elif tag & 7 != VARINT or tag >> 3 == field:
            raise _unexpected(tag)
    return values


def _next(data: bytes, place: int) -> tuple[int, int, int]:
    """A field's tag, the number behind it, and where that ends."""
    try:
        tag, value = data[place], data[place + 1]
    except IndexError:
        raise ValueError("a number does not end") from None
    if tag <= LOW and value <= LOW:
        return tag, value, place + 2
    tag, place = _read_varint(data, place)
    value, place = _read_varint(data, place)
    return tag, value, place


def _unexpected(tag: int) -> ValueError:
    if tag & 7 == LENGTH:
        return ValueError(f"field {tag >> 3} ends behind the message")
    return ValueError(f"field {tag >> 3} is of an unexpected kind {tag & 7}")


def _read_varint(data: bytes, place: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if place >= len(data) or shift > MAX_SHIFT:
            raise ValueError("a number does not end")
        byte = data[place]
        place += 1
        value |= (byte & LOW) << shift
        if byte <= LOW:
            return value & _WORD, place
        shift += 7


def number(fields: dict[int, int | bytes], place: int) -> int:
    """A varint field; 0 if it is absent.

    Raises:
        ValueError: it is a byte string.
    """
    value = fields.get(place, 0)
    if not isinstance(value, int):
        raise ValueError(f"field {place} is no number")  # noqa: TRY004 - see above
    return value


def text(fields: dict[int, int | bytes], place: int) -> bytes:
    """A byte string field; empty if it is absent.

    Raises:
        ValueError: it is a number.
    """
    value = fields.get(place, b"")
    if not isinstance(value, bytes):
        raise ValueError(f"field {place} is no byte string")  # noqa: TRY004 - see above
    return value
