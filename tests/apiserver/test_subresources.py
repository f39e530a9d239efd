"""Subresources go through the steps of every write: form, identity, rules, guards, audit."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from k8sactors.api.user import UserInfo
from k8sactors.apiserver.subresources import subresources

CSRS = "certificatesigningrequests.certificates.k8s.io"


def pem(kind: str, data: bytes) -> str:
    body = base64.b64encode(data).decode()
    text = f"-----BEGIN {kind}-----\n{body}\n-----END {kind}-----\n"
    return base64.b64encode(text.encode()).decode()


# The shortest sequence in DER, and a longer one.
PEM = pem("CERTIFICATE REQUEST", b"\x30\x03\x02\x01\x00")
LONG_PEM = pem("CERTIFICATE REQUEST", b"\x30\x81\x80" + bytes(128))


def approval(name: str, *conditions: dict[str, Any]) -> dict[str, Any]:
    return {"metadata": {"name": name}, "status": {"conditions": list(conditions)}}


def approve(world: Any, *conditions: dict[str, Any], verb: str = "update") -> Any:
    body = approval("a", *conditions)
    return world.do(verb, CSRS, None, "a", subresource="approval", body=body)


def signing_request(**spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "certificates.k8s.io/v1",
        "kind": "CertificateSigningRequest",
        "metadata": {"name": "a"},
        "spec": {
            "request": PEM,
            "signerName": "kubernetes.io/kube-apiserver-client",
            "usages": ["client auth"],
            **spec,
        },
    }


@pytest.fixture
def request_named_a(world: Any) -> dict[str, Any]:
    created = world.do("create", CSRS, body=signing_request())
    assert created.code == 201
    return dict(created.obj)


def test_an_approval_sets_conditions_and_nothing_else(
    world: Any, request_named_a: dict[str, Any]
) -> None:
    approved = approve(world, {"type": "Approved", "status": "True", "reason": "Fine"})
    assert approved.code == 200
    condition = approved.obj["status"]["conditions"][0]
    assert (condition["type"], condition["status"]) == ("Approved", "True")
    assert condition["lastUpdateTime"] == condition["lastTransitionTime"]
    assert approved.obj["spec"] == request_named_a["spec"]
    shown = world.do("get", CSRS, None, "a", subresource="approval")
    assert shown.obj == approved.obj


def test_a_decision_on_a_certificate_stays(world: Any, request_named_a: dict[str, Any]) -> None:
    assert request_named_a["spec"]
    both = approve(
        world, {"type": "Approved", "status": "True"}, {"type": "Denied", "status": "True"}
    )
    assert both.code == 422
    assert "mutually exclusive" in both.status["message"]
    assert both.status["details"]["causes"][0]["field"] == "status.conditions[1].type"
    unsure = approve(world, {"type": "Approved", "status": "Unknown"})
    assert unsure.code == 422
    assert 'Unsupported value: "Unknown": supported values: "True"' in unsure.status["message"]
    assert approve(world, {"type": "Approved", "status": "True"}, verb="patch").code == 200
    taken_back = approve(world)
    assert taken_back.code == 422
    assert "may not remove a condition of type" in taken_back.status["message"]


def test_a_decision_on_a_certificate_is_made_under_approval_alone(
    world: Any, request_named_a: dict[str, Any]
) -> None:
    def set_status(*conditions: dict[str, Any]) -> Any:
        spec, metadata = request_named_a["spec"], {"name": "a"}
        body = {"metadata": metadata, "spec": spec, "status": {"conditions": list(conditions)}}
        return world.do("update", CSRS, None, "a", subresource="status", body=body)

    approved = {"type": "Approved", "status": "True"}
    refused = set_status(approved)
    assert refused.code == 422
    cause = refused.status["details"]["causes"][0]
    assert (cause["field"], cause["reason"]) == ("status.conditions", "FieldValueForbidden")
    assert 'may not add a condition of type "Approved"' in cause["message"]
    assert set_status({"type": "Failed", "status": "True"}).code == 200
    assert approve(world, approved).code == 200
    assert 'may not remove a condition of type "Approved"' in set_status().status["message"]


def test_a_signing_request_says_who_asks_and_stays_as_it_was(world: Any) -> None:
    user = UserInfo("alice", "7", ("devs",), {"team": ["a"]})
    forged = signing_request(username="mallory", groups=["system:masters"], request=LONG_PEM)
    created = world.do("create", CSRS, body=forged, user=user)
    assert created.code == 201
    spec = created.obj["spec"]
    assert (spec["username"], spec["uid"], spec["extra"]) == ("alice", "7", {"team": ["a"]})
    assert spec["groups"][0] == "devs"
    assert "system:masters" not in spec["groups"]
    body = {"spec": {"usages": ["server auth"], "username": "mallory"}}
    patched = world.do("patch", CSRS, None, "a", body=body, user=user)
    assert (patched.code, patched.obj["spec"]) == (200, spec)


@pytest.mark.parametrize(
    ("spec", "field", "text"),
    [
        ({"request": "Z2FyYmFnZQ=="}, "spec.request", "PEM block type must be CERTIFICATE REQUEST"),
        ({"request": pem("CERTIFICATE", b"\x30\x00")}, "spec.request", "PEM block type"),
        ({"request": pem("CERTIFICATE REQUEST", b"\x30\x07\x02")}, "spec.request", "asn1"),
        ({"request": pem("CERTIFICATE REQUEST", b"")}, "spec.request", "asn1"),
        ({"signerName": "plain"}, "spec.signerName", "must be a fully qualified domain and path"),
        ({"signerName": "a.example/b/c"}, "spec.signerName", "must be a fully qualified domain"),
        ({"signerName": "example/b"}, "spec.signerName", "at least two segments"),
        ({"signerName": "A.example/b"}, "spec.signerName", 'validating label "A"'),
        ({"signerName": "a.example/B"}, "spec.signerName", 'validating label "B"'),
        ({"signerName": ""}, "spec.signerName", "Required value"),
        ({"usages": []}, "spec.usages", "Required value"),
        ({"expirationSeconds": 599}, "spec.expirationSeconds", "less than 600 seconds"),
    ],
)
def test_an_invalid_signing_request_is_refused(
    world: Any, spec: dict[str, Any], field: str, text: str
) -> None:
    refused = world.do("create", CSRS, body=signing_request(**spec))
    assert refused.code == 422
    causes = refused.status["details"]["causes"]
    assert [cause["field"] for cause in causes] == [field]
    assert text in causes[0]["message"]


@pytest.mark.parametrize(
    ("subresource", "resource", "namespace", "name"),
    [
        ("status", "deployments.apps", "default", "web"),
        ("scale", "deployments.apps", "default", "web"),
        ("finalize", "namespaces", None, "kube-public"),
    ],
)
def test_each_is_checked_for_identity_version_and_form(
    world: Any, make: Any, subresource: str, resource: str, namespace: Any, name: str
) -> None:
    world.do("create", "deployments.apps", "default", body=make.deployment("web"))

    def update(**metadata: Any) -> Any:
        extra = {"spec": {"replicas": "three"}} if metadata.pop("wrong", False) else {}
        if extra and subresource != "scale":
            extra = {"status": 5, "spec": 5}
        return world.do(
            "update", resource, namespace, name,
            subresource=subresource, body={"metadata": metadata, **extra},
        )  # fmt: skip

    assert update(name="other").code == 400
    assert update(name=name, uid="other").code == 409
    assert update(name=name, resourceVersion="1").code == 409
    refused = update(name=name, wrong=True)
    assert refused.code == 400
    assert "json: cannot unmarshal" in refused.status["message"]
    before = world.memory.revision
    dry = world.do(
        "update", resource, namespace, name,
        subresource=subresource, body={"metadata": {"name": name}}, dryRun="All",
    )  # fmt: skip
    assert (dry.code, world.memory.revision) == (200, before)


def test_labels_that_a_status_update_brings_are_validated(world: Any, make: Any) -> None:
    world.do("create", "pods", "default", body=make.pod("a"))
    body = {"metadata": {"labels": {"bad key!": "v"}}}
    refused = world.do("patch", "pods", "default", "a", subresource="status", body=body)
    assert refused.code == 422
    assert refused.status["details"]["causes"][0]["field"] == "metadata.labels"


def test_a_write_of_a_subresource_is_audited_with_its_name(world: Any, make: Any) -> None:
    world.do("create", "deployments.apps", "default", body=make.deployment("web"))
    for subresource in ("status", "scale"):
        body = {"spec": {"replicas": 2}} if subresource == "scale" else {"status": {"replicas": 1}}
        world.do("patch", "deployments.apps", "default", "web", subresource=subresource, body=body)
        record = world.server.audit.records[-1]
        assert (record.verb, record.subresource, record.code) == ("patch", subresource, 200)


def test_a_binding_may_be_posted_to_its_collection(world: Any, make: Any) -> None:
    world.do("create", "pods", "default", body=make.pod("a"))
    body = {"metadata": {"name": "a"}, "target": {"kind": "Node", "name": "n1"}}
    assert world.do("create", "bindings", "default", body=body).code == 201
    assert world.do("get", "pods", "default", "a").obj["spec"]["nodeName"] == "n1"
    record = world.server.audit.records[-1]
    assert (record.resource, record.subresource, record.name) == ("pods", "binding", "a")
    assert world.do("list", "bindings", "default").code == 405
    assert world.do("create", "bindings", "default", body={"metadata": {}}).code == 400


def test_every_subresource_has_a_file_of_its_own() -> None:
    files = [type(part).__module__.rpartition(".")[2] for part in subresources()]
    assert files == [part.name for part in subresources()]
