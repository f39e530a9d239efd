"""DefaultBinder: POSTs the binding subresource of the pod."""

from __future__ import annotations

from k8sactors.scheduler.errors import ConfigurationError
from k8sactors.scheduler.framework.interfaces import BindPlugin, CycleState, Done
from k8sactors.scheduler.nodeinfo import NodeInfo
from k8sactors.scheduler.podinfo import PodInfo

__all__ = ["DefaultBinder"]


class DefaultBinder(BindPlugin):
    """Binds through the API server."""

    name = "DefaultBinder"
    default_position = 180

    def bind(self, state: CycleState, pod: PodInfo, node: NodeInfo, done: Done) -> None:
        """Send the binding; `done` is called when the API server has answered."""
        del state
        if self.handle.api is None:
            raise ConfigurationError("nothing can be bound without access to the API server")
        self.handle.api.bind(pod, node.name, done)
