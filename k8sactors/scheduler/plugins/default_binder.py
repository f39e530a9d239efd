"""DefaultBinder: POSTs the binding subresource of the pod."""

from k8sactors.scheduler.errors import ConfigurationError
from k8sactors.scheduler.framework.interfaces import BindPlugin, Done
from k8sactors.scheduler.framework.status import CycleState
from k8sactors.scheduler.handle import Handle
from k8sactors.scheduler.nodeinfo import NodeInfo
from k8sactors.scheduler.podinfo import PodInfo

__all__ = ["DefaultBinder"]


class DefaultBinder(BindPlugin):
    """Binds through the API server."""

    name = "DefaultBinder"

    def __init__(self, handle: Handle) -> None:
        self._handle = handle

    def bind(self, state: CycleState, pod: PodInfo, node: NodeInfo, done: Done) -> None:
        """Send the binding; `done` is called when the API server has answered."""
        del state
        if self._handle.api is None:
            raise ConfigurationError("nothing can be bound without access to the API server")
        self._handle.api.bind(pod, node.name, done)
