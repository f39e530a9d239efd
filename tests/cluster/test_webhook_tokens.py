"""Tokens that a program of the user knows, asked as an actor of the cluster."""

from __future__ import annotations

from typing import Any

import pytest
import trio

from k8sactors import simulation
from k8sactors.actors import Future
from k8sactors.api import codec
from k8sactors.api.credentials import Credentials
from k8sactors.api.errors import StatusError
from k8sactors.api.protocol import request
from k8sactors.api.user import FRONT_PROXY_USER
from k8sactors.apiserver.authn.webhook_token import WebhookTokenOptions
from k8sactors.client import Client
from k8sactors.cluster import Cluster, ClusterSpec
from k8sactors.cluster.access import NODE_AND_RBAC, AccessOptions

CLIENT = {"service": {"namespace": "default", "name": "tokens"}}
SPEC = ClusterSpec(
    topology="single",
    workers=1,
    access=AccessOptions(NODE_AND_RBAC, webhook_tokens=WebhookTokenOptions(CLIENT)),
)
REVIEW = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}


async def who(cluster: Cluster, token: str) -> Any:
    """The user that the server takes the bearer of a token for; or the code of its refusal."""
    proxy = Client(cluster.client.ctx, cluster.assembly.servers, FRONT_PROXY_USER)
    payload = request(
        "create",
        "selfsubjectreviews.authentication.k8s.io",
        body=codec.encode_value(REVIEW),
        user=Credentials(token),
    )
    future: Future[list[Any]] = Future()
    proxy.call(payload, future.set_result, future.set_error)
    try:
        reply = await future.wait()
    except StatusError as error:
        return error.code
    return codec.decode(reply[2], 0)["status"]["userInfo"]


def test_a_program_is_asked_about_tokens_once_in_two_minutes() -> None:
    asked: list[str] = []

    def review(given: dict[str, Any]) -> dict[str, Any]:
        token = given["spec"]["token"]
        asked.append(token)
        if token != "good":
            return {"authenticated": False}
        user = {"username": "jane", "uid": "u-1", "groups": ["devs"], "extra": {"k": ["v"]}}
        return {"authenticated": True, "user": user}

    async def main() -> None:
        async with Cluster(SPEC) as cluster:
            host = cluster.add_webhook("default", "tokens", review)
            user = await who(cluster, "good")
            assert (user["username"], user["uid"], user["extra"]) == ("jane", "u-1", {"k": ["v"]})
            assert user["groups"] == ["devs", "system:authenticated"]
            assert await who(cluster, "bad") == 401
            await who(cluster, "good")
            assert asked == ["good", "bad"]
            await trio.sleep(121)
            await who(cluster, "good")
            assert asked == ["good", "bad", "good"]
            # A program that is gone proves nothing; what is known still holds.
            host.remove("webhook")
            assert await who(cluster, "other") == 401
            assert (await who(cluster, "good"))["username"] == "jane"

    simulation.run(main, seed=1)


def test_tokens_of_the_cluster_are_not_shown_to_the_program() -> None:
    async def main() -> None:
        async with Cluster(SPEC) as cluster:
            cluster.add_webhook("default", "tokens", lambda _given: pytest.fail("it was asked"))
            body = {
                "apiVersion": "authentication.k8s.io/v1",
                "kind": "TokenRequest",
                "spec": {"audiences": []},
            }
            where = ("serviceaccounts", "kube-system", "default", "token")
            future: Future[list[Any]] = Future()
            payload = request("create", *where, body=codec.encode_value(body))
            cluster.client.call(payload, future.set_result, future.set_error)
            token = codec.decode((await future.wait())[2], 0)
            user = await who(cluster, token["status"]["token"])
            assert user["username"] == "system:serviceaccount:kube-system:default"

    simulation.run(main, seed=1)
