"""Bytes that are no message give one kind of error, and say where; cheaply, whatever they are."""

from __future__ import annotations

import tracemalloc
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from k8sactors.api import protobuf
from k8sactors.api.errors import ProtobufError
from k8sactors.api.protobuf import wire
from k8sactors.api.protobuf.decoding import decode_message

POD: dict[str, Any] = {
    "kind": "Pod",
    "apiVersion": "v1",
    "metadata": {
        "name": "web",
        "creationTimestamp": "2026-01-01T00:00:00Z",
        "labels": {"a": "b"},
        "managedFields": [{"fieldsType": "FieldsV1", "fieldsV1": {"f:spec": {}}}],
    },
    "spec": {
        "volumes": [{"name": "v", "emptyDir": {"sizeLimit": "1Gi"}}],
        "containers": [
            {
                "name": "c",
                "resources": {"limits": {"cpu": "1"}},
                "livenessProbe": {"httpGet": {"port": "http"}, "periodSeconds": 300},
            }
        ],
    },
    "status": {
        "conditions": [
            {"type": "Ready", "status": "True", "lastProbeTime": None, "lastTransitionTime": None}
        ]
    },
}
POD_BYTES = protobuf.encode(POD)
CRD_BYTES = protobuf.encode(
    {
        "kind": "CustomResourceDefinition",
        "apiVersion": "apiextensions.k8s.io/v1",
        "metadata": {"name": "a"},
        "spec": {
            "versions": [
                {
                    "name": "v1",
                    "schema": {
                        "openAPIV3Schema": {
                            "default": {"a": 1},
                            "maximum": 1.5,
                            "items": [{}],
                            "additionalProperties": False,
                            "dependencies": {"a": ["b"]},
                        }
                    },
                }
            ]
        },
    }
)


def decode(data: bytes) -> None:
    """Decode; the only error is the typed one, and its place lies within the bytes."""
    position = 0
    try:
        protobuf.decode(data)
    except ProtobufError as error:
        position = error.position
    assert 0 <= position <= len(data)


def envelope(body: bytes, kind: bytes = b"Pod", version: bytes = b"v1") -> bytes:
    about = wire.framed(1, version) + wire.framed(2, kind)
    return b"k8s\x00" + wire.framed(1, about) + wire.framed(2, body)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes(data: bytes) -> None:
    decode(data)
    decode(b"k8s\x00" + data)
    decode(envelope(data))
    decode(envelope(data, b"CustomResourceDefinition", b"apiextensions.k8s.io/v1"))


@settings(max_examples=500, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.sampled_from([POD_BYTES, CRD_BYTES]),
    st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 255)), max_size=4),
    st.integers(0, 2000),
)
def test_changed_and_cut_bytes(data: bytes, changes: list[tuple[int, int]], size: int) -> None:
    changed = bytearray(data)
    for place, byte in changes:
        changed[place % len(changed)] = byte
    decode(bytes(changed))
    decode(bytes(changed[: size % len(changed)]))


def test_every_cut_is_told() -> None:
    complete = 0
    for size in range(len(POD_BYTES)):
        try:
            found = protobuf.decode(POD_BYTES[:size])
        except ProtobufError:
            continue
        # Only what ends between two fields of the envelope is whole.
        assert found == POD or "metadata" not in found
        complete += 1
    assert complete <= 5


META = "meta.v1.ObjectMeta"


@pytest.mark.parametrize(
    ("data", "text", "position"),
    [
        (b"\x0a\x05abc", "unexpected EOF", 5),
        (b"\x0a", "unexpected EOF", 1),
        (b"\x38", "unexpected EOF", 1),
        (b"\x38\xff", "unexpected EOF", 2),
        (b"\x38" + b"\xff" * 10, "proto: integer overflow", 1),
        (b"\x08\x01", "proto: wrong wireType = 0 for field Name", 0),
        (b"\x3a\x00", "proto: wrong wireType = 2 for field Generation", 0),
        (b"\x00\x00", "proto: illegal tag 0 (wire type 0)", 0),
        (b"\x7c", "proto: wiretype end group for non-group", 0),
        (b"\x7e", "proto: illegal wireType 6", 0),
        (b"\x7b\x08\x01", "unexpected EOF", 3),
        (b"\x7b" * 200, "proto: nested more than 100 levels deep", 100),
        (b"\x79\x00", "unexpected EOF", 2),
        (b"\x0a\x03a\xffb", "proto: string field contains invalid UTF-8", 3),
        (b"\x42\x02\x08\x80", "unexpected EOF", 4),
        (b"\x42\x0b\x08" + b"\xff" * 8 + b"\x7f\x10", "unexpected EOF", 13),
        (b"\x42\x0a\x08" + b"\xff" * 8 + b"\x7f", "proto: time out of range", 2),
        (b"\x5a\x03\x0a\x01\xff", "proto: string field contains invalid UTF-8", 4),
    ],
)
def test_error_says_what_and_where(data: bytes, text: str, position: int) -> None:
    with pytest.raises(ProtobufError) as caught:
        decode_message(META, data, 0, len(data))
    assert (str(caught.value), caught.value.position) == (text, position)


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"{", "Expecting"),
        (b"NaN", "invalid value NaN"),
        (b'"\xff"', "utf-8"),
        (b"[" * 5000, "100 levels"),
        (b"9" * 5000, "out of range"),
    ],
)
def test_raw_fields_hold_json(raw: bytes, text: str) -> None:
    data = wire.framed(2, wire.framed(1, raw))
    with pytest.raises(ProtobufError, match=text):
        decode_message("apps.v1.ControllerRevision", data, 0, len(data))


def test_numbers_that_json_cannot_hold_are_refused() -> None:
    data = b"\x49" + b"\x00\x00\x00\x00\x00\x00\xf8\x7f"
    with pytest.raises(ProtobufError, match="not a finite number"):
        decode_message("apiextensions.v1.JSONSchemaProps", data, 0, len(data))


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", "empty data"),
        (b"{}", "expected prefix \\[107 56 115 0\\]"),
        (envelope(b"", b"Widget"), 'no kind "Widget" is registered for version "v1"'),
        (envelope(b"", b""), "Object 'Kind' is missing"),
    ],
)
def test_other_envelopes_are_refused(data: bytes, text: str) -> None:
    with pytest.raises(ProtobufError, match=text):
        protobuf.decode(data)


def nested(depth: int) -> bytes:
    data = b""
    for _ in range(depth):
        data = wire.framed(28, data)
    return data


def test_messages_that_contain_themselves_have_a_limit() -> None:
    message = "apiextensions.v1.JSONSchemaProps"
    data = nested(wire.MAX_DEPTH)
    assert decode_message(message, data, 0, len(data))
    for depth in (wire.MAX_DEPTH + 2, 3000):
        data = nested(depth)
        with pytest.raises(ProtobufError, match="100 levels deep"):
            decode_message(message, data, 0, len(data))


def test_stated_lengths_reserve_no_memory() -> None:
    data = envelope(b"\x0a" + b"\xff" * 4 + b"\x07" + b"a")
    tracemalloc.start()
    try:
        for _ in range(100):
            decode(data)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()
