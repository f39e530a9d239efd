"""What stands around a message: the magic number, the type, and the frames of a watch.

An object is `k8s`, a zero byte, and a `runtime.Unknown`: apiVersion and kind, the bytes of its
message, and two empty fields (contentEncoding, contentType). A watch is a sequence of frames, each
a length in four bytes (big-endian) and a `meta.v1.WatchEvent` whose object is such an envelope.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from k8sactors.api.errors import ProtobufError, UnknownKindError
from k8sactors.api.protobuf import values, wire
from k8sactors.api.protobuf.decoding import decode_message
from k8sactors.api.protobuf.encoding import encode_message
from k8sactors.api.protobuf.table import message_of

Object = dict[str, Any]

MAGIC: Final = b"k8s\x00"
FRAME_HEADER_BYTES: Final = 4

_NO_CONTENT_TYPE: Final = b"\x1a\x00\x22\x00"
_LIST_METADATA: Final = "meta.v1.ListMeta"
_JSON: Final = "application/json"


def has_form(api_version: str, kind: str) -> bool:
    """Whether objects of a built-in kind have a protobuf form; tables and custom ones have none."""
    return message_of(api_version, kind) is not None


def encode(obj: Object) -> bytes:
    """The bytes of an object that says its apiVersion and kind.

    Raises:
        UnknownKindError: its kind has no protobuf form.
        ProtobufError: a value has not the type of its field.
    """
    api_version, kind = obj.get("apiVersion") or "", obj.get("kind") or ""
    return enclose(api_version, kind, encode_body(api_version, kind, obj))


def encode_body(api_version: str, kind: str, obj: Object) -> bytes:
    """The bytes of an object's message, without what stands around it.

    Raises:
        UnknownKindError: the kind has no protobuf form.
        ProtobufError: a value has not the type of its field.
    """
    message = message_of(api_version, kind)
    if message is None:
        raise UnknownKindError(api_version, kind)
    return encode_message(message, obj)


def enclose(api_version: str, kind: str, body: bytes) -> bytes:
    """The bytes of the object whose message is `body`."""
    about = wire.framed(1, api_version.encode()) + wire.framed(2, kind.encode())
    return b"".join((MAGIC, wire.framed(1, about), wire.framed(2, body), _NO_CONTENT_TYPE))


def enclose_list(
    api_version: str, list_kind: str, metadata: Object, bodies: Sequence[bytes]
) -> list[bytes]:
    """A list of the objects whose messages are `bodies`: what its bytes are when it is joined.

    The bodies themselves stand in it, so that many lists of the same objects share them.
    """
    parts = [wire.framed(1, encode_message(_LIST_METADATA, metadata))]
    tag = wire.varint(2 << 3 | wire.LENGTH)
    for body in bodies:
        parts.append(tag + wire.varint(len(body)))
        parts.append(body)
    about = wire.framed(1, api_version.encode()) + wire.framed(2, list_kind.encode())
    length = wire.varint(sum(map(len, parts)))
    return [MAGIC, wire.framed(1, about), tag, length, *parts, _NO_CONTENT_TYPE]


def encode_frame(event: str, obj: Object) -> bytes:
    """A frame of a watch: the type of the event, and the object.

    Raises:
        UnknownKindError: the object's kind has no protobuf form.
        ProtobufError: a value has not the type of its field.
    """
    return enclose_event(event, encode(obj))


def enclose_event(event: str, enclosed: bytes) -> bytes:
    """A frame of a watch about an object that is encoded already."""
    body = wire.framed(1, event.encode()) + wire.framed(2, wire.framed(1, enclosed))
    return len(body).to_bytes(FRAME_HEADER_BYTES, "big") + body


def decode(data: bytes, api_version: str = "", kind: str = "") -> Object:
    """The object in `data`; `api_version` and `kind` are what it is when it does not say.

    Raises:
        ProtobufError: the bytes are malformed, or no kind with a protobuf form.
    """
    if not data:
        raise ProtobufError("empty data", 0)
    if not data.startswith(MAGIC):
        text = "provided data does not appear to be a protobuf message, expected prefix "
        raise ProtobufError(f"{text}[107 56 115 0]", 0)
    return _decode(data, len(MAGIC), len(data), api_version, kind)


def _decode(data: bytes, pos: int, end: int, api_version: str, kind: str) -> Object:
    start = pos
    span = (end, end)
    content_type = ""
    while pos < end:
        begin = pos
        tag, pos = wire.read_varint(data, pos, end)
        if tag & 7 != wire.LENGTH or tag >> 3 not in {1, 2, 4}:
            pos = wire.skip(tag, data, begin, pos, end)
            continue
        begin, pos = wire.read_length(data, pos, end)
        match tag >> 3:
            case 1:
                about = decode_message("meta.v1.TypeMeta", data, begin, pos)
                # There the kind comes first, here the apiVersion.
                api_version = about.get("kind") or api_version
                kind = about.get("apiVersion") or kind
            case 2:
                span = (begin, pos)
            case _:
                content_type = values.text_of(data[begin:pos], begin)
    if content_type == _JSON:
        found = values.json_value(data[span[0] : span[1]], span[0])
        if not isinstance(found, dict):
            raise ProtobufError("the raw field is no JSON object", span[0])
        return found
    if not kind:
        raise ProtobufError("Object 'Kind' is missing", start)
    try:
        found = _decode_body(data, span, api_version, kind)
    except ProtobufError as error:
        error.api_version, error.kind = api_version, kind
        raise
    return {"kind": kind, "apiVersion": api_version, **found}


def _decode_body(data: bytes, span: tuple[int, int], api_version: str, kind: str) -> Object:
    message = message_of(api_version, kind)
    if message is None:
        text = f'no kind "{kind}" is registered for version "{api_version}"'
        raise ProtobufError(text, span[0])
    return decode_message(message, data, *span)
