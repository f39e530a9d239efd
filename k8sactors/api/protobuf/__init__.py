"""Kubernetes' protobuf: the bytes of `application/vnd.kubernetes.protobuf`, from objects and back.

`table` reads which message has which fields, `encoding` and `decoding` compile one function per
message from it, `stored` encodes stored bytes by what it has seen before, `values` holds the types
whose JSON is no object (times, quantities, ...), and `envelope` puts an object's bytes between the
magic number and the type, and watch events in frames. There are no generated classes: an object is
the same plain dict as everywhere.

Sources: Kubernetes API concepts ("Protobuf encoding"), the `generated.proto` files of the API, the
protobuf encoding guide. Fields are written as the real server writes them: in the order of their
numbers, plain fields even when they are empty, pointers only when they are set, map entries sorted.
"""

from __future__ import annotations

from k8sactors.api.protobuf.envelope import (
    FRAME_HEADER_BYTES,
    decode,
    enclose,
    enclose_event,
    enclose_list,
    encode,
    encode_body,
    encode_frame,
    has_form,
)
from k8sactors.api.protobuf.stored import StoredEncoder
from k8sactors.api.protobuf.table import message_of

__all__ = [
    "FRAME_HEADER_BYTES",
    "StoredEncoder",
    "decode",
    "enclose",
    "enclose_event",
    "enclose_list",
    "encode",
    "encode_body",
    "encode_frame",
    "has_form",
    "message_of",
]
