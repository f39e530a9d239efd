"""Admission webhooks, asked as actors of the cluster and over HTTPS."""

from __future__ import annotations

import base64
import contextlib
import json
import ssl
from collections.abc import Awaitable, Callable
from typing import Any

import attrs
import pytest
import trio
import trustme

from k8sactors import simulation
from k8sactors.api import streaming
from k8sactors.api.errors import StatusError
from k8sactors.cluster import Cluster, ClusterSpec
from k8sactors.simulation import RealClock

MUTATING = "mutatingwebhookconfigurations.admissionregistration.k8s.io"
VALIDATING = "validatingwebhookconfigurations.admissionregistration.k8s.io"
KINDS = {
    MUTATING: "MutatingWebhookConfiguration",
    VALIDATING: "ValidatingWebhookConfiguration",
}
SPEC = ClusterSpec(topology="single", workers=1)


def run(main: Callable[[Cluster], Awaitable[Any]], **options: Any) -> Any:
    async def in_cluster() -> Any:
        async with Cluster(SPEC) as cluster:
            return await main(cluster)

    return simulation.run(in_cluster, **(options or {"seed": 1}))


def hook(name: str = "w.example.com", **fields: Any) -> dict[str, Any]:
    return {
        "name": name,
        "clientConfig": {"service": {"namespace": "default", "name": "hooks", "path": "/x"}},
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
        "timeoutSeconds": 2,
        "rules": [
            {
                "apiGroups": [""],
                "apiVersions": ["v1"],
                "operations": ["CREATE", "UPDATE"],
                "resources": ["configmaps"],
            }
        ],
        **fields,
    }


async def configure(cluster: Cluster, resource: str, *hooks: dict[str, Any]) -> None:
    body = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": KINDS[resource],
        "metadata": {"name": "hooks"},
        "webhooks": list(hooks),
    }
    await cluster.client.create(resource, body)
    await trio.sleep(0.5)


async def create(cluster: Cluster, name: str = "a", **labels: str) -> Any:
    body = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": "default", "labels": labels},
    }
    try:
        return await cluster.client.create("configmaps", body)
    except StatusError as error:
        return error


def test_a_validating_webhook_is_told_all_and_its_refusal_is_the_answer() -> None:
    asked: list[dict[str, Any]] = []

    def review(request: dict[str, Any]) -> dict[str, Any]:
        asked.append(request)
        if request["name"] == "bad":
            return {"allowed": False, "status": {"message": "no such names", "code": 403}}
        return {"allowed": True}

    async def main(cluster: Cluster) -> None:
        cluster.add_webhook("default", "hooks", review)
        await configure(cluster, VALIDATING, hook())
        assert (await create(cluster, "good"))["metadata"]["name"] == "good"
        error = await create(cluster, "bad")
        assert (error.code, error.message) == (
            403,
            'admission webhook "w.example.com" denied the request: no such names',
        )

    run(main)
    request = asked[0]
    assert request["kind"] == {"group": "", "version": "v1", "kind": "ConfigMap"}
    assert request["resource"] == {"group": "", "version": "v1", "resource": "configmaps"}
    assert (request["operation"], request["namespace"]) == ("CREATE", "default")
    assert (request["dryRun"], request["oldObject"]) == (False, None)
    assert request["userInfo"]["username"] == "kubernetes-admin"
    assert request["object"]["metadata"]["uid"]


def test_a_mutating_webhook_changes_what_is_stored() -> None:
    def review(request: dict[str, Any]) -> dict[str, Any]:
        del request
        return {"allowed": True, "patch": [{"op": "add", "path": "/data", "value": {"k": "v"}}]}

    async def main(cluster: Cluster) -> Any:
        cluster.add_webhook("default", "hooks", review)
        await configure(cluster, MUTATING, hook())
        await create(cluster)
        return await cluster.client.get("configmaps", "a", "default")

    assert run(main)["data"] == {"k": "v"}


def test_a_webhook_sees_again_what_a_later_one_has_changed_if_it_asks_for_it() -> None:
    seen: list[tuple[str, bool]] = []

    def reviewer(name: str, *, changes: bool) -> Callable[[dict[str, Any]], dict[str, Any]]:
        def review(request: dict[str, Any]) -> dict[str, Any]:
            present = bool(request["object"].get("data"))
            seen.append((name, present))
            patch = [{"op": "add", "path": "/data", "value": {"k": "v"}}]
            return {"allowed": True, **({"patch": patch} if changes and not present else {})}

        return review

    async def main(cluster: Cluster) -> None:
        hooks = []
        for name, policy in (("first", "IfNeeded"), ("never", "Never"), ("last", "Never")):
            cluster.add_webhook("default", name, reviewer(name, changes=name == "last"))
            config = {"service": {"namespace": "default", "name": name}}
            fields = {"clientConfig": config, "reinvocationPolicy": policy}
            hooks.append(hook(f"{name}.example.com", **fields))
        await configure(cluster, MUTATING, *hooks)
        await create(cluster)

    run(main)
    assert seen == [("first", False), ("never", False), ("last", False), ("first", True)]


@pytest.mark.parametrize(
    ("policy", "code"), [("Fail", 500), ("Ignore", None)], ids=["fail", "ignore"]
)
@pytest.mark.parametrize("trouble", ["missing", "silent", "nonsense"])
def test_a_webhook_that_cannot_be_asked_fails_or_is_ignored(
    policy: str, code: int | None, trouble: str
) -> None:
    def review(request: dict[str, Any]) -> dict[str, Any] | None:
        del request
        return None if trouble == "silent" else {"uid": "another", "allowed": True}

    async def main(cluster: Cluster) -> Any:
        if trouble != "missing":
            cluster.add_webhook("default", "hooks", review)
        await configure(cluster, VALIDATING, hook(failurePolicy=policy))
        return await create(cluster)

    answer = run(main)
    if code is None:
        assert answer["metadata"]["name"] == "a"
        return
    assert answer.code == code
    expected = {
        "missing": 'failed to call webhook: Post "https://hooks.default.svc:443/x?timeout=2s"',
        "silent": "context deadline exceeded",
        "nonsense": 'received invalid webhook response: expected response.uid="',
    }
    assert 'failed calling webhook "w.example.com": ' in answer.message
    assert expected[trouble] in answer.message


def test_selectors_and_conditions_choose_what_a_webhook_sees() -> None:
    seen: list[str] = []

    def review(request: dict[str, Any]) -> dict[str, Any]:
        seen.append(request["name"])
        return {"allowed": True}

    async def main(cluster: Cluster) -> None:
        cluster.add_webhook("default", "hooks", review)
        condition = "!object.metadata.name.startsWith('free-')"
        chosen = hook(
            objectSelector={"matchLabels": {"hook": "yes"}},
            namespaceSelector={"matchLabels": {"kubernetes.io/metadata.name": "default"}},
            matchConditions=[{"name": "not-free", "expression": condition}],
        )
        await configure(cluster, VALIDATING, chosen)
        for name, labels in (("a", {"hook": "yes"}), ("b", {}), ("free-c", {"hook": "yes"})):
            await create(cluster, name, **labels)

    run(main)
    assert seen == ["a"]


def test_a_rule_for_one_version_means_the_others_too_unless_it_is_exact() -> None:
    seen: list[tuple[str, str, str]] = []

    def review(request: dict[str, Any]) -> dict[str, Any]:
        shown, asked = request["kind"]["version"], request["requestKind"]["version"]
        seen.append((shown, asked, request["object"]["apiVersion"]))
        return {"allowed": True}

    async def main(cluster: Cluster) -> None:
        cluster.add_webhook("default", "hooks", review)
        rule = {
            "apiGroups": ["autoscaling"],
            "apiVersions": ["v2"],
            "operations": ["*"],
            "resources": ["*"],
        }
        exact = hook("exact.example.com", rules=[rule], matchPolicy="Exact")
        await configure(cluster, VALIDATING, hook(rules=[rule]), exact)
        scaler = {
            "apiVersion": "autoscaling/v1",
            "kind": "HorizontalPodAutoscaler",
            "metadata": {"name": "h", "namespace": "default"},
            "spec": {
                "maxReplicas": 2,
                "scaleTargetRef": {"kind": "Deployment", "name": "d", "apiVersion": "apps/v1"},
            },
        }
        await cluster.client.create("horizontalpodautoscalers.v1.autoscaling", scaler)

    run(main)
    assert seen == [("v2", "v1", "autoscaling/v2")]


def test_no_webhook_can_lock_its_own_configuration() -> None:
    async def main(cluster: Cluster) -> None:
        rule = {"apiGroups": ["*"], "apiVersions": ["*"], "operations": ["*"], "resources": ["*"]}
        await configure(cluster, VALIDATING, hook(rules=[rule]))
        await cluster.client.delete(VALIDATING, "hooks")
        await trio.sleep(0.5)
        assert (await create(cluster))["metadata"]["name"] == "a"

    run(main)


def test_a_webhook_beyond_the_cluster_is_asked_over_https() -> None:
    authority = trustme.CA()
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(server)
    bundle = base64.b64encode(authority.cert_pem.bytes()).decode()

    async def serve(stream: trio.SocketStream) -> None:
        # A client that does not trust the certificate leaves during the handshake.
        with contextlib.suppress(trio.BrokenResourceError):
            await answer(stream)

    async def answer(stream: trio.SocketStream) -> None:
        async with trio.SSLStream(stream, server, server_side=True, https_compatible=True) as tls:
            received = b""
            while b"\r\n\r\n" not in received or not received.endswith(b"}"):
                received += await tls.receive_some(65_536)
            review = json.loads(received.partition(b"\r\n\r\n")[2])
            response = {
                "uid": review["request"]["uid"],
                "allowed": False,
                "status": {"message": received.split(b" ")[1].decode()},
            }
            body = json.dumps({**review, "request": None, "response": response}).encode()
            head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n"
            await tls.send_all(head.encode() + body)

    async def main(cluster: Cluster) -> tuple[str, str]:
        async with trio.open_nursery() as nursery:
            (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
            nursery.start_soon(trio.serve_listeners, serve, [listener])
            url = f"https://localhost:{listener.socket.getsockname()[1]}/check"
            trusted = hook(clientConfig={"url": url, "caBundle": bundle})
            await configure(cluster, VALIDATING, trusted)
            refused = await create(cluster)
            await cluster.client.delete(VALIDATING, "hooks")
            await configure(cluster, VALIDATING, hook(clientConfig={"url": url}))
            failed = await create(cluster)
            nursery.cancel_scope.cancel()
        return refused.message, failed.message

    refused, failed = run(main, clock=RealClock.of_today())
    assert refused == 'admission webhook "w.example.com" denied the request: /check?timeout=2s'
    assert "failed to call webhook: Post" in failed
    assert "certificate" in failed


def test_the_images_of_pods_are_reviewed_and_answers_are_kept() -> None:
    asked: list[Any] = []

    def review(given: dict[str, Any]) -> dict[str, Any]:
        asked.append(given["spec"])
        images = [each["image"] for each in given["spec"]["containers"]]
        return {"allowed": "bad:1" not in images, "reason": "bad:1 is bad"}

    async def main() -> list[str]:
        client = {"service": {"namespace": "default", "name": "images"}}
        settings = {"ImagePolicyWebhook": {"imagePolicy": {"clientConfig": client}}}
        spec = attrs.evolve(
            SPEC,
            enable_admission_plugins=("ImagePolicyWebhook",),
            admission_configuration=settings,
        )
        async with Cluster(spec) as cluster:
            cluster.add_webhook("default", "images", review)
            texts = []
            for name, image in (("a", "good:1"), ("b", "bad:1"), ("c", "good:1")):
                pod = {
                    "apiVersion": "v1",
                    "kind": "Pod",
                    "metadata": {"name": name, "namespace": "default"},
                    "spec": {"containers": [{"name": "c", "image": image}]},
                }
                try:
                    await cluster.client.create("pods", pod)
                    texts.append("")
                except StatusError as error:
                    texts.append(error.message)
            return texts

    denied = "image policy webhook backend denied one or more images: bad:1 is bad"
    assert simulation.run(main, seed=1) == ["", f'pods "b" is forbidden: {denied}', ""]
    assert [each["containers"] for each in asked] == [[{"image": "good:1"}], [{"image": "bad:1"}]]


def test_who_connects_goes_through_admission_with_what_is_asked_for() -> None:
    asked: list[dict[str, Any]] = []

    def review(request: dict[str, Any]) -> dict[str, Any]:
        asked.append(request)
        if request["object"]["command"] == ["sh"]:
            return {"allowed": False, "status": {"message": "no shells", "code": 403}}
        return {"allowed": True}

    async def exec_code(cluster: Cluster, *command: str) -> tuple[int, str]:
        options = {"command": list(command), "stdout": True, "container": "c"}
        payload = streaming.connect("create", "pods", "default", "a", "exec", options)
        remote = cluster.client.connect(payload)
        try:
            await remote.opened()
        except StatusError as error:
            return error.code, error.message
        return 200, ""

    async def main(cluster: Cluster) -> None:
        cluster.add_webhook("default", "hooks", review)
        rule = {
            "apiGroups": [""],
            "apiVersions": ["v1"],
            "operations": ["CONNECT"],
            "resources": ["pods/exec"],
        }
        await configure(cluster, VALIDATING, hook(rules=[rule]))
        containers = [{"name": "c", "image": "registry.example/app:1"}]
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "a", "namespace": "default"},
            "spec": {"containers": containers},
        }
        await cluster.client.create("pods", pod)
        await trio.sleep(10)
        code, message = await exec_code(cluster, "sh")
        assert code == 403
        assert message.endswith("denied the request: no shells")
        assert (await exec_code(cluster, "true"))[0] == 200

    run(main)
    request = asked[0]
    assert (request["operation"], request["subResource"]) == ("CONNECT", "exec")
    assert request["kind"] == {"group": "", "version": "v1", "kind": "PodExecOptions"}
    assert request["object"]["container"] == "c"
    assert (request["oldObject"], request["options"]) == (None, None)
