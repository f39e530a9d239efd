"""Root CA publisher: every active namespace has the ConfigMap `kube-root-ca.crt`."""

from __future__ import annotations

import attrs

from k8sactors.api.errors import StatusError
from k8sactors.client import is_already_exists
from k8sactors.controllers.machinery.api_errors import is_namespace_terminating
from k8sactors.controllers.machinery.controller import Controller, ManagerContext, Object
from k8sactors.controllers.machinery.options import ControllerOptions
from k8sactors.controllers.machinery.root_ca import PLACE_HOLDER

CONFIG_MAP = "kube-root-ca.crt"
DESCRIPTION = "kubernetes.io/description"


@attrs.frozen
class RootCAPublisherOptions(ControllerOptions):
    """What is published."""

    root_ca: str = PLACE_HOLDER


class RootCAPublisher(Controller):
    """Creates the ConfigMap where it is missing, and repairs it where it was changed."""

    name = "root-ca-certificate-publisher-controller"
    aliases = ("root-ca-cert-publisher",)
    service_account = "root-ca-cert-publisher"
    options_type = RootCAPublisherOptions
    options: RootCAPublisherOptions

    def __init__(self, manager: ManagerContext) -> None:
        super().__init__(manager)
        self._namespaces = self.watch_own("namespaces")
        self._config_maps = self.informer("configmaps")
        self._config_maps.add_handler(
            on_update=lambda _old, new: self._changed(new), on_delete=self._changed
        )
        self._data = {"ca.crt": self.options.root_ca}

    def _changed(self, config_map: Object) -> None:
        if config_map["metadata"]["name"] == CONFIG_MAP:
            self.queue.add(config_map["metadata"]["namespace"])

    async def reconcile(self, key: str) -> None:
        """Write the ConfigMap of one namespace, if it is not what it should be."""
        namespace = self._namespaces.lister.get(None, key)
        if namespace is None or "deletionTimestamp" in namespace["metadata"]:
            return
        current = self._config_maps.lister.get(key, CONFIG_MAP)
        if current is not None:
            if current.get("data") != self._data:
                await self.client.update("configmaps", {**current, "data": self._data})
            return
        note = (
            "Contains a CA bundle that can be used to verify the kube-apiserver when using "
            "internal endpoints such as the internal service IP or kubernetes.default.svc. "
            "No other usage is guaranteed across distributions of Kubernetes clusters."
        )
        body = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {
                "name": CONFIG_MAP,
                "namespace": key,
                "annotations": {DESCRIPTION: note},
            },
            "data": self._data,
        }
        try:
            await self.client.create("configmaps", body)
        except StatusError as error:
            if not is_already_exists(error) and not is_namespace_terminating(error):
                raise
