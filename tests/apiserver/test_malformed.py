"""Whatever a client sends, the answer is a refusal in the API's words: nothing is unexpected.

In these tests an unexpected error would end the server, so each answer shows that there was none.
"""

from __future__ import annotations

import copy
import random  # noqa: TID251 - a seeded stream makes the requests
from typing import Any

import pytest

from k8sactors.api.user import UserInfo

VALUES: list[Any] = [
    None, 5, -1, 1.5, True, "", "x", [], {}, [1], ["x"], [[1]], [{}], [None],
    {"a": 1}, {"a": {"b": [1]}}, {"$patch": "delete"}, {"$patch": 7},
]  # fmt: skip
EXTRA = ["status", "metadata", "$retainKeys", "$setElementOrder/containers"]
PATHS = ["/spec", "/spec/ports/0", "/metadata/labels/x", "/metadata", "/spec/containers/-", "x", 5]


class Mangler:
    """Makes malformed requests about objects that exist."""

    def __init__(self, seed: int, objects: dict[str, Any]) -> None:
        self.random = random.Random(seed)
        self.objects = objects

    def value(self) -> Any:
        return copy.deepcopy(self.random.choice(VALUES))

    def mangle(self, obj: Any) -> Any:
        """The object with one or two values replaced, anywhere in it."""
        mangled = copy.deepcopy(obj)
        place = mangled
        while True:
            keys = list(place) if isinstance(place, dict) else list(range(len(place)))
            key = self.random.choice(keys)
            inner = place[key]
            if not isinstance(inner, dict | list) or not inner or self.random.random() < 0.4:
                break
            place = inner
        place[key] = self.value()
        if isinstance(place, dict) and self.random.random() < 0.2:
            place[self.random.choice(EXTRA)] = self.value()
        return mangled

    def request(self) -> tuple[list[Any], dict[str, Any]]:
        resource, obj = self.random.choice(list(self.objects.items()))
        name, value = obj["metadata"]["name"], self.value()
        kind = self.random.choice(
            ["create", "update", "patch", "json", "status", "scale", "finalize", "post", "delete"]
        )
        if kind == "create":
            return ["create", resource, "default"], {"body": self.mangle(obj)}
        if kind == "update":
            return ["update", resource, "default", name], {"body": self.mangle(obj)}
        if kind == "patch":
            patch_type = self.random.choice(["merge", "strategic", "apply"])
            body = {"body": self.mangle(obj), "patchType": patch_type}
            if patch_type == "apply":
                body["fieldManager"] = self.random.choice(["one", "two"])
            return ["patch", resource, "default", name], body
        if kind == "json":
            operation = self.random.choice(["add", "replace", "remove", "test", "move", 5])
            body = {"op": operation, "path": self.random.choice(PATHS), "value": value}
            return ["patch", resource, "default", name], {"body": [body], "patchType": "json"}
        if kind == "delete":
            option = self.random.choice(["gracePeriodSeconds", "preconditions", "dryRun", "kind"])
            return ["delete", resource, "default", "none"], {"body": {option: value}}
        if kind == "post":
            subresource = self.random.choice(["binding", "eviction"])
            key = self.random.choice(["target", "metadata", "deleteOptions", "kind"])
            target = ["create", "pods", "default", "none"]
            return target, {"subresource": subresource, "body": {key: value}}
        if kind == "finalize":
            body = self.random.choice([{"spec": value}, {"spec": {"finalizers": value}}])
            target = ["update", "namespaces", None, "kube-public"]
            return target, {"subresource": "finalize", "body": body}
        verb = self.random.choice(["update", "patch"])
        if kind == "scale":
            body = self.random.choice([{"spec": value}, {"spec": {"replicas": value}}, value])
            target = [verb, "deployments.apps", "default", "web"]
            return target, {"subresource": "scale", "body": body}
        body = self.random.choice([self.mangle(obj), {"status": value}])
        return [verb, resource, "default", name], {"subresource": "status", "body": body}


@pytest.mark.parametrize("seed", range(8))
def test_a_malformed_request_is_refused_in_the_words_of_the_api(
    world: Any, make: Any, seed: int
) -> None:
    objects = {
        "pods": make.pod("web"),
        "services": make.service("web", type="NodePort"),
        "deployments.apps": make.deployment("web"),
        "configmaps": make.config_map("web", data={"k": "v"}),
    }
    for resource, obj in objects.items():
        assert world.do("create", resource, "default", body=obj).code == 201
    mangler = Mangler(seed, objects)
    refused = 0
    for _ in range(120):
        target, request = mangler.request()
        answer = world.do(*target, **request)
        if answer.code >= 400:
            refused += 1
            message = answer.status["message"]
            for word in ("NoneType", "'dict'", "'str'", "'int'", "'list'", "Error:"):
                assert word not in message, f"{target} {request}"
    assert refused > 60
    assert world.server.internal_error_count == 0


@pytest.mark.parametrize("seed", range(8))
def test_what_a_client_makes_of_managed_fields_is_no_error_of_the_server(
    world: Any, make: Any, seed: int
) -> None:
    maps, web = "configmaps", "deployments.apps"
    stored = {}
    for resource, obj in (
        (maps, make.config_map("a", data={"k": "v"})),
        (web, make.deployment("a")),
    ):
        created = world.do("create", resource, "default", body=obj, fieldManager="creator")
        stored[resource] = {**created.obj, "status": {"replicas": 1}}
        del stored[resource]["metadata"]["resourceVersion"]
    mangler = Mangler(seed, stored)
    for _ in range(120):
        resource, obj = mangler.random.choice(list(stored.items()))
        metadata = obj["metadata"]
        subresource = mangler.random.choice(
            [None, None, "status", "scale"] if resource == web else [None]
        )
        options: dict[str, Any] = {"fieldManager": mangler.random.choice(["one", "two"])}
        verb = mangler.random.choice(["update", "patch", "apply"])
        if verb == "apply":
            verb = "patch"
            options |= {"patchType": "apply", "force": mangler.random.random() < 0.5}
            applied = {key: value for key, value in metadata.items() if key != "managedFields"}
            body = mangler.mangle({**obj, "metadata": applied})
            if subresource == "scale":
                scale = {"apiVersion": "autoscaling/v1", "kind": "Scale", "spec": {"replicas": 2}}
                body = mangler.mangle({**scale, "metadata": {"name": "a"}})
        else:
            entries = mangler.mangle(metadata["managedFields"])
            body = {**obj, "metadata": {**metadata, "managedFields": entries}}
            if mangler.random.random() < 0.3:
                body = mangler.mangle(body)
        answer = world.do(
            verb, resource, "default", "a", subresource=subresource, body=body, **options
        )
        assert answer.code < 500, answer.status
    assert world.server.internal_error_count == 0


@pytest.mark.parametrize("verb", ["create", "update", "patch", "delete"])
def test_a_body_that_cannot_be_decoded_is_a_bad_request(world: Any, make: Any, verb: str) -> None:
    world.do("create", "configmaps", "default", body=make.config_map("a"))
    for body in (b"\xc1", b"\x92\x01", b""):
        payload = [verb, "configmaps", "default", "a", None, body, {}]
        answer = world.ask(payload, UserInfo("test"))
        if verb == "delete" and not body:
            assert answer.code == 200
        else:
            assert (answer.code, answer.status["reason"]) == (400, "BadRequest")
