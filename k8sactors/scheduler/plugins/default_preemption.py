"""DefaultPreemption: when nothing fits, remove pods of lower priority from one node.

A node is a candidate when its refusal could be cured by removing pods (UNSCHEDULABLE) and the pod
fits once every pod of lower priority is gone. From each candidate as many of those pods as possible
are kept, the important ones first; the rest are its victims. Places that were promised to pods of
the same or a higher priority stay promised. The node chosen has the least important most important
victim, then the smallest sum of priorities, then the fewest victims.
"""

from collections.abc import Mapping, Sequence

import attrs

from k8sactors.scheduler.diagnosis import fit_message
from k8sactors.scheduler.evaluation import crowded, filter_node
from k8sactors.scheduler.framework.events import ActionType, ClusterEvent, EventHint
from k8sactors.scheduler.framework.interfaces import PostFilterPlugin, PostFilterResult
from k8sactors.scheduler.framework.status import Code, CycleState, Status
from k8sactors.scheduler.handle import Handle
from k8sactors.scheduler.nodeinfo import NodeInfo
from k8sactors.scheduler.podinfo import PodInfo

__all__ = ["DefaultPreemption"]

_NO_VICTIMS = Status(
    Code.UNSCHEDULABLE_AND_UNRESOLVABLE, ("No preemption victims found for incoming pod",)
)
_NOT_HELPFUL = "Preemption is not helpful for scheduling"


@attrs.frozen
class _Candidate:
    node: NodeInfo
    victims: tuple[PodInfo, ...]

    @property
    def cost(self) -> tuple[int, int, int]:
        priorities = [victim.priority for victim in self.victims]
        return max(priorities), sum(priorities), len(priorities)


class DefaultPreemption(PostFilterPlugin):
    """Makes room for pods of higher priority."""

    name = "DefaultPreemption"

    def __init__(self, handle: Handle) -> None:
        self._handle = handle

    def post_filter(
        self, state: CycleState, pod: PodInfo, refused: Mapping[str, Status]
    ) -> PostFilterResult | None:
        """Delete the victims on the best candidate and nominate it, or say why there is none."""
        if (pod.obj["spec"].get("preemptionPolicy") or "") == "Never":
            return PostFilterResult(
                message="preemption: not eligible due to preemptionPolicy=Never."
            )
        promised = self._handle.nominations.node_of(pod.uid)
        if self._awaits_victims(pod, promised):
            message = "not eligible due to a terminating pod on the nominated node."
            return PostFilterResult(promised, f"preemption: {message}")
        candidates, failures = self._find_candidates(state, pod, refused)
        if not candidates:
            node_count = self._handle.cache.node_count
            message = fit_message(node_count, failures, absent_reason=_NOT_HELPFUL)
            return PostFilterResult(message=f"preemption: {message}")
        chosen = min(candidates, key=lambda candidate: candidate.cost)
        if self._handle.api is not None:
            for victim in chosen.victims:
                self._handle.api.delete_pod(
                    victim, f"Preempted by pod {pod.uid} on node {chosen.node.name}"
                )
        return PostFilterResult(nominated_node=chosen.node.name)

    def events_to_register(self) -> Sequence[EventHint]:
        """The victims go."""
        return (EventHint(ClusterEvent("AssignedPod", ActionType.DELETE)),)

    def _awaits_victims(self, pod: PodInfo, promised: str) -> bool:
        node = self._handle.cache.nodes.get(promised)
        return node is not None and any(
            present.priority < pod.priority and "deletionTimestamp" in present.obj["metadata"]
            for present in node.pods.values()
        )

    def _find_candidates(
        self, state: CycleState, pod: PodInfo, refused: Mapping[str, Status]
    ) -> tuple[list[_Candidate], dict[str, Status]]:
        cache = self._handle.cache
        curable = [name for name, status in refused.items() if status.code is Code.UNSCHEDULABLE]
        if not cache.has_pods_below(pod.priority):
            return [], dict.fromkeys(curable, _NO_VICTIMS)
        candidates: list[_Candidate] = []
        failures: dict[str, Status] = {}
        promises = self._handle.nominations.against(pod)
        for name in curable:
            found = _dry_run(state, pod, cache.nodes[name], promises)
            if isinstance(found, _Candidate):
                candidates.append(found)
            else:
                failures[name] = found
        return candidates, failures


def _dry_run(
    state: CycleState, pod: PodInfo, node: NodeInfo, promises: Mapping[str, list[PodInfo]]
) -> _Candidate | Status:
    lower = [present for present in node.pods.values() if present.priority < pod.priority]
    if not lower:
        return _NO_VICTIMS
    trial = crowded(node, promises).copy()
    for present in lower:
        trial.remove_pod(present.uid)
    status = filter_node(state, pod, trial)
    if status is not None:
        return status
    victims: list[PodInfo] = []
    for present in sorted(lower, key=_importance):
        trial.add_pod(present)
        if filter_node(state, pod, trial) is not None:
            trial.remove_pod(present.uid)
            victims.append(present)
    assert victims, "a pod that fits beside everybody was not refused"
    return _Candidate(node, tuple(victims))


def _importance(pod: PodInfo) -> tuple[int, str]:
    """Sorts the more important first: higher priority, then longer running."""
    return -pod.priority, (pod.obj.get("status") or {}).get("startTime") or "~"
