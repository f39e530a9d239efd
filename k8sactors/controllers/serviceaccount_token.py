"""ServiceAccount token controller: fills Secrets of type `kubernetes.io/service-account-token`.

Such a Secret names its account in an annotation; it gets a token that does not expire, the CA and
the namespace. A Secret whose account is gone, or is another one by now, is deleted. Source:
documentation of ServiceAccounts ("Manually create a long-lived API token").
"""

from __future__ import annotations

import base64
from typing import Final

import attrs

from k8sactors.api.errors import StatusError
from k8sactors.apiserver.authn.service_account import LEGACY_TYPE, TokenKey, legacy_token
from k8sactors.client import is_conflict, is_not_found
from k8sactors.controllers.machinery.controller import Controller, ManagerContext, Object
from k8sactors.controllers.machinery.options import ControllerOptions
from k8sactors.controllers.machinery.root_ca import PLACE_HOLDER

NAME: Final = "kubernetes.io/service-account.name"
UID: Final = "kubernetes.io/service-account.uid"
ACCOUNTS: Final = "serviceaccounts"


@attrs.frozen
class ServiceAccountTokenOptions(ControllerOptions):
    """What tokens are signed with, and the CA that goes with them."""

    service_account_token_key: TokenKey = attrs.field(default=TokenKey(), repr=False)
    root_ca: str = PLACE_HOLDER


class ServiceAccountTokenController(Controller):
    """Reconciles Secrets of that type."""

    name = "serviceaccount-token-controller"
    aliases = ("serviceaccount-token",)
    options_type = ServiceAccountTokenOptions
    options: ServiceAccountTokenOptions

    def __init__(self, manager: ManagerContext) -> None:
        super().__init__(manager)
        # As in the real manager it needs more rights than it could have as an account of its own.
        self.client = manager.client
        self._secrets = self.informer("secrets")
        self._secrets.add_handler(on_add=self._seen, on_update=lambda _old, new: self._seen(new))
        self._accounts = self.informer(ACCOUNTS)
        self._accounts.add_handler(on_add=self._account_changed, on_delete=self._account_changed)

    def _seen(self, secret: Object) -> None:
        if secret.get("type") == LEGACY_TYPE:
            self.enqueue(secret)

    def _account_changed(self, account: Object) -> None:
        metadata = account["metadata"]
        for secret in self._secrets.lister.list(metadata["namespace"]):
            if _annotation(secret, NAME) == metadata["name"]:
                self._seen(secret)

    async def reconcile(self, key: str) -> None:
        """Fill one Secret, or delete it."""
        key_of_tokens = self.options.service_account_token_key.make
        secret = self._secrets.lister.get_by_key(key)
        if secret is None or "deletionTimestamp" in secret["metadata"] or key_of_tokens is None:
            return
        metadata = secret["metadata"]
        namespace, name = metadata["namespace"], metadata["name"]
        account = await self._account(secret)
        try:
            if account is None:
                options = {"preconditions": {"uid": metadata["uid"]}}
                await self.client.delete("secrets", name, namespace, **options)
                return
            uid = account["metadata"]["uid"]
            data = dict(secret.get("data") or {})
            wanted = {"ca.crt": self.options.root_ca, "namespace": namespace}
            if not data.get("token"):
                account_name = account["metadata"]["name"]
                wanted["token"] = legacy_token(key_of_tokens(), namespace, account_name, uid, name)
            for field, text in wanted.items():
                data[field] = base64.b64encode(text.encode()).decode()
            annotations = {**metadata["annotations"], UID: uid}
            filled = {
                **secret,
                "data": data,
                "metadata": {**metadata, "annotations": annotations},
            }
            if filled != secret:
                await self.client.update("secrets", filled)
        except StatusError as error:
            if not is_not_found(error) and not is_conflict(error):
                raise

    async def _account(self, secret: Object) -> Object | None:
        """The account that a Secret is for; None: it does not exist, or is another one."""
        name, uid = _annotation(secret, NAME), _annotation(secret, UID)
        namespace = secret["metadata"]["namespace"]
        account = self._accounts.lister.get(namespace, name)
        if account is None:
            # Before a Secret is deleted for it, the server is asked.
            try:
                account = await self.client.get(ACCOUNTS, name, namespace)
            except StatusError as error:
                if not is_not_found(error):
                    raise
        if account is None or (uid and account["metadata"]["uid"] != uid):
            return None
        return account


def _annotation(secret: Object, name: str) -> str:
    return str((secret["metadata"].get("annotations") or {}).get(name) or "")
