"""Secrets with tokens: those of ServiceAccounts are filled, bootstrap tokens sign and expire."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Awaitable, Callable
from typing import Any

import trio

from k8sactors.api.meta import format_time
from k8sactors.apiserver.authn.jwt import SigningKey
from k8sactors.apiserver.authn.service_account import TokenKey
from k8sactors.controllers.manager import ControllerManagerConfig
from k8sactors.simulation import SECOND
from tests.controllers.harness import World
from tests.controllers.harness import run as run_world

KEY = SigningKey.generate()
KUBECONFIG = "apiVersion: v1\nkind: Config\n"


def run(body: Callable[[World], Awaitable[None]]) -> None:
    names = ("serviceaccount-token", "bootstrapsigner", "tokencleaner")
    settings = {"service_account_token_key": TokenKey(lambda: KEY), "root_ca": "the CA"}
    run_world(body, config=ControllerManagerConfig(names, settings))


def account(name: str = "app") -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {"name": name, "namespace": "default"},
    }


def token_secret(name: str = "app-token", owner: str = "app") -> dict[str, Any]:
    annotations = {"kubernetes.io/service-account.name": owner}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": "default", "annotations": annotations},
        "type": "kubernetes.io/service-account-token",
    }


def decoded(secret: dict[str, Any]) -> dict[str, str]:
    return {name: base64.b64decode(value).decode() for name, value in secret["data"].items()}


def bootstrap_token(token_id: str, **data: str) -> dict[str, Any]:
    fields = {
        "token-id": token_id,
        "token-secret": "0123456789abcdef",
        "usage-bootstrap-signing": "true",
        **{name.replace("_", "-"): value for name, value in data.items()},
    }
    encoded = {name: base64.b64encode(text.encode()).decode() for name, text in fields.items()}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": f"bootstrap-token-{token_id}", "namespace": "kube-system"},
        "type": "bootstrap.kubernetes.io/token",
        "data": encoded,
    }


def test_a_secret_of_an_account_gets_token_ca_and_namespace() -> None:
    async def body(world: World) -> None:
        uid = world.put("serviceaccounts", account())["metadata"]["uid"]
        world.put("secrets", token_secret())
        await trio.sleep(1)
        secret = world.store.get("secrets", "app-token", "default")
        assert secret["metadata"]["annotations"]["kubernetes.io/service-account.uid"] == uid
        data = decoded(secret)
        assert (data["ca.crt"], data["namespace"]) == ("the CA", "default")
        claims = KEY.verify(data["token"])
        assert claims["sub"] == "system:serviceaccount:default:app"
        assert "exp" not in claims

    run(body)


def test_a_secret_goes_with_its_account() -> None:
    async def body(world: World) -> None:
        world.put("serviceaccounts", account())
        world.put("secrets", token_secret())
        world.put("secrets", token_secret("other-token", "missing"))
        await trio.sleep(1)
        assert [each["metadata"]["name"] for each in world.store.list("secrets")] == ["app-token"]
        world.store.remove("serviceaccounts", "app", "default")
        await trio.sleep(1)
        assert world.store.list("secrets") == []

    run(body)


def test_cluster_info_is_signed_by_each_token_for_as_long_as_it_is_good() -> None:
    async def body(world: World) -> None:
        expiration = format_time(world.wall_ns + 100 * SECOND)
        world.put("secrets", bootstrap_token("abcdef"))
        world.put("secrets", bootstrap_token("123456", expiration=expiration))
        world.put("secrets", bootstrap_token("zzzzzz", usage_bootstrap_signing="false"))
        metadata = {"name": "cluster-info", "namespace": "kube-public"}
        data = {"kubeconfig": KUBECONFIG, "jws-kubeconfig-gone00": "stale"}
        config_map = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}
        world.put("configmaps", config_map)
        await trio.sleep(2)
        signed = world.store.get("configmaps", "cluster-info", "kube-public")["data"]
        assert sorted(signed) == ["jws-kubeconfig-123456", "jws-kubeconfig-abcdef", "kubeconfig"]
        head, empty, signature = signed["jws-kubeconfig-abcdef"].split(".")
        assert json.loads(base64.urlsafe_b64decode(head + "==")) == {
            "alg": "HS256",
            "kid": "abcdef",
        }
        content = base64.urlsafe_b64encode(KUBECONFIG.encode()).rstrip(b"=")
        digest = hmac.new(b"0123456789abcdef", head.encode() + b"." + content, hashlib.sha256)
        assert empty == ""
        assert base64.urlsafe_b64decode(signature + "=") == digest.digest()
        await trio.sleep(120)
        signed = world.store.get("configmaps", "cluster-info", "kube-public")["data"]
        assert sorted(signed) == ["jws-kubeconfig-abcdef", "kubeconfig"]
        left = [each["metadata"]["name"] for each in world.store.list("secrets", "kube-system")]
        assert left == ["bootstrap-token-abcdef", "bootstrap-token-zzzzzz"]

    run(body)
