"""What stands in a message, and what does not: small cases, written by hand."""

from __future__ import annotations

from typing import Any

import pytest

from k8sactors.api import protobuf
from k8sactors.api.errors import ProtobufError, UnknownKindError
from k8sactors.api.protobuf.decoding import decode_message
from k8sactors.api.protobuf.encoding import encode_message

CONFIG_MAP = {
    "kind": "ConfigMap",
    "apiVersion": "v1",
    "metadata": {"name": "a"},
    "data": {"y": "2", "x": "1"},
}
CONFIG_MAP_BYTES = (
    b"k8s\x00\x0a\x0f\x0a\x02v1\x12\x09ConfigMap\x12\x23"
    # Metadata: the plain fields also when they are empty, and a zero time.
    b"\x0a\x11\x0a\x01a\x12\x00\x1a\x00\x22\x00\x2a\x00\x32\x00\x38\x00\x42\x00"
    # Entries of maps in the order of their keys.
    b"\x12\x06\x0a\x01x\x12\x011\x12\x06\x0a\x01y\x12\x012"
    b"\x1a\x00\x22\x00"
)


def both(message: str, obj: Any, data: bytes) -> None:
    assert encode_message(message, obj) == data
    assert decode_message(message, data, 0, len(data)) == obj


def test_envelope_of_a_config_map() -> None:
    data = protobuf.encode(CONFIG_MAP)
    assert data == CONFIG_MAP_BYTES
    assert protobuf.decode(data) == CONFIG_MAP


def test_plain_fields_are_written_when_empty_and_pointers_only_when_set() -> None:
    # A name that is plain, a flag that is plain, a number that is a pointer.
    both("core.v1.SecurityContext", {"privileged": False, "runAsUser": 0}, b"\x10\x00\x20\x00")
    assert encode_message("core.v1.Toleration", {}) == b"\x0a\x00\x12\x00\x1a\x00\x22\x00"
    data = b"\x0a\x00\x12\x00\x1a\x00\x22\x00\x28\x00"
    assert decode_message("core.v1.Toleration", data, 0, len(data)) == {"tolerationSeconds": 0}


def test_what_json_always_holds_stands_there_when_it_is_empty() -> None:
    assert decode_message("core.v1.EnvVar", b"\x0a\x00\x12\x00", 0, 4) == {"name": ""}


def test_inlined_structs_are_messages_of_their_own() -> None:
    both(
        "core.v1.Volume",
        {"name": "v", "emptyDir": {"medium": "Memory"}},
        b"\x0a\x01v\x12\x0a\x12\x08\x0a\x06Memory",
    )


@pytest.mark.parametrize(
    ("port", "data"),
    [
        (80, b"\x08\x00\x10\x50\x1a\x00"),
        ("http", b"\x08\x01\x10\x00\x1a\x04http"),
        (-1, b"\x08\x00\x10" + b"\xff" * 9 + b"\x01\x1a\x00"),
    ],
)
def test_number_or_string(port: int | str, data: bytes) -> None:
    size = bytes((len(data),))
    both(
        "core.v1.TCPSocketAction",
        {"port": port},
        b"\x0a" + size + data + b"\x12\x00",
    )


@pytest.mark.parametrize(
    ("time", "data"),
    [
        ("1970-01-01T00:00:00Z", b"\x08\x00\x10\x00"),
        ("2008-01-01T01:01:01Z", b"\x08\xcd\xa1\xe6\xbb\x04\x10\x00"),
        ("1969-12-31T23:59:59Z", b"\x08" + b"\xff" * 9 + b"\x01\x10\x00"),
        (None, b""),
    ],
)
def test_times_are_seconds_and_nanoseconds(time: str | None, data: bytes) -> None:
    stated = b"\x0a\x00\x12\x00\x1a" + bytes((len(data),)) + data + b"\x22\x00\x2a\x00"
    condition = "apiregistration.v1.APIServiceCondition"
    assert encode_message(condition, {"lastTransitionTime": time}) == stated
    found = decode_message(condition, stated, 0, len(stated))
    assert found == {"type": "", "status": "", "lastTransitionTime": time}


def test_fractions_and_zones_of_times() -> None:
    times = {"acquireTime": "1970-01-01T02:00:00.123456789+02:00"}
    data = encode_message("coordination.v1.LeaseSpec", times)
    assert data == b"\x1a\x07\x08\x00\x10\x80\x94\xef\x3a"
    found = decode_message("coordination.v1.LeaseSpec", data, 0, len(data))
    assert found == {"acquireTime": "1970-01-01T00:00:00.123456Z"}
    # The times of metadata have whole seconds.
    short = encode_message("meta.v1.ObjectMeta", {"deletionTimestamp": "1970-01-01T00:00:05.9Z"})
    assert b"\x4a\x04\x08\x05\x10\x00" in short


def test_quantities_are_texts_and_zero_is_one_too() -> None:
    both(
        "core.v1.ResourceRequirements",
        {"limits": {"cpu": "250m"}},
        b"\x0a\x0d\x0a\x03cpu\x12\x06\x0a\x04250m",
    )
    assert encode_message("resource.v1.Counter", {}) == b"\x0a\x03\x0a\x010"


def test_raw_json_keeps_its_order_and_its_null() -> None:
    both(
        "apps.v1.ControllerRevision",
        {"metadata": {}, "data": {"b": 1, "a": None}, "revision": 3},
        b"\x0a\x10\x0a\x00\x12\x00\x1a\x00\x22\x00\x2a\x00\x32\x00\x38\x00\x42\x00"
        b'\x12\x12\x0a\x10{"b":1,"a":null}\x18\x03',
    )
    assert encode_message("apps.v1.ControllerRevision", {"data": None})[-4:] == b"\x12\x00\x18\x00"


SCHEMA = "apiextensions.v1.JSONSchemaProps"


@pytest.mark.parametrize(
    "schema",
    [
        {"additionalProperties": True},
        {"additionalProperties": False},
        {"additionalProperties": {"type": "string"}},
        {"items": {"type": "string"}},
        {"items": [{"type": "string"}, {}]},
        {"dependencies": {"a": ["b", "c"], "d": {"type": "object"}}},
        {"default": {"a": [1, None]}, "enum": [1, "a", None]},
        {"maximum": 1.5, "minimum": 0, "multipleOf": -2},
        {"$ref": "#/a", "$schema": "b", "x-kubernetes-int-or-string": True},
        {"x-kubernetes-preserve-unknown-fields": False},
        {"properties": {"a": {"properties": {"b": {"not": {"type": "null"}}}}}},
    ],
)
def test_schemas_of_custom_resources_come_back(schema: dict[str, Any]) -> None:
    data = encode_message(SCHEMA, schema)
    assert decode_message(SCHEMA, data, 0, len(data)) == schema


def test_unknown_fields_are_skipped() -> None:
    known = b"\x0a\x01k"
    unknown = (
        b"\xa0\x06\x01",  # 100, a number
        b"\xa2\x06\x02ab",  # 100, bytes
        b"\xa1\x06" + bytes(8),  # 100, eight bytes
        b"\xa5\x06" + bytes(4),  # 100, four bytes
        b"\xa3\x06\x08\x01\x12\x00\xa4\x06",  # 100, a group
    )
    for data in (known + b"".join(unknown), b"".join(unknown) + known):
        assert decode_message("core.v1.KeyToPath", data, 0, len(data)) == {"key": "k"}


def test_numbers_may_be_packed_and_messages_may_come_in_parts() -> None:
    data = b"\x22\x03\x01\xac\x02\x20\x05"
    found = decode_message("core.v1.PodSecurityContext", data, 0, len(data))
    assert found == {"supplementalGroups": [1, 300, 5]}
    meta = b"\x0a\x03\x0a\x01a\x0a\x03\x1a\x01b"
    found = decode_message("core.v1.Pod", meta, 0, len(meta))
    assert found == {"metadata": {"name": "a", "namespace": "b"}}


def test_secret_data_is_bytes() -> None:
    secret = {"kind": "Secret", "apiVersion": "v1", "metadata": {}, "data": {"k": "/w==", "e": ""}}
    data = protobuf.encode(secret)
    assert b"\x0a\x01k\x12\x01\xff" in data
    assert protobuf.decode(data) == secret


def test_kind_of_the_request_counts_where_the_bytes_say_none() -> None:
    data = b"k8s\x00\x12\x00"
    options = protobuf.decode(data, "v1", "DeleteOptions")
    assert options == {"kind": "DeleteOptions", "apiVersion": "v1"}
    with pytest.raises(ProtobufError, match="Object 'Kind' is missing"):
        protobuf.decode(data)


def test_frame_of_a_watch() -> None:
    frame = protobuf.encode_frame("ADDED", CONFIG_MAP)
    inner = protobuf.encode(CONFIG_MAP)
    assert int.from_bytes(frame[: protobuf.FRAME_HEADER_BYTES], "big") == len(frame) - 4
    size = len(inner)
    assert frame[4:] == b"\x0a\x05ADDED\x12" + bytes((size + 2, 0x0A, size)) + inner


def test_kinds_without_a_form_are_refused() -> None:
    with pytest.raises(UnknownKindError):
        protobuf.encode({"kind": "Widget", "apiVersion": "example.com/v1"})


@pytest.mark.parametrize(
    "obj",
    [
        {"metadata": []},
        {"metadata": {"name": 1}},
        {"metadata": {"labels": {"a": True}}},
        {"metadata": {"labels": {1: "a"}}},
        {"metadata": {"generation": "a"}},
        {"metadata": {"generation": True}},
        {"metadata": {"generation": 1.5}},
        {"metadata": {"finalizers": "a"}},
        {"metadata": {"deletionTimestamp": "yesterday"}},
        {"metadata": {"deletionTimestamp": ["a"]}},
        {"metadata": {"name": "\ud800"}},
        {"binaryData": {"a": "not base64"}},
        {"immutable": "yes"},
    ],
)
def test_values_that_no_message_holds_are_refused(obj: dict[str, Any]) -> None:
    with pytest.raises(ProtobufError, match="cannot encode"):
        protobuf.encode({"kind": "ConfigMap", "apiVersion": "v1", **obj})
