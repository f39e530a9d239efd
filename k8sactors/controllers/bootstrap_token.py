"""Bootstrap tokens: the ConfigMap `cluster-info` is signed by each, and those that expired go.

A machine that knows a token trusts `kube-public/cluster-info`, whose kubeconfig carries a signature
by the token's secret: a detached JWS (RFC 7515, appendix F) with HS256. Source: documentation of
bootstrap tokens ("ConfigMap Signing", "Token Management").
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Final

from k8sactors.api.errors import StatusError
from k8sactors.api.meta import parse_time
from k8sactors.apiserver.authn.bootstrap_token import NAMESPACE, TYPE, text_of
from k8sactors.client import is_conflict, is_not_found, object_key
from k8sactors.controllers.machinery.controller import Controller, ManagerContext, Object

CLUSTER_INFO: Final = "cluster-info"
PUBLIC: Final = "kube-public"
KUBECONFIG: Final = "kubeconfig"
SIGNATURE: Final = "jws-kubeconfig-"


class BootstrapSigner(Controller):
    """Reconciles the one ConfigMap."""

    name = "bootstrap-signer-controller"
    aliases = ("bootstrapsigner",)
    service_account = "bootstrap-signer"

    def __init__(self, manager: ManagerContext) -> None:
        super().__init__(manager)
        self._secrets = self.informer("secrets")
        self._secrets.add_handler(
            on_add=self._token_changed,
            on_update=lambda _old, new: self._token_changed(new),
            on_delete=self._token_changed,
        )
        self._config_maps = self.informer("configmaps")
        self._config_maps.add_handler(
            on_add=self._seen, on_update=lambda _old, new: self._seen(new)
        )

    def _token_changed(self, secret: Object) -> None:
        if _is_token(secret):
            self.queue.add(f"{PUBLIC}/{CLUSTER_INFO}")

    def _seen(self, config_map: Object) -> None:
        metadata = config_map["metadata"]
        if metadata["name"] == CLUSTER_INFO and metadata["namespace"] == PUBLIC:
            self.enqueue(config_map)

    async def reconcile(self, key: str) -> None:
        """Sign with every token that is for signing, and with no other."""
        config_map = self._config_maps.lister.get_by_key(key)
        kubeconfig = (config_map or {}).get("data", {}).get(KUBECONFIG)
        if config_map is None or kubeconfig is None:
            return
        kept = {
            name: value
            for name, value in config_map["data"].items()
            if not name.startswith(SIGNATURE)
        }
        for secret in self._secrets.lister.list(NAMESPACE):
            if not _is_token(secret) or _field(secret, "usage-bootstrap-signing") != "true":
                continue
            token_id, token_secret = _field(secret, "token-id"), _field(secret, "token-secret")
            left_ns = _left_ns(secret, self.ctx.wall_ns())
            if token_id and token_secret and (left_ns is None or left_ns > 0):
                kept[SIGNATURE + token_id] = detached_signature(kubeconfig, token_id, token_secret)
                if left_ns is not None:
                    self.queue.add_after(key, left_ns)
        if kept == config_map["data"]:
            return
        try:
            await self.client.update("configmaps", {**config_map, "data": kept})
        except StatusError as error:
            if not is_not_found(error) and not is_conflict(error):
                raise


class TokenCleaner(Controller):
    """Reconciles bootstrap tokens: deletes each when it has expired."""

    name = "token-cleaner-controller"
    aliases = ("tokencleaner",)
    service_account = "token-cleaner"

    def __init__(self, manager: ManagerContext) -> None:
        super().__init__(manager)
        self._secrets = self.informer("secrets")
        self._secrets.add_handler(on_add=self._seen, on_update=lambda _old, new: self._seen(new))

    def _seen(self, secret: Object) -> None:
        if _is_token(secret):
            self.enqueue(secret)

    async def reconcile(self, key: str) -> None:
        """Delete one token if its time is over; come back if it is not yet."""
        secret = self._secrets.lister.get_by_key(key)
        if secret is None or "deletionTimestamp" in secret["metadata"]:
            return
        left_ns = _left_ns(secret, self.ctx.wall_ns())
        if left_ns is None:
            return
        if left_ns > 0:
            self.queue.add_after(object_key(secret), left_ns)
            return
        metadata = secret["metadata"]
        try:
            await self.client.delete(
                "secrets",
                metadata["name"],
                metadata["namespace"],
                preconditions={"uid": metadata["uid"]},
            )
        except StatusError as error:
            if not is_not_found(error) and not is_conflict(error):
                raise


def detached_signature(content: str, token_id: str, token_secret: str) -> str:
    """A JWS over the content, which is left out of it."""
    header = _encode(json.dumps({"alg": "HS256", "kid": token_id}, separators=(",", ":")).encode())
    signed = f"{header}.{_encode(content.encode())}"
    digest = hmac.new(token_secret.encode(), signed.encode(), hashlib.sha256).digest()
    return f"{header}..{_encode(digest)}"


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _is_token(secret: Object) -> bool:
    return secret.get("type") == TYPE and secret["metadata"]["namespace"] == NAMESPACE


def _field(secret: Object, name: str) -> str:
    return text_of((secret.get("data") or {}).get(name))


def _left_ns(secret: Object, wall_ns: int) -> int | None:
    """How long a token is good still; None: forever. One that cannot be read has expired."""
    expiration = _field(secret, "expiration")
    if not expiration:
        return None
    try:
        return parse_time(expiration) - wall_ns
    except ValueError:
        return 0
