"""TTL of nodes, mirrored endpoints, and signing requests."""

from __future__ import annotations

import base64
from functools import partial
from typing import Any

import trio
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.x509.oid import NameOID

from k8sactors.api.meta import format_time
from k8sactors.controllers.machinery.signing_requests import REQUESTS
from k8sactors.controllers.manager import ControllerManagerConfig
from k8sactors.controllers.ttl import BOUNDARIES, step_for
from k8sactors.simulation import SECOND
from tests.controllers import harness
from tests.controllers.harness import World

SLICES = "endpointslices.discovery.k8s.io"


def run_with(*controllers: str) -> Any:
    return partial(harness.run, config=ControllerManagerConfig(controllers=controllers))


def test_the_ttl_of_nodes_follows_the_size_of_the_cluster_and_does_not_flutter() -> None:
    assert BOUNDARIES[step_for(100, 0)][2] == 0
    assert BOUNDARIES[step_for(101, 0)][2] == 15
    assert BOUNDARIES[step_for(95, 1)][2] == 15  # it was above: it stays
    assert BOUNDARIES[step_for(89, 1)][2] == 0
    assert BOUNDARIES[step_for(5_000, 0)][2] == 300

    async def body(world: World) -> None:
        for number in range(3):
            metadata = {"name": f"n{number}"}
            world.put("nodes", {"apiVersion": "v1", "kind": "Node", "metadata": metadata})
        await trio.sleep(1)
        for node in world.store.list("nodes"):
            assert node["metadata"]["annotations"] == {"node.alpha.kubernetes.io/ttl": "0"}

    run_with("ttl")(body)


def service(selector: dict[str, str] | None = None) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "legacy", "namespace": "default"},
        "spec": {"ports": [{"port": 80}], **({"selector": selector} if selector else {})},
    }


def endpoints(*ready: str, **metadata: Any) -> dict[str, Any]:
    subset = {
        "addresses": [{"ip": ip} for ip in ready],
        "notReadyAddresses": [{"ip": "10.9.9.9"}],
        "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}],
    }
    return {
        "apiVersion": "v1",
        "kind": "Endpoints",
        "metadata": {"name": "legacy", "namespace": "default", **metadata},
        "subsets": [subset],
    }


def mirrored(world: World) -> list[list[tuple[str, bool]]]:
    return sorted(
        [(each["addresses"][0], each["conditions"]["ready"]) for each in found["endpoints"]]
        for found in world.store.list(SLICES)
    )


def test_endpoints_of_a_service_without_selector_become_slices() -> None:
    async def body(world: World) -> None:
        world.put("endpoints", endpoints("10.1.1.1", "fd00::1", labels={"team": "a"}))
        await trio.sleep(1)
        assert mirrored(world) == []  # there is no such Service
        world.put("services", service())
        await trio.sleep(1)
        four, six = mirrored(world)
        assert four == [("10.1.1.1", True), ("10.9.9.9", False)]
        assert six == [("fd00::1", True)]
        labels = world.store.list(SLICES)[0]["metadata"]["labels"]
        assert labels["kubernetes.io/service-name"] == "legacy"
        assert labels["team"] == "a"
        world.store.put("endpoints", endpoints("10.1.1.2"))
        await trio.sleep(1)
        assert mirrored(world) == [[("10.1.1.2", True), ("10.9.9.9", False)]]
        labels = {"endpointslice.kubernetes.io/skip-mirror": "true"}
        world.store.put("endpoints", endpoints("10.1.1.2", labels=labels))
        await trio.sleep(1)
        assert mirrored(world) == []

    run_with("endpointslicemirroring")(body)


def test_endpoints_of_a_service_with_selector_are_left_to_their_controller() -> None:
    async def body(world: World) -> None:
        world.put("services", service({"app": "web"}))
        world.put("endpoints", endpoints("10.1.1.1"))
        await trio.sleep(1)
        assert mirrored(world) == []

    run_with("endpointslicemirroring")(body)


def signing_request(name: str, *, node: str = "worker-1", **spec: Any) -> dict[str, Any]:
    key = Ed25519PrivateKey.from_private_bytes(bytes(32))
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "system:nodes"),
            x509.NameAttribute(NameOID.COMMON_NAME, f"system:node:{node}"),
        ]
    )
    asked = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, None)
    pem = asked.public_bytes(serialization.Encoding.PEM)
    return {
        "apiVersion": "certificates.k8s.io/v1",
        "kind": "CertificateSigningRequest",
        "metadata": {"name": name},
        "spec": {
            "request": base64.b64encode(pem).decode(),
            "signerName": "kubernetes.io/kube-apiserver-client-kubelet",
            "usages": ["digital signature", "client auth"],
            "username": "system:node:worker-1",
            **spec,
        },
    }


def test_a_kubelets_request_is_approved_and_signed_and_goes_after_an_hour() -> None:
    async def body(world: World) -> None:
        world.put(REQUESTS, signing_request("own", expirationSeconds=3_600))
        world.put(REQUESTS, signing_request("server", usages=["server auth"]))
        await trio.sleep(2)
        found = world.store.get(REQUESTS, "own", "")["status"]
        assert found["conditions"][0]["reason"] == "AutoApproved"
        pem = base64.b64decode(found["certificate"])
        certificate = x509.load_pem_x509_certificate(pem)
        names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        assert names[0].value == "system:node:worker-1"
        lifetime = certificate.not_valid_after_utc - certificate.not_valid_before_utc
        assert lifetime.total_seconds() == 3_900
        # Not what a client certificate is for: it waits for an administrator.
        assert not world.store.get(REQUESTS, "server", "").get("status", {}).get("conditions")
        await trio.sleep(3_500)
        assert len(world.store.list(REQUESTS)) == 2
        await trio.sleep(200)
        assert [each["metadata"]["name"] for each in world.store.list(REQUESTS)] == ["server"]
        old = signing_request("old", usages=["server auth"])
        created = format_time(world.wall_ns - 23 * 3_600 * SECOND)
        old["metadata"]["creationTimestamp"] = created
        world.put(REQUESTS, old)
        await trio.sleep(3_500)
        assert len(world.store.list(REQUESTS)) == 2
        await trio.sleep(200)
        assert [each["metadata"]["name"] for each in world.store.list(REQUESTS)] == ["server"]

    run_with("csrapproving", "csrsigning", "csrcleaner")(body)


def test_an_approved_request_that_breaks_its_signers_rules_fails() -> None:
    async def body(world: World) -> None:
        approved = {"type": "Approved", "status": "True", "reason": "ByHand"}
        request = signing_request("bad", usages=["server auth"])
        world.put(REQUESTS, {**request, "status": {"conditions": [approved]}})
        other = signing_request("other", signerName="example.org/own")
        world.put(REQUESTS, {**other, "status": {"conditions": [approved]}})
        await trio.sleep(2)
        status = world.store.get(REQUESTS, "bad", "")["status"]
        assert [each["type"] for each in status["conditions"]] == ["Approved", "Failed"]
        assert "certificate" not in status
        assert world.store.get(REQUESTS, "other", "")["status"]["conditions"] == [approved]

    run_with("csrsigning")(body)
