"""Errors of patches are in the API's words: never a Python type, never a 500 by mistake."""

from __future__ import annotations

from typing import Any

import pytest

REJECTED = "the server rejected our request due to an error in our request"


def patch(world: Any, make: Any, kind: str, body: Any, **options: Any) -> Any:
    world.do("create", "deployments.apps", "default", body=make.deployment("web"))
    return world.do(
        "patch", "deployments.apps", "default", "web", body=body, patchType=kind, **options
    )


def containers(value: Any) -> dict[str, Any]:
    return {"spec": {"template": {"spec": {"containers": value}}}}


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "replace", "path": "/spec/nope/x", "value": 1},
        {"op": "test", "path": "/spec/replicas", "value": 7},
        {"op": "jump", "path": "/spec"},
        {"op": "add", "path": "/metadata/name/x", "value": 1},
        {"op": "add"},
        {"path": "/spec"},
        {"op": "remove", "path": "/spec/template/spec/containers/9"},
        {"op": "remove", "path": "/spec/template/spec/containers/x"},
        {"op": "replace", "path": "", "value": "text"},
    ],
)
def test_a_json_patch_that_cannot_be_applied_is_rejected(
    world: Any, make: Any, operation: Any
) -> None:
    refused = patch(world, make, "json", [operation])
    assert (refused.code, refused.status["reason"]) == (422, "Invalid")
    assert refused.status["message"] == REJECTED


@pytest.mark.parametrize(
    ("kind", "body", "message"),
    [
        (
            "json",
            {"op": "add"},
            (
                "error decoding patch: json: cannot unmarshal object into Go value of type "
                "[]handlers.jsonPatchOp"
            ),
        ),
        (
            "json",
            ["add"],
            (
                "error decoding patch: json: cannot unmarshal string into Go value of type "
                "handlers.jsonPatchOp"
            ),
        ),
        (
            "json",
            [{"op": "add", "path": 3}],
            (
                "error decoding patch: json: cannot unmarshal number into Go struct field "
                "jsonPatchOp.path of type string"
            ),
        ),
        (
            "merge",
            [1],
            (
                "error decoding patch: json: cannot unmarshal array into Go value of type "
                "map[string]interface {}"
            ),
        ),
        (
            "strategic",
            True,
            "json: cannot unmarshal bool into Go value of type map[string]interface {}",
        ),
        ("strategic", {"spec": {"$retainKeys": 5}}, "invalid patch format of retainKeys"),
        (
            "strategic",
            {"metadata": {"$deleteFromPrimitiveList/finalizers": 5}},
            "invalid patch format of primitive list",
        ),
        (
            "strategic",
            {"spec": {"$setElementOrder/x": 5}},
            "invalid patch format of setElementOrder list",
        ),
    ],
)
def test_what_is_no_patch_is_a_bad_request(
    world: Any, make: Any, kind: str, body: Any, message: str
) -> None:
    refused = patch(world, make, kind, body)
    assert (refused.code, refused.status["reason"]) == (400, "BadRequest")
    assert refused.status["message"] == message


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (
            containers([{"image": "x"}]),
            "map: map[image:x] does not contain declared merge key: name",
        ),
        ({"spec": {"$patch": "jump"}}, "unknown patch type: jump in map: map[$patch:jump]"),
    ],
)
def test_what_the_real_server_has_no_code_for_is_a_500_with_its_text(
    world: Any, make: Any, body: Any, message: str
) -> None:
    refused = patch(world, make, "strategic", body)
    assert (refused.code, refused.status["message"]) == (500, message)


@pytest.mark.parametrize(
    ("body", "shown", "detail"),
    [
        (
            {"spec": {"replicas": "three"}},
            "map[spec:map[replicas:three]]",
            "cannot convert string to int32",
        ),
        ({"spec": 7}, "map[spec:7]", "cannot restore struct from: int64"),
        (
            containers(5),
            "map[spec:map[template:map[spec:map[containers:5]]]]",
            "cannot restore slice from int64",
        ),
        (
            {"spec": {"paused": [None, True]}},
            "map[spec:map[paused:[<nil> true]]]",
            "cannot convert []interface {} to bool",
        ),
        (
            {"spec": {"colour": "red"}},
            "map[spec:map[colour:red]]",
            'strict decoding error: unknown field "spec.colour"',
        ),
    ],
)
def test_a_strategic_patch_with_wrong_types_shows_the_patch(
    world: Any, make: Any, body: Any, shown: str, detail: str
) -> None:
    refused = patch(world, make, "strategic", body)
    assert refused.code == 422
    text = f'Invalid value: "{shown}": {detail}'
    assert refused.status["message"] == f' "" is invalid: patch: {text}'
    cause = {"reason": "FieldValueInvalid", "message": text, "field": "patch"}
    assert refused.status["details"]["causes"] == [cause]


@pytest.mark.parametrize("kind", ["merge", "json"])
def test_another_patch_with_wrong_types_shows_the_object(world: Any, make: Any, kind: str) -> None:
    merge = {"spec": {"replicas": "three"}}
    operations = [{"op": "replace", "path": "/spec/replicas", "value": "three"}]
    refused = patch(world, make, kind, merge if kind == "merge" else operations)
    assert refused.code == 422
    message = refused.status["message"]
    assert message.startswith(
        ' "" is invalid: patch: Invalid value: "{\\"apiVersion\\":\\"apps/v1\\",'
    )
    assert '\\"replicas\\":\\"three\\"' in message
    assert message.endswith(
        "json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type "
        "int32"
    )


def test_a_patch_of_too_many_operations_is_too_large(world: Any, make: Any) -> None:
    operation = {"op": "test", "path": "/spec/replicas", "value": 1}
    refused = patch(world, make, "json", [operation] * 10_001)
    assert refused.code == 413
    assert refused.status["message"].endswith("in a JSON patch is 10000, got 10001")
