"""The types whose JSON is no object of their fields: times, quantities, numbers or texts, JSON.

Each has an encoder from its JSON value to the bytes of its message, and a decoder back. An encoder
gets no null.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

from k8sactors.api.errors import ProtobufError
from k8sactors.api.json_text import load_json
from k8sactors.api.protobuf import wire

Encode = Callable[[Any], bytes]
# From data, begin, end and depth of a message.
Decode = Callable[[bytes, int, int, int], Any]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# The first second of the year 1, which is Go's zero time.
_ZERO_SECONDS = -62135596800
_ZERO_TIME = "0001-01-01T00:00:00"
_SHORT_BYTES = 64
_LAST_SECONDS = 253402300799
_NANOSECONDS = 1_000_000_000
_SIGN_32, _SIGN_64 = 1 << 31, 1 << 63


def signed_32(number: int) -> int:
    """The int32 that a number of variable length states."""
    number &= 0xFFFFFFFF
    return number - (1 << 32) if number >= _SIGN_32 else number


def signed_64(number: int) -> int:
    """The int64 that a number of variable length states."""
    return number - (1 << 64) if number >= _SIGN_64 else number


def unfit(value: Any, what: str) -> ProtobufError:
    """The error of a JSON value that its field cannot hold."""
    return ProtobufError(f"cannot encode {type(value).__name__} as {what}", 0)


def read_fields(data: bytes, pos: int, end: int) -> dict[int, Any]:
    """The numbers and byte strings of a small message, by field number; the last one counts.

    Raises:
        ProtobufError: it is malformed.
    """
    found: dict[int, Any] = {}
    while pos < end:
        start = pos
        tag, pos = wire.read_varint(data, pos, end)
        if tag >> 3 and tag & 7 == wire.VARINT:
            found[tag >> 3], pos = wire.read_varint(data, pos, end)
        elif tag >> 3 and tag & 7 == wire.LENGTH:
            begin, pos = wire.read_length(data, pos, end)
            found[tag >> 3] = data[begin:pos]
        else:
            pos = wire.skip(tag, data, start, pos, end)
    return found


def _number(found: dict[int, Any], number: int, pos: int) -> int:
    value = found.get(number, 0)
    if not isinstance(value, int):
        raise ProtobufError(f"proto: wrong wireType = {wire.LENGTH} for field {number}", pos)
    return value


def _bytes(found: dict[int, Any], number: int, pos: int) -> bytes:
    value = found.get(number, b"")
    if not isinstance(value, bytes):
        raise ProtobufError(f"proto: wrong wireType = {wire.VARINT} for field {number}", pos)
    return value


def text_of(data: bytes, position: int) -> str:
    """A text field.

    Raises:
        ProtobufError: it is no UTF-8.
    """
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        where = position + error.start
        raise ProtobufError("proto: string field contains invalid UTF-8", where) from error


def _parse_time(value: str) -> tuple[int, int]:
    """Seconds since 1970 and microseconds of a time in RFC 3339."""
    try:
        moment = datetime.fromisoformat(value)
    except ValueError as error:
        raise unfit(value, "a time") from error
    if moment.tzinfo is None:
        raise unfit(value, "a time")
    since = moment - _EPOCH
    return since.days * 86400 + since.seconds, since.microseconds


def _timestamp(seconds: int, nanos: int) -> bytes:
    if seconds == _ZERO_SECONDS and not nanos:
        return b""
    return b"\x08" + wire.varint(seconds) + b"\x10" + wire.varint(nanos)


# Objects that were made together share their times.
@lru_cache(4096)
def _time(value: str) -> bytes:
    return _timestamp(_parse_time(value)[0], 0)


@lru_cache(4096)
def _micro_time(value: str) -> bytes:
    seconds, micros = _parse_time(value)
    return _timestamp(seconds, micros * 1000)


def encode_time(value: Any) -> bytes:
    """Whole seconds; Go drops the rest, which its JSON does not hold."""
    if not isinstance(value, str):
        raise unfit(value, "a time")
    return _time(value)


def encode_micro_time(value: Any) -> bytes:
    """Seconds and nanoseconds, of which those below a microsecond are 0."""
    if not isinstance(value, str):
        raise unfit(value, "a time")
    return _micro_time(value)


def _remembered(decode: Callable[[bytes], Any]) -> Decode:
    """A decoder that remembers short values: objects that were made together share many."""
    remembered = lru_cache(4096)(decode)

    def decode_at(data: bytes, pos: int, end: int, _depth: int) -> Any:
        try:
            return (remembered if end - pos <= _SHORT_BYTES else decode)(data[pos:end])
        except ProtobufError as error:
            error.position += pos
            raise

    return decode_at


def _read_time(data: bytes) -> tuple[str, int] | None:
    if not data:
        return None
    found = read_fields(data, 0, len(data))
    seconds = signed_64(_number(found, 1, 0))
    nanos = signed_32(_number(found, 2, 0))
    if not (_ZERO_SECONDS <= seconds <= _LAST_SECONDS and 0 <= nanos < _NANOSECONDS):
        raise ProtobufError("proto: time out of range", 0)
    return (_EPOCH + timedelta(seconds=seconds)).isoformat()[:19], nanos


def _time_text(data: bytes) -> str | None:
    """`2006-01-02T15:04:05Z`; None: Go's zero time."""
    found = _read_time(data)
    return None if found is None or found[0] == _ZERO_TIME else f"{found[0]}Z"


def _micro_time_text(data: bytes) -> str | None:
    """`2006-01-02T15:04:05.000000Z`; None: Go's zero time."""
    found = _read_time(data)
    if found is None or (found[0] == _ZERO_TIME and not found[1]):
        return None
    return f"{found[0]}.{found[1] // 1000:06d}Z"


def encode_quantity(value: Any) -> bytes:
    """The text of a quantity; a number is its own text."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise unfit(value, "a quantity")
    return wire.framed(1, str(value).encode())


def _quantity_text(data: bytes) -> str:
    """The text as it stands; it is judged and made canonical like that of a JSON body."""
    return text_of(_bytes(read_fields(data, 0, len(data)), 1, 0), 0)


def encode_int_or_string(value: Any) -> bytes:
    """Type (0 a number, 1 a text), number and text, all three always."""
    if isinstance(value, str):
        return b"\x08\x01\x10\x00" + wire.framed(3, value.encode())
    if isinstance(value, bool) or not isinstance(value, int):
        raise unfit(value, "a number or string")
    return b"\x08\x00\x10" + wire.varint(value) + b"\x1a\x00"


def _int_or_string(data: bytes) -> int | str:
    """The number or the text, whichever the type says."""
    found = read_fields(data, 0, len(data))
    kind = _number(found, 1, 0)
    if kind not in {0, 1}:
        raise ProtobufError("impossible IntOrString.Type", 0)
    if kind:
        return text_of(_bytes(found, 3, 0), 0)
    return signed_32(_number(found, 2, 0))


def encode_raw(value: Any) -> bytes:
    """A message whose first field is JSON: RawExtension, FieldsV1 and the JSON of extensions."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    return wire.framed(1, text.encode())


def decode_raw(data: bytes, pos: int, end: int, _depth: int) -> Any:
    """The value of the JSON in a message's first field; None: there is none.

    Raises:
        ProtobufError: it is no JSON, or nests too deep.
    """
    raw = _bytes(read_fields(data, pos, end), 1, pos)
    return json_value(raw, pos) if raw else None


def json_value(raw: bytes, position: int) -> Any:
    """The value of a JSON text within a message.

    Raises:
        ProtobufError: it is no JSON, or nests too deep.
    """
    try:
        return load_json(raw)
    except ValueError as error:
        raise ProtobufError(f"invalid JSON in a raw field: {error}", position) from error


ENCODERS: dict[str, Encode] = {
    "Time": encode_time,
    "MicroTime": encode_micro_time,
    "Quantity": encode_quantity,
    "IntOrString": encode_int_or_string,
    "RawExtension": encode_raw,
    "FieldsV1": encode_raw,
    "JSON": encode_raw,
}
DECODERS: dict[str, Decode] = {
    "Time": _remembered(_time_text),
    "MicroTime": _remembered(_micro_time_text),
    "Quantity": _remembered(_quantity_text),
    "IntOrString": _remembered(_int_or_string),
    "RawExtension": decode_raw,
    "FieldsV1": decode_raw,
    "JSON": decode_raw,
}
# What the real server writes for a plain field that is absent.
EMPTY: dict[str, bytes] = {
    "Quantity": wire.framed(1, b"0"),
    "IntOrString": b"\x08\x00\x10\x00\x1a\x00",
}
