"""Stored bytes become the same messages as the objects in them, whatever was seen before."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from k8sactors.api import codec, protobuf
from k8sactors.api.errors import ProtobufError

FACTS = Path(__file__).parents[3] / ".." / "shared" / "facts"
SERIALIZED = sorted((FACTS / "serialized").glob("*.json"))

POD: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Pod",
    "unknown": {"a": [1, {"b": None}]},
    "metadata": {
        "name": "a",
        "labels": {"b": "1", "a": "2"},
        "creationTimestamp": "2026-12-01T00:00:00Z",
        "ownerReferences": [{"kind": "ReplicaSet", "name": "r", "uid": "u", "controller": True}],
        "managedFields": [{"manager": "m", "fieldsV1": {"f:spec": {"f:nodeName": {}}}}],
    },
    "spec": {
        "nodeName": None,
        "hostNetwork": True,
        "terminationGracePeriodSeconds": 30,
        "containers": [
            {
                "name": "c",
                "command": ["a", "b" * 300],
                "ports": [{"containerPort": 80}, None],
                "resources": {"requests": {"cpu": "1", "memory": 5}},
                "livenessProbe": {"httpGet": {"port": "http"}, "periodSeconds": 5},
                "securityContext": None,
            },
            {"name": "d", "env": [{"name": "\u4e2d", "value": "x"}]},
        ],
        "volumes": [{"name": "v", "configMap": {"name": "m", "defaultMode": 420}}],
    },
    "status": {},
}


def changed(obj: dict[str, Any], path: list[Any], value: Any) -> dict[str, Any]:
    found = copy.deepcopy(obj)
    inner: Any = found
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return found


VARIANTS = [
    POD,
    changed(POD, ["metadata", "name"], "b" * 200),
    changed(POD, ["spec", "nodeName"], "n"),
    changed(POD, ["spec", "containers", 0, "ports", 0], {"containerPort": 81, "name": "p"}),
    changed(POD, ["spec", "containers", 1, "env"], []),
    changed(POD, ["metadata", "labels"], {}),
    changed(POD, ["spec"], None),
    {"metadata": {}},
]


@pytest.mark.parametrize("limit_bytes", [1 << 20, 300, 0])
@pytest.mark.parametrize("revision", [0, 7])
def test_objects_that_share_parts_are_encoded_as_if_alone(revision: int, limit_bytes: int) -> None:
    encoder = protobuf.StoredEncoder(limit_bytes)
    for obj in (*VARIANTS, *reversed(VARIANTS)):
        data = codec.encode(obj)
        expected = protobuf.encode_body("v1", "Pod", codec.decode(data, revision))
        assert encoder.encode("core.v1.Pod", data, revision) == expected


def test_an_object_without_metadata_gets_its_resource_version() -> None:
    data = codec.encode({"spec": {}})
    expected = protobuf.encode_body("v1", "Pod", {"metadata": {"resourceVersion": "7"}, "spec": {}})
    assert protobuf.StoredEncoder().encode("core.v1.Pod", data, 7) == expected


@pytest.mark.parametrize(
    "path",
    [["spec"], ["spec", "containers"], ["spec", "containers", 0], ["metadata", "labels"]],
)
def test_a_value_of_another_type_is_refused_and_does_no_harm(path: list[Any]) -> None:
    encoder = protobuf.StoredEncoder()
    with pytest.raises(ProtobufError, match="cannot encode"):
        encoder.encode("core.v1.Pod", codec.encode(changed(POD, path, 5)), 1)
    expected = protobuf.encode_body("v1", "Pod", POD)
    assert encoder.encode("core.v1.Pod", codec.encode(POD), 0) == expected


@pytest.mark.skipif(not SERIALIZED, reason=f"{FACTS} is not there")
def test_every_kind_is_encoded_as_the_real_server_does() -> None:
    encoder = protobuf.StoredEncoder()
    for path in SERIALIZED:
        obj = json.loads(path.read_text())
        message = protobuf.message_of(obj.get("apiVersion", ""), obj.get("kind", ""))
        if message is None or "metadata" not in obj:
            continue
        expected = protobuf.encode_body(obj["apiVersion"], obj["kind"], obj)
        data = codec.encode_value(obj)
        for _ in range(2):
            assert encoder.encode(message, data, 0) == expected, path.name
