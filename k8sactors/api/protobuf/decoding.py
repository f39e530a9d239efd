"""From messages to objects: one function per message, compiled from the table on first use.

A decoder walks over the fields as they come. Unknown fields are skipped, a message that comes twice
is merged, the last value of a plain field counts. What Go's JSON leaves out when it is empty is
left out; what is absent from the message is absent from the object.
"""

from __future__ import annotations

import base64
import math
import struct
from collections.abc import Callable
from typing import Any, NamedTuple

from k8sactors.api.errors import ProtobufError
from k8sactors.api.protobuf import values, wire
from k8sactors.api.protobuf.table import INLINE, Field, fields_of, is_list_of_texts
from k8sactors.api.protobuf.wire import truncated

Object = dict[str, Any]
# From data, begin, end and depth of a message into an object.
Decoder = Callable[[bytes, int, int, int, Object], None]
# From data, begin, end and depth of a value to the value.
Read = Callable[[bytes, int, int, int], Any]
# Stores the value between two positions into an object.
Store = Callable[[Object, bytes, int, int, int], None]
# Stores a number of variable length into an object.
StoreNumber = Callable[[Object, int], None]

_SMALL = 128
_MAX_SAFE = 1 << 53
_SCHEMA = "apiextensions.v1.JSONSchemaProps"
_double = struct.Struct("<d").unpack_from


class _Known(NamedTuple):
    """A tag that a message knows: `store` is None for a plain text."""

    name: str
    keeps_empty: bool
    store: Any


_decoders: dict[str, Decoder] = {}


def message_decoder(message: str) -> Decoder:
    """The decoder of a message."""
    found = _decoders.get(message)
    return _compile(message) if found is None else found


def _compile(message: str) -> Decoder:  # noqa: C901 - as the loop below
    known: dict[int, _Known] = {}
    names: dict[int, str] = {}
    known_of = known.get

    # One loop with all that is common in it: a call for each field would double the time.
    def decode(data: bytes, pos: int, end: int, depth: int, out: Object) -> None:  # noqa: C901
        if depth > wire.MAX_DEPTH:
            raise ProtobufError(f"proto: nested more than {wire.MAX_DEPTH} levels deep", pos)
        while pos < end:
            start = pos
            tag = data[pos]
            pos += 1
            if tag >= _SMALL:
                if pos < end and data[pos] < _SMALL:
                    tag += (data[pos] << 7) - _SMALL
                    pos += 1
                else:
                    tag, pos = wire.read_varint(data, start, end)
            field = known_of(tag)
            kind = tag & 7
            if field is None or kind == wire.FIXED64:
                pos = _rare(tag, field, names, (data, start, pos, end), out)
                continue
            name, keeps_empty, store = field
            if pos >= end:
                raise truncated(end)
            size = data[pos]
            pos += 1
            if size >= _SMALL:
                size, pos = wire.read_varint(data, pos - 1, end)
            if kind == wire.VARINT:
                if size or keeps_empty:
                    store(out, size)
                elif name in out:
                    del out[name]
                continue
            stop = pos + size
            if stop > end:
                raise truncated(end)
            if store is not None:
                store(out, data, pos, stop, depth)
            elif size or keeps_empty:
                try:
                    out[name] = data[pos:stop].decode()
                except UnicodeDecodeError:
                    out[name] = values.text_of(data[pos:stop], pos)
            elif name in out:
                del out[name]
            pos = stop

    # Known before it is complete: a message may contain itself.
    _decoders[message] = decode
    for field in fields_of(message):
        names[field.number] = field.name
        _learn(field, known)
    return decode


def _rare(
    tag: int,
    field: _Known | None,
    names: dict[int, str],
    place: tuple[bytes, int, int, int],
    out: Object,
) -> int:
    """Where a field ends that is a double, or unknown and skipped.

    Raises:
        ProtobufError: it is malformed, or a known field that is written as another type.
    """
    data, start, pos, end = place
    if field is None and tag >> 3 in names:
        name = names[tag >> 3]
        text = f"proto: wrong wireType = {tag & 7} for field {name[:1].upper()}{name[1:]}"
        raise ProtobufError(text, start)
    stop = wire.skip(tag, data, start, pos, end)
    if field is not None:
        field.store(out, data, pos, stop, 0)
    return stop


def _learn(field: Field, known: dict[int, _Known]) -> None:
    """Add the tags that a field may have."""
    number, name = field.number, field.name
    keeps = field.keeps_empty
    length = number << 3 | wire.LENGTH
    if field.is_map:
        known[length] = _Known(name, keeps, _store_entry(name, field.type))
    elif field.type in {"bool", "int32", "int64"}:
        convert = _CONVERT[field.type]
        if field.repeated:
            known[number << 3 | wire.VARINT] = _Known(name, True, _append_number(name, convert))
            # Other clients may pack them.
            known[length] = _Known(name, keeps, _append_packed(name, convert))
        else:
            known[number << 3 | wire.VARINT] = _Known(name, keeps, _store_number(name, convert))
    elif field.type == "double":
        known[number << 3 | wire.FIXED64] = _Known(name, keeps, _store_double(name, keeps=keeps))
    elif name == INLINE:
        known[length] = _Known(name, keeps, _store_inline(message_decoder(field.type)))
    elif field.type == "string" and not field.repeated:
        known[length] = _Known(name, keeps, None)
    elif field.repeated:
        known[length] = _Known(name, keeps, _append(name, _read(field.type)))
    elif _is_object(field.type):
        known[length] = _Known(name, keeps, _store_message(name, message_decoder(field.type)))
    else:
        drops = field.omit_zero or (field.type == "bytes" and not keeps)
        known[length] = _Known(name, keeps, _store_value(name, _read(field.type), drops=drops))


def _is_object(kind: str) -> bool:
    return "." in kind and not is_list_of_texts(kind)


_CONVERT: dict[str, Callable[[int], Any]] = {
    "bool": bool,
    "int32": values.signed_32,
    "int64": values.signed_64,
}


def _store_number(name: str, convert: Callable[[int], Any]) -> StoreNumber:
    def store(out: Object, number: int) -> None:
        out[name] = convert(number)

    return store


def _append_number(name: str, convert: Callable[[int], Any]) -> StoreNumber:
    def store(out: Object, number: int) -> None:
        out.setdefault(name, []).append(convert(number))

    return store


def _append_packed(name: str, convert: Callable[[int], Any]) -> Store:
    def store(out: Object, data: bytes, pos: int, end: int, _depth: int) -> None:
        found = out.setdefault(name, [])
        while pos < end:
            number, pos = wire.read_varint(data, pos, end)
            found.append(convert(number))

    return store


def _store_double(name: str, *, keeps: bool) -> Store:
    def store(out: Object, data: bytes, pos: int, _end: int, _depth: int) -> None:
        number: float = _double(data, pos)[0]
        if not math.isfinite(number):
            raise ProtobufError("json: unsupported value: not a finite number", pos)
        if number or keeps:
            whole = number.is_integer() and abs(number) < _MAX_SAFE
            out[name] = int(number) if whole else number
        else:
            out.pop(name, None)

    return store


def _store_message(name: str, decode: Decoder) -> Store:
    def store(out: Object, data: bytes, pos: int, end: int, depth: int) -> None:
        inner = out.get(name)
        if inner is None:
            inner = out[name] = {}
        if pos < end:
            decode(data, pos, end, depth + 1, inner)

    return store


def _store_inline(decode: Decoder) -> Store:
    def store(out: Object, data: bytes, pos: int, end: int, depth: int) -> None:
        decode(data, pos, end, depth + 1, out)

    return store


def _store_value(name: str, read: Read, *, drops: bool) -> Store:
    def store(out: Object, data: bytes, pos: int, end: int, depth: int) -> None:
        value = read(data, pos, end, depth)
        if drops and not value:
            out.pop(name, None)
        else:
            out[name] = value

    return store


def _append(name: str, read: Read) -> Store:
    def store(out: Object, data: bytes, pos: int, end: int, depth: int) -> None:
        found = out.get(name)
        if found is None:
            found = out[name] = []
        found.append(read(data, pos, end, depth))

    return store


def _read(kind: str) -> Read:
    """The reader of a value that has a length."""
    if kind == "string":
        return _read_text
    if kind == "bytes":
        return _read_bytes
    if kind in values.DECODERS:
        return values.DECODERS[kind]
    if kind in _SCHEMA_CHOICES:
        return _SCHEMA_CHOICES[kind]
    if is_list_of_texts(kind):
        return _read_texts
    return _read_message(message_decoder(kind))


def _read_message(decode: Decoder) -> Read:
    def read(data: bytes, pos: int, end: int, depth: int) -> Object:
        out: Object = {}
        decode(data, pos, end, depth + 1, out)
        return out

    return read


def _read_text(data: bytes, pos: int, end: int, _depth: int) -> str:
    return values.text_of(data[pos:end], pos)


def _read_bytes(data: bytes, pos: int, end: int, _depth: int) -> str:
    return base64.b64encode(data[pos:end]).decode()


def _read_texts(data: bytes, pos: int, end: int, _depth: int) -> list[str]:
    return _texts(data, _spans(data, pos, end)[0][1])


def _texts(data: bytes, spans: list[tuple[int, int]]) -> list[str]:
    return [values.text_of(data[begin:stop], begin) for begin, stop in spans]


def _spans(data: bytes, pos: int, end: int) -> tuple[dict[int, list[tuple[int, int]]], int]:
    """Where the values of the fields 1 and 2 begin and end, and the number that field 1 is."""
    found: dict[int, list[tuple[int, int]]] = {1: [], 2: []}
    number = 0
    while pos < end:
        start = pos
        tag, pos = wire.read_varint(data, pos, end)
        if tag in {_KEY, _VALUE}:
            begin, pos = wire.read_length(data, pos, end)
            found[tag >> 3].append((begin, pos))
        elif tag == 1 << 3 | wire.VARINT:
            number, pos = wire.read_varint(data, pos, end)
        else:
            pos = wire.skip(tag, data, start, pos, end)
    return found, number


def _store_entry(name: str, kind: str) -> Store:
    read = _read(kind)
    zero = values.EMPTY.get(kind, b"")

    def store(out: Object, data: bytes, pos: int, end: int, depth: int) -> None:
        found = out.get(name)
        if found is None:
            found = out[name] = {}
        # As every encoder writes a short entry: the key, then the value.
        if pos + 1 < end and data[pos] == _KEY and data[pos + 1] < _SMALL:
            middle = pos + 2 + data[pos + 1]
            if middle + 1 < end and data[middle] == _VALUE and data[middle + 1] < _SMALL:
                begin = middle + 2
                if begin + data[middle + 1] == end:
                    key = values.text_of(data[pos + 2 : middle], pos + 2)
                    found[key] = read(data, begin, end, depth)
                    return
        key, value = "", _ABSENT
        while pos < end:
            start = pos
            tag, pos = wire.read_varint(data, pos, end)
            if tag == _KEY:
                begin, pos = wire.read_length(data, pos, end)
                key = values.text_of(data[begin:pos], begin)
            elif tag == _VALUE:
                begin, pos = wire.read_length(data, pos, end)
                value = read(data, begin, pos, depth)
            else:
                pos = wire.skip(tag, data, start, pos, end)
        found[key] = read(zero, 0, len(zero), depth) if value is _ABSENT else value

    return store


_ABSENT: Any = object()
_KEY = 1 << 3 | wire.LENGTH
_VALUE = 2 << 3 | wire.LENGTH


def _schema(data: bytes, spans: list[tuple[int, int]], depth: int) -> Object:
    out: Object = {}
    for begin, stop in spans:
        message_decoder(_SCHEMA)(data, begin, stop, depth + 1, out)
    return out


def _schema_or_bool(data: bytes, pos: int, end: int, depth: int) -> Any:
    found, allows = _spans(data, pos, end)
    return _schema(data, found[2], depth) if found[2] else bool(allows)


def _schema_or_list(data: bytes, pos: int, end: int, depth: int) -> Any:
    found, _ = _spans(data, pos, end)
    if found[2]:
        return [_schema(data, [span], depth) for span in found[2]]
    return _schema(data, found[1], depth) if found[1] else None


def _schema_or_texts(data: bytes, pos: int, end: int, depth: int) -> Any:
    found, _ = _spans(data, pos, end)
    if found[2]:
        return _texts(data, found[2])
    return _schema(data, found[1], depth) if found[1] else None


_SCHEMA_CHOICES: dict[str, Read] = {
    "JSONSchemaPropsOrBool": _schema_or_bool,
    "JSONSchemaPropsOrArray": _schema_or_list,
    "JSONSchemaPropsOrStringArray": _schema_or_texts,
}


def decode_message(message: str, data: bytes, pos: int, end: int, depth: int = 0) -> Object:
    """The object in the bytes of a message, without an envelope.

    Raises:
        ProtobufError: they are malformed, or nest too deep.
    """
    out: Object = {}
    message_decoder(message)(data, pos, end, depth, out)
    return out
