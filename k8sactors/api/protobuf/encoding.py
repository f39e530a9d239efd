"""From objects to messages: one function per message, compiled from the table on first use.

A message's encoder keeps what the message is when all of its fields are absent, in one slot per
field. To encode an object it copies the slots, fills those of the keys that the object has, and
joins them; so the cost is that of what is there, and fields come in the order of their numbers.
"""

from __future__ import annotations

import base64
import binascii
import struct
from collections.abc import Callable
from typing import Any

from k8sactors.api.errors import ProtobufError
from k8sactors.api.protobuf import values, wire
from k8sactors.api.protobuf.table import INLINE, Field, fields_of, is_list_of_texts
from k8sactors.api.protobuf.values import Encode, unfit

# From an object to the bytes of its message, without tag and length.
Encoder = Callable[[Any], bytes]

_SMALL = 128
_SCHEMA = "apiextensions.v1.JSONSchemaProps"

_encoders: dict[str, Encoder] = {}


def message_encoder(message: str) -> Encoder:
    """The encoder of a message, or of a type whose JSON is no object."""
    found = _encoders.get(message)
    if found is None:
        if message in values.ENCODERS:
            found = values.ENCODERS[message]
        elif message in _SCHEMA_CHOICES:
            found = _SCHEMA_CHOICES[message]
        elif is_list_of_texts(message):
            found = _repeated(_text(1), b"\x0a\x00")
        else:
            return _compile(message)
        _encoders[message] = found
    return found


def _compile(message: str) -> Encoder:
    empty: list[bytes] = []
    # Place and encoder of a field, and the heads of short texts where it is a plain one.
    slots: dict[str, tuple[int, Encode, tuple[bytes, ...] | None]] = {}
    inlined: list[tuple[int, Encode]] = []
    slot_of = slots.get
    join = b"".join

    def encode(obj: Any) -> bytes:
        if obj.__class__ is not dict:
            raise unfit(obj, message)
        parts = empty.copy()
        for key, value in obj.items():
            slot = slot_of(key)
            if slot is None or value is None:
                continue
            place, encode_field, heads = slot
            if heads is not None and value.__class__ is str:
                data = value.encode()
                size = len(data)
                parts[place] = heads[size] + data if size < _SMALL else encode_field(value)
            else:
                parts[place] = encode_field(value)
        for place, inner in inlined:
            parts[place] = inner(obj)
        return join(parts)

    # Known before it is complete: a message may contain itself.
    _encoders[message] = encode
    for place, field in enumerate(fields_of(message)):
        encode_field = field_encoder(field)
        empty.append(empty_field(field))
        if field.name == INLINE:
            inlined.append((place, encode_field))
        else:
            plain = field.type == "string" and not field.repeated and not field.is_map
            heads = wire.heads(field.number, wire.LENGTH) if plain else None
            slots[field.name] = (place, encode_field, heads)
    return encode


def empty_field(field: Field) -> bytes:
    """What is written of a field that is absent."""
    if field.pointer or field.repeated or field.is_map:
        return b""
    number = field.number
    if field.type in {"int32", "int64", "bool"}:
        return wire.heads(number, wire.VARINT)[0]
    if field.type == "double":
        return wire.varint(number << 3 | wire.FIXED64) + bytes(8)
    if field.type == "string":
        return wire.heads(number, wire.LENGTH)[0]
    if field.type == "bytes":
        return b""
    return wire.framed(number, _empty_message(field.type))


def _empty_message(message: str) -> bytes:
    if message in values.ENCODERS or is_list_of_texts(message):
        return values.EMPTY.get(message, b"")
    return message_encoder(message)({})


def field_encoder(field: Field) -> Encode:
    """The encoder of a field's value, with its tag."""
    if field.is_map:
        return _map(field)
    single = _single(field.number, field.type)
    if not field.repeated:
        return single
    # An item that is null is the zero value of its type.
    return _repeated(single, empty_field(Field(field.number, field.name, field.type)))


def _single(number: int, kind: str) -> Encode:
    if kind == "string":
        return _text(number)
    if kind == "bytes":
        return _bytes(number)
    if kind == "bool":
        return _bool(number)
    if kind in {"int32", "int64"}:
        return _int(number)
    if kind == "double":
        return _double(number)
    return _message(number, message_encoder(kind))


def _text(number: int) -> Encode:
    heads = wire.heads(number, wire.LENGTH)
    tag = wire.varint(number << 3 | wire.LENGTH)

    def encode(value: Any) -> bytes:
        if value.__class__ is not str:
            raise unfit(value, "a string")
        data = value.encode()
        size = len(data)
        if size < _SMALL:
            return heads[size] + data
        return tag + wire.varint(size) + data

    return encode


def _bytes(number: int) -> Encode:
    def encode(value: Any) -> bytes:
        if value.__class__ is not str:
            raise unfit(value, "bytes")
        try:
            data = base64.b64decode(value, validate=True)
        except (binascii.Error, ValueError) as error:
            raise unfit(value, "bytes") from error
        return wire.framed(number, data)

    return encode


def _bool(number: int) -> Encode:
    false, true = wire.heads(number, wire.VARINT)[:2]

    def encode(value: Any) -> bytes:
        if value is True:
            return true
        if value is False:
            return false
        raise unfit(value, "a boolean")

    return encode


def _int(number: int) -> Encode:
    heads = wire.heads(number, wire.VARINT)
    tag = wire.varint(number << 3 | wire.VARINT)

    def encode(value: Any) -> bytes:
        if value.__class__ is not int:
            if value.__class__ is not float or not value.is_integer():
                raise unfit(value, "a whole number")
            value = int(value)
        number: int = value
        return heads[number] if 0 <= number < _SMALL else tag + wire.varint(number)

    return encode


def _double(number: int) -> Encode:
    tag = wire.varint(number << 3 | wire.FIXED64)
    pack = struct.Struct("<d").pack

    def encode(value: Any) -> bytes:
        if value.__class__ is not int and value.__class__ is not float:
            raise unfit(value, "a number")
        try:
            return tag + pack(value)
        except OverflowError as error:
            raise unfit(value, "a number") from error

    return encode


def _message(number: int, inner: Encoder) -> Encode:
    heads = wire.heads(number, wire.LENGTH)
    tag = wire.varint(number << 3 | wire.LENGTH)

    def encode(value: Any) -> bytes:
        data = inner(value)
        size = len(data)
        if size < _SMALL:
            return heads[size] + data
        return tag + wire.varint(size) + data

    return encode


def _repeated(single: Encode, empty: bytes) -> Encode:
    join = b"".join

    def encode(value: Any) -> bytes:
        if value.__class__ is not list:
            raise unfit(value, "a list")
        return join([empty if item is None else single(item) for item in value])

    return encode


def _map(field: Field) -> Encode:
    heads = wire.heads(field.number, wire.LENGTH)
    key_of, value_of = _text(1), _single(2, field.type)
    empty = empty_field(Field(2, field.name, field.type))
    tag = wire.varint(field.number << 3 | wire.LENGTH)

    def encode(value: Any) -> bytes:
        if value.__class__ is not dict:
            raise unfit(value, "a map")
        parts: list[bytes] = []
        for key in sorted(value):
            item = value[key]
            entry = key_of(key) + (empty if item is None else value_of(item))
            size = len(entry)
            parts.append(heads[size] if size < _SMALL else tag + wire.varint(size))
            parts.append(entry)
        return b"".join(parts)

    return encode


def _schema_or_bool(value: Any) -> bytes:
    if isinstance(value, bool):
        return b"\x08\x01" if value else b"\x08\x00"
    return b"\x08\x01" + wire.framed(2, message_encoder(_SCHEMA)(value))


def _schema_or_list(value: Any) -> bytes:
    encode = message_encoder(_SCHEMA)
    if isinstance(value, list):
        return b"".join([wire.framed(2, encode({} if item is None else item)) for item in value])
    return wire.framed(1, encode(value))


def _schema_or_texts(value: Any) -> bytes:
    if isinstance(value, list):
        return _repeated(_text(2), b"\x12\x00")(value)
    return wire.framed(1, message_encoder(_SCHEMA)(value))


_SCHEMA_CHOICES: dict[str, Encoder] = {
    "JSONSchemaPropsOrBool": _schema_or_bool,
    "JSONSchemaPropsOrArray": _schema_or_list,
    "JSONSchemaPropsOrStringArray": _schema_or_texts,
}


def encode_message(message: str, obj: Any) -> bytes:
    """The bytes of a message, without an envelope; what the message has no field for is left out.

    Raises:
        ProtobufError: a value has not the type of its field.
    """
    try:
        return message_encoder(message)(obj)
    except UnicodeEncodeError as error:
        raise ProtobufError("cannot encode a string that is no Unicode", 0) from error
