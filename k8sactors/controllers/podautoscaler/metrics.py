"""The metrics of pods and objects, from what they are said to use (`api.simulated_usage`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from k8sactors.api.meta import controller_of
from k8sactors.api.simulated_usage import load_milli, usage_milli
from k8sactors.client import SharedInformer
from k8sactors.controllers.errors import MetricsError
from k8sactors.controllers.machinery.pods import is_ready

Object = dict[str, Any]

NOT_SERVED: Final = (
    "unable to fetch metrics from resource metrics API: the server could not find the requested "
    "resource (get pods.metrics.k8s.io)"
)


class SimulatedMetrics:
    """Values by pod name, in thousandths. `owners` are the informers of workloads, by kind."""

    def __init__(self, owners: dict[str, SharedInformer]) -> None:
        self._owners = owners

    def resource(self, pods: Sequence[Object], name: str, container: str = "") -> dict[str, int]:
        """What these pods, or one container of each, use of a resource.

        Raises:
            MetricsError: none of them says so.
        """
        found = self._usage(pods, name, container)
        if not found:
            raise MetricsError(NOT_SERVED)
        return found

    def custom(self, pods: Sequence[Object], name: str) -> dict[str, int]:
        """A metric of these pods.

        Raises:
            MetricsError: none of them has it.
        """
        found = self._usage(pods, name, "")
        if not found:
            raise MetricsError("no metrics returned from custom metrics API")
        return found

    def _usage(self, pods: Sequence[Object], name: str, container: str) -> dict[str, int]:
        found: dict[str, int] = {}
        sharing: dict[str, list[Object]] = {}
        loads: dict[str, int] = {}
        for pod in pods:
            own = usage_milli(pod, name, container)
            if own is not None:
                found[pod["metadata"]["name"]] = own
            elif is_ready(pod):
                for workload in self._workloads_of(pod):
                    load = load_milli(workload, name)
                    if load is not None:
                        uid = workload["metadata"]["uid"]
                        sharing.setdefault(uid, []).append(pod)
                        loads[uid] = load
                        break
        for uid, sharers in sharing.items():
            for pod in sharers:
                part = loads[uid] // len(sharers)
                if container:
                    part //= len(pod["spec"].get("containers") or ("",))
                found[pod["metadata"]["name"]] = part
        return found

    def _workloads_of(self, obj: Object) -> list[Object]:
        """What controls it, and what controls that."""
        above: list[Object] = []
        reference = controller_of(obj)
        while reference is not None:
            informer = self._owners.get(reference["kind"])
            namespace = obj["metadata"].get("namespace")
            owner = None if informer is None else informer.lister.get(namespace, reference["name"])
            if owner is None or owner["metadata"]["uid"] != reference["uid"]:
                break
            above.append(owner)
            reference = controller_of(owner)
        return above
