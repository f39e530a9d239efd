"""Absent and zero, bytes and quantities: told apart and written as by a server in Go."""

from __future__ import annotations

from typing import Any

import pytest


def put(world: Any, resource: str, obj: dict[str, Any]) -> Any:
    return world.do("update", resource, "default", obj["metadata"]["name"], body=obj)


EMPTY_IN_A_TEMPLATE: dict[str, Any] = {
    "tolerations": [],
    "hostNetwork": False,
    "hostPID": False,
    "nodeSelector": {},
    "serviceAccountName": "",
    "imagePullSecrets": [],
    "restartPolicy": "",
    "dnsPolicy": "",
    "schedulerName": "",
    "initContainers": [],
    "affinity": None,
    "overhead": {},
}
EMPTY_IN_A_CONTAINER: dict[str, Any] = {
    "workingDir": "",
    "command": [],
    "env": [],
    "volumeMounts": [],
    "tty": False,
    "imagePullPolicy": "",
    "terminationMessagePath": "",
    "terminationMessagePolicy": "",
}


@pytest.mark.covers("AP-05")
@pytest.mark.parametrize("field", [*EMPTY_IN_A_TEMPLATE, *EMPTY_IN_A_CONTAINER])
def test_an_empty_plain_field_is_no_new_generation(world: Any, make: Any, field: str) -> None:
    first = world.do("create", "deployments.apps", "default", body=make.deployment("web")).obj
    body = make.deployment("web")
    spec = body["spec"]["template"]["spec"]
    if field in EMPTY_IN_A_TEMPLATE:
        spec[field] = EMPTY_IN_A_TEMPLATE[field]
    else:
        spec["containers"][0][field] = EMPTY_IN_A_CONTAINER[field]
    body["spec"]["paused"] = False
    body["spec"]["minReadySeconds"] = 0
    body["metadata"]["labels"] = {}
    again = put(world, "deployments.apps", body)
    assert again.code == 200
    assert again.obj["metadata"]["generation"] == 1
    assert again.obj["spec"] == first["spec"]
    assert again.obj["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]


def test_empty_enumerations_are_defaulted(world: Any, make: Any) -> None:
    body = make.pod("p")
    body["spec"].update({"restartPolicy": "", "dnsPolicy": "", "schedulerName": ""})
    body["spec"]["containers"][0].update({"imagePullPolicy": "", "terminationMessagePolicy": ""})
    spec = world.do("create", "pods", "default", body=body).obj["spec"]
    assert (spec["restartPolicy"], spec["dnsPolicy"]) == ("Always", "ClusterFirst")
    assert spec["schedulerName"] == "default-scheduler"
    assert spec["containers"][0]["imagePullPolicy"] == "IfNotPresent"


def test_a_pointer_keeps_an_explicit_zero(world: Any, make: Any) -> None:
    body = make.pod("p")
    body["spec"].update({"terminationGracePeriodSeconds": 0, "enableServiceLinks": False})
    body["spec"]["securityContext"] = {"runAsUser": 0, "runAsNonRoot": False}
    spec = world.do("create", "pods", "default", body=body).obj["spec"]
    assert spec["terminationGracePeriodSeconds"] == 0
    assert spec["enableServiceLinks"] is False
    assert spec["securityContext"] == {"runAsUser": 0, "runAsNonRoot": False}
    scaled = make.deployment("web", replicas=0)
    stored = world.do("create", "deployments.apps", "default", body=scaled).obj
    assert stored["spec"]["replicas"] == 0


def test_fields_that_are_always_written_stay(world: Any, make: Any) -> None:
    world.do("create", "replicasets.apps", "default", body=replica_set(make))
    body = world.do("get", "replicasets.apps", "default", "web").obj
    body["status"] = {"replicas": 0, "readyReplicas": 0, "conditions": []}
    status = world.do(
        "update", "replicasets.apps", "default", "web", subresource="status", body=body
    ).obj["status"]
    assert status == {"replicas": 0}


def replica_set(make: Any) -> dict[str, Any]:
    obj: dict[str, Any] = make.deployment("web")
    return {**obj, "kind": "ReplicaSet"}


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ({"cpu": "0.0001"}, {"cpu": "1m"}),
        ({"cpu": "0.30000000000000004"}, {"cpu": "301m"}),
        ({"cpu": 0.5, "memory": 1024}, {"cpu": "500m", "memory": "1024"}),
        ({"memory": "1024Mi"}, {"memory": "1Gi"}),
        ({"memory": "0.1"}, {"memory": "100m"}),
    ],
)
def test_amounts_of_resources_are_rounded_up_to_milli(
    world: Any, make: Any, given: Any, stored: Any
) -> None:
    body = make.pod("p")
    body["spec"]["containers"][0]["resources"] = {"requests": given}
    pod = world.do("create", "pods", "default", body=body).obj
    assert pod["spec"]["containers"][0]["resources"]["requests"] == stored
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "q"}}
    kept = world.do("create", "resourcequotas", "default", body={**quota, "spec": {"hard": given}})
    assert kept.obj["spec"]["hard"] == stored


def secret(**data: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "data": data}


def test_bytes_are_taken_with_line_ends_and_stored_without(world: Any, make: Any) -> None:
    stored = world.do("create", "secrets", "default", body=secret(key="aGVs\nbG8=\n")).obj
    assert stored["data"] == {"key": "aGVsbG8="}
    body = make.config_map("c", binaryData={"key": "aGVs\r\nbG8="})
    assert world.do("create", "configmaps", "default", body=body).obj["binaryData"] == {
        "key": "aGVsbG8="
    }


@pytest.mark.parametrize(
    ("text", "position"),
    [("a*bc", 1), ("not base64!", 3), ("abc", 0), ("ab=", 3), ("YQ==YQ==", 4), ("=", 0)],
)
def test_what_is_no_base64_is_refused_with_its_place(
    world: Any, make: Any, text: str, position: int
) -> None:
    message = f"illegal base64 data at input byte {position}"
    refused = world.do("create", "secrets", "default", body=secret(key=text))
    assert (refused.code, refused.status["reason"]) == (400, "BadRequest")
    assert refused.status["message"].endswith(
        f'Secret in version "v1" cannot be handled as a Secret: {message}'
    )
    body = make.config_map("c", binaryData={"key": text})
    refused = world.do("create", "configmaps", "default", body=body)
    assert refused.code == 400
    assert refused.status["message"].endswith(message)


def test_a_patch_to_zero_removes_a_plain_field(world: Any, make: Any) -> None:
    body = make.deployment("web")
    body["spec"]["template"]["spec"]["hostNetwork"] = True
    created = world.do("create", "deployments.apps", "default", body=body).obj
    assert created["spec"]["template"]["spec"]["hostNetwork"] is True
    patch = {"spec": {"template": {"spec": {"hostNetwork": False}}}}
    patched = world.do(
        "patch", "deployments.apps", "default", "web", body=patch, patchType="merge"
    ).obj
    assert "hostNetwork" not in patched["spec"]["template"]["spec"]
    assert patched["metadata"]["generation"] == 2
