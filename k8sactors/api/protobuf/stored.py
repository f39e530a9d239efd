"""From stored bytes to messages, without the objects between: what was seen before is looked up.

Objects that were made from one template differ in a few values. A stored object is msgpack; its
parts are cut out as bytes, level by level, and a part whose bytes were seen before in the same
field has its encoding already. Only what is new is taken apart further, and in the end decoded.

What is remembered is held in two generations: when the young one has reached its limit it becomes
the old one, and what is found in the old one moves to the young one; the rest is forgotten.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

import msgpack

from k8sactors.api import codec
from k8sactors.api.errors import ProtobufError
from k8sactors.api.protobuf import wire
from k8sactors.api.protobuf.encoding import (
    empty_field,
    encode_message,
    field_encoder,
)
from k8sactors.api.protobuf.table import INLINE, Field, fields_of, is_list_of_texts
from k8sactors.api.protobuf.values import Encode

# Young and old generation together hold at most twice as much.
GENERATION_MAX_BYTES: Final = 16 << 20
# What is longer is seldom seen again as a whole.
REMEMBERED_MAX_BYTES: Final = 8 << 10

_SMALL: Final = 128
_NIL: Final = 0xC0
_SCALARS: Final = frozenset({"string", "bool", "int32", "int64", "double", "Time", "Quantity"})
_METADATA: Final = "metadata"
_RESOURCE_VERSION: Final = "resourceVersion"
# What is raised when the bytes are not of the type that a field has.
_MISMATCHES: Final = (ValueError, TypeError, msgpack.UnpackException, ProtobufError)

# From the bytes of a value, and how deep it stands, to those of its field with tag and length.
_EncodePart = Callable[[bytes, int], bytes]


class StoredEncoder:
    """Encodes stored objects."""

    def __init__(self, generation_max_bytes: int = GENERATION_MAX_BYTES) -> None:
        self._generation_max_bytes = generation_max_bytes
        self._size_bytes = 0
        self._parts: list[_Part] = []
        self._messages: dict[str, _Message | None] = {}
        # One reader per level: an outer value is being read while an inner one is.
        self._readers: list[Any] = []

    def encode(self, message: str, data: bytes, revision: int) -> bytes:
        """The bytes of a stored object's message, the same as `encode_message` has.

        Raises:
            ProtobufError: a value has not the type of its field.
        """
        found = self.message(message)
        if found is not None:
            try:
                return found.encode_object(data, revision)
            except _MISMATCHES:
                # Readers that stopped in the middle are of no use; the ordinary encoder tells
                # what is wrong.
                self._readers.clear()
        return encode_message(message, codec.decode(data, revision))

    def reader(self, depth: int) -> Any:
        """The reader of values that stand so deep."""
        if depth == len(self._readers):
            self._readers.append(msgpack.Unpacker())
        return self._readers[depth]

    def message(self, name: str) -> _Message | None:
        """How to encode a message part by part; None: the fields of another stand in it."""
        if name not in self._messages:
            fields = fields_of(name)
            if any(field.name == INLINE for field in fields):
                self._messages[name] = None
            else:
                # Known before it is complete: a message may contain itself.
                found = self._messages[name] = _Message(self)
                found.learn(fields)
        return self._messages[name]

    def part(self, field: Field) -> _Part:
        """What encodes the values of a field that is no scalar."""
        return self._part(self._encode_part(field))

    def _part(self, encode: _EncodePart) -> _Part:
        found = _Part(self, encode)
        self._parts.append(found)
        return found

    def _encode_part(self, field: Field) -> _EncodePart:
        kind = field.type
        message = None
        if not field.is_map and "." in kind and not is_list_of_texts(kind):
            message = self.message(kind)
        if message is None:
            return _decoded(field_encoder(field))
        if not field.repeated:
            return _framed(field, message)
        item = Field(field.number, field.name, kind)
        return _repeated(self, self._part(_framed(item, message)), empty_field(item))

    def count(self, size_bytes: int) -> None:
        """Count what a part remembers; at the limit all parts grow older."""
        self._size_bytes += size_bytes
        if self._size_bytes > self._generation_max_bytes:
            self._size_bytes = 0
            for part in self._parts:
                part.age()


class _Part:
    """The encodings of the values of one field."""

    __slots__ = ("_encode", "_encoder", "_old", "_young")

    def __init__(self, encoder: StoredEncoder, encode: _EncodePart) -> None:
        self._encoder = encoder
        self._encode = encode
        self._young: dict[bytes, bytes] = {}
        self._old: dict[bytes, bytes] = {}

    def age(self) -> None:
        self._old, self._young = self._young, {}

    def encode(self, data: bytes, depth: int) -> bytes:
        found = self._young.get(data)
        if found is not None:
            return found
        found = self._old.get(data)
        if found is None:
            found = self._encode(data, depth)
        size = len(data)
        if size <= REMEMBERED_MAX_BYTES:
            self._young[data] = found
            self._encoder.count(size + len(found))
        return found


class _Slot(NamedTuple):
    """A field: either the encoder of its decoded value, or a part."""

    place: int
    encode: Encode | None
    # Tag and length of short texts, where it is a plain text.
    heads: tuple[bytes, ...] | None
    part: _Part | None


class _Message:
    """The fields of a message, by their names in JSON."""

    __slots__ = ("_empty", "_encoder", "_slots")

    def __init__(self, encoder: StoredEncoder) -> None:
        self._encoder = encoder
        self._empty: list[bytes] = []
        self._slots: dict[str, _Slot] = {}

    def learn(self, fields: list[Field]) -> None:
        for place, field in enumerate(fields):
            self._empty.append(empty_field(field))
            if field.type in _SCALARS and not field.repeated and not field.is_map:
                heads = wire.heads(field.number, wire.LENGTH) if field.type == "string" else None
                slot = _Slot(place, field_encoder(field), heads, None)
            else:
                slot = _Slot(place, None, None, self._encoder.part(field))
            self._slots[field.name] = slot

    def encode(self, data: bytes, depth: int) -> bytes:
        return b"".join(self._encoded(data, depth))

    def encode_object(self, data: bytes, revision: int) -> bytes:
        return b"".join(self._encoded(data, 0, revision))

    def encode_metadata(self, data: bytes, revision: int) -> bytes:
        """The metadata of an object, which no other object has, with its resourceVersion."""
        parts = self._encoded(data, 1)
        place, encode, _, _ = self._slots[_RESOURCE_VERSION]
        assert encode is not None
        parts[place] = encode(str(revision))
        return b"".join(parts)

    def _encoded(self, data: bytes, depth: int, revision: int = 0) -> list[bytes]:
        """The encodings of all fields; of an object as a whole with its revision, 0: it has none.

        Raises:
            ValueError: the bytes are no map.
        """
        reader = self._encoder.reader(depth)
        begin = reader.tell()
        reader.feed(data)
        unpack, skip, tell, slot_of = reader.unpack, reader.skip, reader.tell, self._slots.get
        parts = self._empty.copy()
        for _ in range(reader.read_map_header()):
            key = unpack()
            slot = slot_of(key)
            if slot is None:
                skip()
                continue
            place, encode, heads, part = slot
            if encode is not None:
                value = unpack()
                if heads is not None and value.__class__ is str:
                    text = value.encode()
                    size = len(text)
                    parts[place] = heads[size] + text if size < _SMALL else encode(value)
                elif value is not None:
                    parts[place] = encode(value)
                continue
            start = tell() - begin
            skip()
            inner = data[start : tell() - begin]
            if revision and key == _METADATA:
                metadata = self._encoder.message("meta.v1.ObjectMeta")
                assert metadata is not None
                parts[place] = wire.framed(place + 1, metadata.encode_metadata(inner, revision))
                revision = 0
            elif inner[0] != _NIL:
                assert part is not None
                parts[place] = part.encode(inner, depth + 1)
        if revision:
            raise ValueError("an object without metadata")
        return parts


def _decoded(encode: Encode) -> _EncodePart:
    """By decoding the value."""

    def encode_part(data: bytes, _depth: int) -> bytes:
        return encode(codec.decode_value(data))

    return encode_part


def _framed(field: Field, message: _Message) -> _EncodePart:
    """A message with its tag and length."""
    heads = wire.heads(field.number, wire.LENGTH)
    tag = wire.varint(field.number << 3 | wire.LENGTH)
    encode = message.encode

    def encode_part(data: bytes, depth: int) -> bytes:
        found = encode(data, depth)
        size = len(found)
        return heads[size] + found if size < _SMALL else tag + wire.varint(size) + found

    return encode_part


def _repeated(encoder: StoredEncoder, items: _Part, empty: bytes) -> _EncodePart:
    """A list of messages, each with its tag; `empty` stands for an item that is null."""

    def encode_part(data: bytes, depth: int) -> bytes:
        reader = encoder.reader(depth)
        begin = reader.tell()
        reader.feed(data)
        skip, tell = reader.skip, reader.tell
        parts: list[bytes] = []
        count = reader.read_array_header()
        start = tell() - begin
        for _ in range(count):
            skip()
            end = tell() - begin
            parts.append(empty if data[start] == _NIL else items.encode(data[start:end], depth + 1))
            start = end
        return b"".join(parts)

    return encode_part
