"""ServiceAccount controller: every active namespace has a ServiceAccount called `default`."""

from __future__ import annotations

from k8sactors.api.errors import StatusError
from k8sactors.client import is_already_exists
from k8sactors.controllers.machinery.api_errors import is_namespace_terminating
from k8sactors.controllers.machinery.controller import Controller, ManagerContext, Object

DEFAULT_ACCOUNT = "default"


class ServiceAccountController(Controller):
    """Reconciles namespaces: creates what is missing there."""

    name = "serviceaccount-controller"
    aliases = ("serviceaccount",)
    service_account = "service-account-controller"

    def __init__(self, manager: ManagerContext) -> None:
        super().__init__(manager)
        self._namespaces = self.watch_own("namespaces")
        self._accounts = self.informer("serviceaccounts")
        self._accounts.add_handler(on_delete=self._account_deleted)

    def _account_deleted(self, account: Object) -> None:
        self.queue.add(account["metadata"]["namespace"])

    async def reconcile(self, key: str) -> None:
        """Create the default account of a namespace, unless the namespace is on its way out."""
        namespace = self._namespaces.lister.get(None, key)
        if namespace is None or "deletionTimestamp" in namespace["metadata"]:
            return
        if self._accounts.lister.get(key, DEFAULT_ACCOUNT) is not None:
            return
        account = {
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": {"name": DEFAULT_ACCOUNT, "namespace": key},
        }
        try:
            await self.client.create("serviceaccounts", account)
        except StatusError as error:
            if not is_already_exists(error) and not is_namespace_terminating(error):
                raise
