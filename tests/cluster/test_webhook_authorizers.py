"""Authorizers that are programs of the user, asked as actors of the cluster."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import trio

from k8sactors import simulation
from k8sactors.api.errors import StatusError
from k8sactors.api.user import UserInfo
from k8sactors.apiserver.webhook_authorizer_options import WebhookAuthorizerOptions
from k8sactors.client import Client
from k8sactors.cluster import Cluster, ClusterSpec
from k8sactors.cluster.access import AccessOptions

CLIENT = {"service": {"namespace": "default", "name": "authz"}}
ALICE = UserInfo("alice", "u-1", ("devs",), {"k": ["v"]})
Object = dict[str, Any]


def spec(*modes: str, **more: Any) -> ClusterSpec:
    webhooks = (WebhookAuthorizerOptions(CLIENT, **more),)
    access = AccessOptions(modes, authorization_webhooks=webhooks)
    return ClusterSpec(topology="single", workers=1, access=access)


def run(given: ClusterSpec, answer: Callable[[Object], Object | None], check: Any) -> list[Object]:
    """Runs `check` with the cluster, a client of alice, and the host of the webhook."""
    asked: list[Object] = []

    def review(question: Object) -> Object | None:
        # Components of the cluster are left to RBAC.
        if question["spec"]["user"] != "alice":
            return {"allowed": False}
        asked.append(question)
        return answer(question["spec"])

    async def main() -> None:
        async with Cluster(given) as cluster:
            host = cluster.add_webhook("default", "authz", review)
            alice = Client(cluster.client.ctx, cluster.assembly.servers, ALICE)
            await check(cluster, alice, host)

    simulation.run(main, seed=1)
    return asked


async def code(asking: Any) -> tuple[int, str]:
    try:
        await asking
    except StatusError as error:
        return error.code, error.message
    return 200, ""


def test_a_program_allows_and_is_asked_again_after_five_minutes_or_half_a_minute() -> None:
    def answer(question: Object) -> Object:
        about = question["resourceAttributes"]
        return {"allowed": about["resource"] == "configmaps", "reason": "ask bob"}

    async def check(_cluster: Cluster, alice: Client, _host: Any) -> None:
        for _ in range(2):
            assert (await code(alice.list("configmaps", "default")))[0] == 200
            refusal = await code(alice.list("secrets", "default"))
            assert refusal == (
                403,
                (
                    'secrets is forbidden: User "alice" cannot list resource "secrets" in API '
                    'group "" in the namespace "default": ask bob'
                ),
            )
        await trio.sleep(31)
        await code(alice.list("configmaps", "default"))
        await code(alice.list("secrets", "default"))
        await trio.sleep(271)
        await code(alice.list("configmaps", "default"))

    asked = run(spec("Node", "RBAC", "Webhook"), answer, check)
    about = [each["spec"]["resourceAttributes"]["resource"] for each in asked]
    assert about == ["configmaps", "secrets", "secrets", "configmaps"]
    assert asked[0] == {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "metadata": {},
        "spec": {
            "user": "alice",
            "groups": ["devs", "system:authenticated"],
            "extra": {"k": ["v"]},
            "uid": "u-1",
            "resourceAttributes": {
                "namespace": "default",
                "verb": "list",
                "version": "v1",
                "resource": "configmaps",
            },
        },
    }


@pytest.mark.parametrize(
    ("modes", "expected"), [(("Webhook", "AlwaysAllow"), 403), (("AlwaysAllow", "Webhook"), 200)]
)
def test_what_a_program_denies_no_later_authorizer_allows(
    modes: tuple[str, ...], expected: int
) -> None:
    async def check(_cluster: Cluster, alice: Client, _host: Any) -> None:
        assert (await code(alice.list("pods", "default")))[0] == expected

    asked = run(spec(*modes), lambda _spec: {"denied": True, "reason": "never"}, check)
    assert len(asked) == (1 if expected == 403 else 0)


@pytest.mark.parametrize(("denies", "expected"), [(True, 500), (False, 200)])
def test_what_a_program_that_is_gone_means(denies: bool, expected: int) -> None:
    async def check(_cluster: Cluster, alice: Client, host: Any) -> None:
        host.remove("webhook")
        got, text = await code(alice.list("pods", "default"))
        assert got == expected
        assert expected == 200 or "authz.default.svc" in text

    modes = ("Node", "RBAC", "Webhook", "AlwaysAllow")
    conditions = ("request.user == 'alice'",)
    given = spec(*modes, conditions=conditions, denies_on_failure=denies, timeout_s=0.5)
    run(given, lambda _spec: {"allowed": True}, check)


def test_a_program_is_asked_only_when_the_conditions_hold() -> None:
    async def check(_cluster: Cluster, alice: Client, _host: Any) -> None:
        assert (await code(alice.list("pods", "default")))[0] == 403
        assert (await code(alice.list("pods", "kube-system")))[0] == 200

    conditions = (
        "has(request.resourceAttributes)",
        "request.resourceAttributes.namespace == 'kube-system'",
    )
    asked = run(
        spec("Node", "RBAC", "Webhook", conditions=conditions),
        lambda _spec: {"allowed": True},
        check,
    )
    assert len(asked) == 1


@pytest.mark.parametrize(
    ("last", "denies", "expected"),
    [("AlwaysAllow", True, 500), ("AlwaysAllow", False, 200), ("AlwaysDeny", False, 500)],
)
def test_a_condition_that_fails_is_a_failure(last: str, denies: bool, expected: int) -> None:
    async def check(_cluster: Cluster, alice: Client, _host: Any) -> None:
        # A failure that is left to other authorizers is told all the same when none allows.
        got, text = await code(alice.list("pods", "default"))
        assert got == expected
        assert expected == 200 or "missing" in text

    conditions = ("request.user == 'alice' && request.resourceAttributes.missing == 'x'",)
    modes = ("Node", "RBAC", "Webhook", last)
    given = spec(*modes, conditions=conditions, denies_on_failure=denies)
    assert not run(given, lambda _spec: {"allowed": True}, check)


def test_watches_reviews_and_writes_that_create_wait_for_the_answer() -> None:
    async def check(cluster: Cluster, alice: Client, _host: Any) -> None:
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SubjectAccessReview",
            "metadata": {},
            "spec": {
                "user": "alice",
                "resourceAttributes": {"verb": "get", "resource": "nodes", "name": "n"},
            },
        }
        made = await cluster.client.create("subjectaccessreviews.authorization.k8s.io", review)
        assert made["status"] == {"allowed": False, "denied": True, "reason": "no nodes"}
        seen: list[Any] = []
        alice.watch(
            "configmaps",
            namespace="default",
            options={},
            on_item=seen.append,
            on_close=pytest.fail,
        )
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}}
        await trio.sleep(1)
        await alice.create("configmaps", body, "default")
        await trio.sleep(1)
        assert seen

    def answer(question: Object) -> Object:
        if question["resourceAttributes"]["resource"] == "nodes":
            return {"denied": True, "reason": "no nodes"}
        return {"allowed": True}

    asked = run(spec("Node", "RBAC", "Webhook"), answer, check)
    verbs = [each["spec"]["resourceAttributes"]["verb"] for each in asked]
    assert verbs == ["get", "watch", "create"]


def test_modes_and_webhooks_must_fit() -> None:
    wrong = AccessOptions(("Webhook", "RBAC", "RBAC"))
    assert wrong.problems() == [
        "1 authorization modes Webhook, and 0 webhooks for them",
        "authorization mode 'RBAC' is there twice",
    ]
