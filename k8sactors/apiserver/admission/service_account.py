"""ServiceAccount: every pod runs as somebody.

Source: documentation of admission controllers, "ServiceAccount". The account named `default` is
made by a controller shortly after the namespace, so a pod may have to wait a moment for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from k8sactors.api import errors
from k8sactors.apiserver.admission.chain import Plugin
from k8sactors.apiserver.errors import LookupNeededError
from k8sactors.apiserver.keys import key_of

if TYPE_CHECKING:
    from k8sactors.apiserver.call import Call

DEFAULT_ACCOUNT = "default"


class ServiceAccount(Plugin):
    """Fills in `serviceAccountName` and checks that the account exists."""

    resources: ClassVar[tuple[str, ...] | None] = ("pods",)

    def admit(self, call: Call, obj: dict[str, Any] | None) -> None:
        """403 when the account is missing."""
        assert obj is not None
        spec = obj["spec"]
        account = spec.get("serviceAccountName")
        if not account:
            account = spec.get("serviceAccount") or DEFAULT_ACCOUNT
            spec = obj["spec"] = {**spec, "serviceAccountName": account, "serviceAccount": account}
        elif spec.get("serviceAccount") != account:
            spec = obj["spec"] = {**spec, "serviceAccount": account}
        if not self.cluster.config.service_account_must_exist:
            return
        namespace = call.namespace
        if self.cluster.cached_version("serviceaccounts", namespace, account):
            return
        key = key_of("serviceaccounts", namespace, account)
        if call.known is None or key not in call.known:
            wanted = account == DEFAULT_ACCOUNT
            raise LookupNeededError(
                key, self.cluster.config.service_account_wait_ns if wanted else 0
            )
        if call.known[key] is None:
            name = obj["metadata"].get("name") or ""
            raise errors.forbidden(
                call.resource.info,
                name,
                f"error looking up service account {namespace}/{account}: "
                f'serviceaccount "{account}" not found',
            )
