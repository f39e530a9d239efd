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


def varint(value: int) -> bytes:
    """A number; negative ones as the 64-bit two's complement, as protobuf's int64 has them."""
    value &= _WORD
    out = bytearray()
    while value > 0x7F:  # noqa: PLR2004 - seven bits per byte
        out.append(value & 0x7F | 0x80)
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


def decode(data: bytes) -> dict[int, int | bytes]:
    """The fields of a message by number; varints as int64, of a repeated field the last.

    Raises:
        ValueError: it is no message of varints and byte strings.
    """
    return {place: values[-1] for place, values in decode_repeated(data).items()}


def decode_repeated(data: bytes) -> dict[int, list[int | bytes]]:
    """The fields of a message by number, each with all its values.

    Raises:
        ValueError: it is no message of varints and byte strings.
    """
    fields: dict[int, list[int | bytes]] = {}
    place = 0
    while place < len(data):
        tag, place = _read_varint(data, place)
        kind, field = tag & 7, tag >> 3
        value, place = _read_varint(data, place)
        if kind == VARINT:
            signed = value - (1 << 64) if value & _SIGN else value
            fields.setdefault(field, []).append(signed)
        elif kind == LENGTH:
            if place + value > len(data):
                raise ValueError(f"field {field} ends behind the message")
            fields.setdefault(field, []).append(data[place : place + value])
            place += value
        else:
            raise ValueError(f"field {field} is of an unexpected kind {kind}")
    return fields


def _read_varint(data: bytes, place: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if place >= len(data) or shift > MAX_SHIFT:
            raise ValueError("a number does not end")
        byte = data[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:  # noqa: PLR2004 - the last byte of a number
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
