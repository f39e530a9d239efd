"""PodNodeSelector: the pods of a namespace run on the nodes that are meant for it.

Source: documentation of admission controllers, "PodNodeSelector". A namespace names its nodes in an
annotation, or the configuration of the server does; a whitelist there limits what pods may ask for.
"""

from __future__ import annotations

from typing import Any, ClassVar, Final

from k8sactors.api import errors
from k8sactors.apiserver.admission_chain import Attributes, Plugin

ANNOTATION: Final = "scheduler.alpha.kubernetes.io/node-selector"
DEFAULT: Final = "clusterDefaultNodeSelector"


class PodNodeSelector(Plugin):
    """Adds the selector of the namespace to `nodeSelector`."""

    default: ClassVar[bool] = False
    order: ClassVar[int] = 130
    resources: ClassVar[tuple[str, ...] | None] = ("pods",)

    def admit(self, attributes: Attributes) -> None:
        """403 when the pod asks for other nodes."""
        obj = attributes.obj
        assert obj is not None
        wanted = self._selector(attributes)
        given = obj["spec"].get("nodeSelector") or {}
        if any(given.get(key, value) != value for key, value in wanted.items()):
            self._refuse(
                attributes,
                "pod node label selector conflicts with its namespace node label selector",
            )
        self._check(attributes, {**given, **wanted})
        if wanted:
            obj["spec"] = {**obj["spec"], "nodeSelector": {**given, **wanted}}

    def validate(self, attributes: Attributes) -> None:
        """403 when what was added is gone."""
        obj = attributes.obj
        assert obj is not None
        given = obj["spec"].get("nodeSelector") or {}
        if any(given.get(key, value) != value for key, value in self._selector(attributes).items()):
            self._refuse(
                attributes,
                "pod node label selector conflicts with its namespace node label selector",
            )
        self._check(attributes, given)

    def _check(self, attributes: Attributes, selector: dict[str, str]) -> None:
        whitelist = _parse(self._plugin_configuration().get(attributes.namespace) or "")
        if whitelist and any(whitelist.get(key, value) != value for key, value in selector.items()):
            self._refuse(
                attributes, "pod node label selector labels conflict with its namespace whitelist"
            )

    def _selector(self, attributes: Attributes) -> dict[str, str]:
        namespace = self.cluster.get(attributes, "namespaces", None, attributes.namespace) or {}
        annotations = (namespace.get("metadata") or {}).get("annotations") or {}
        text = annotations.get(ANNOTATION)
        if text is None:
            text = self._plugin_configuration().get(DEFAULT) or ""
        return _parse(text)

    def _plugin_configuration(self) -> dict[str, Any]:
        return self.configuration().get("podNodeSelectorPluginConfig") or {}

    @staticmethod
    def _refuse(attributes: Attributes, text: str) -> None:
        raise errors.forbidden(attributes.info, attributes.name, text)


def _parse(text: str) -> dict[str, str]:
    """The labels in `a=b,c=d`."""
    pairs = [part.partition("=") for part in text.split(",") if part.strip()]
    return {key.strip(): value.strip() for key, _, value in pairs}
