"""DefaultPreemption: when nothing fits, remove pods of lower priority from one node.

A node is a candidate when removing pods could resolve its refusal (UNSCHEDULABLE) and the pod fits
once every pod of lower priority is gone. From each candidate as many of those pods as possible are
kept, first those whose disruption budgets have no room, then the others, the important ones first;
the rest are its victims. Pods of the same or a higher priority that are nominated to the node count
as present. The node chosen violates the fewest budgets; then it has the least important most
important victim, the smallest sum of priorities, the fewest victims, and the one whose most
important victims have started last.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from functools import partial
from typing import Any

import attrs

from k8sactors.api.meta import get_condition
from k8sactors.scheduler.diagnosis import fit_message
from k8sactors.scheduler.disruption_budgets import DisruptionBudgets
from k8sactors.scheduler.evaluation import filter_node, looks_at_one_node, with_nominated_pods
from k8sactors.scheduler.events import ActionType, ClusterEvent, EventHint
from k8sactors.scheduler.framework.handle import Handle
from k8sactors.scheduler.framework.interfaces import CycleState, PostFilterPlugin, PostFilterResult
from k8sactors.scheduler.framework.status import Code, Status
from k8sactors.scheduler.node_memo import NodeMemos
from k8sactors.scheduler.nodeinfo import NodeInfo
from k8sactors.scheduler.podinfo import PodInfo

__all__ = ["DefaultPreemption"]

_NO_VICTIMS = Status(
    Code.UNSCHEDULABLE_AND_UNRESOLVABLE, ("No preemption victims found for incoming pod",)
)
_NOT_HELPFUL = "Preemption is not helpful for scheduling"


# Added to priorities before they are summed, so that none is negative: more victims cost more.
_PRIORITY_OFFSET = 2**31


@attrs.frozen
class _Candidate:
    node: NodeInfo
    # The more important first.
    victims: tuple[PodInfo, ...]
    violation_count: int
    # The smaller the better.
    cost: tuple[int, int, int, int] = attrs.field(init=False)
    # When the first of its most important victims has started.
    first_start: str = attrs.field(init=False)

    @cost.default
    def _cost(self) -> tuple[int, int, int, int]:
        priorities = [victim.priority for victim in self.victims]
        total = sum(priorities) + len(priorities) * _PRIORITY_OFFSET
        return self.violation_count, max(priorities), total, len(priorities)

    @first_start.default
    def _first_start(self) -> str:
        highest = self.victims[0].priority
        return min(_start_time(victim) for victim in self.victims if victim.priority == highest)


class DefaultPreemption(PostFilterPlugin):
    """Makes room for pods of higher priority."""

    name = "DefaultPreemption"
    default_position = 150

    def __init__(self, handle: Handle) -> None:
        super().__init__(handle)
        self._budgets = (
            None if handle.informers is None else handle.lister("poddisruptionbudgets.policy")
        )
        self._memos: NodeMemos[_Candidate | Status] = NodeMemos()
        # The uids of victims that are being deleted, also when no watch has shown it yet.
        self._evicted: dict[str, None] = {}

    def sign(self, pod: PodInfo) -> Hashable | None:
        """What Filter looks at, and what tells whom the pod may preempt."""
        return pod.requirements, pod.priority, _may_preempt(pod)

    def post_filter(
        self, state: CycleState, pod: PodInfo, refused: Mapping[str, Status]
    ) -> PostFilterResult | None:
        """Delete the victims on the best candidate and nominate it, or say why there is none."""
        if not _may_preempt(pod):
            return PostFilterResult(
                message="preemption: not eligible due to preemptionPolicy=Never."
            )
        nominated_node = self.handle.nominations.node_of(pod.uid)
        if self._awaits_victims(state, pod, nominated_node, refused):
            message = "not eligible due to a terminating pod on the nominated node."
            return PostFilterResult(nominated_node, f"preemption: {message}")
        candidates, failures = self._find_candidates(state, pod, refused)
        if not candidates:
            node_count = self.handle.cache.node_count
            message = fit_message(node_count, failures, absent_reason=_NOT_HELPFUL)
            return PostFilterResult(message=f"preemption: {message}")
        chosen = _cheapest(candidates)
        self._evict(pod, chosen)
        return PostFilterResult(nominated_node=chosen.node.name)

    def events_to_register(self) -> Sequence[EventHint]:
        """The victims go, or something happens on the nominated node that may make it useless."""
        node_action = ActionType.DELETE | ActionType.UPDATE
        return (
            EventHint(ClusterEvent("AssignedPod", ActionType.DELETE)),
            EventHint(ClusterEvent("AssignedPod", ActionType.ADD), self._takes_nominated_room),
            EventHint(ClusterEvent("Node", node_action), self._is_nominated_node),
        )

    def _takes_nominated_room(self, pod: PodInfo, _old: Any, new: PodInfo) -> bool:
        return self.handle.nominations.node_of(pod.uid) == new.node_name

    def _is_nominated_node(self, pod: PodInfo, old: NodeInfo | None, new: NodeInfo | None) -> bool:
        node = new or old
        return node is not None and self.handle.nominations.node_of(pod.uid) == node.name

    def _evict(self, pod: PodInfo, chosen: _Candidate) -> None:
        api = self.handle.api
        if api is None:
            return
        cache = self.handle.cache
        self._evicted = {uid: None for uid in self._evicted if cache.pod(uid) is not None}
        for victim in chosen.victims:
            self._evicted[victim.uid] = None
            message = f"Preempted by pod {pod.uid} on node {chosen.node.name}"
            api.evict(victim, message, partial(self._eviction_failed, pod, victim))

    def _eviction_failed(self, pod: PodInfo, victim: PodInfo) -> None:
        """Look again what can be done: no watch event would bring the pod back."""
        self._evicted.pop(victim.uid, None)
        self.handle.retry(pod)

    def _awaits_victims(
        self, state: CycleState, pod: PodInfo, nominated_node: str, refused: Mapping[str, Status]
    ) -> bool:
        """Whether the nominated node will take the pod once the victims there have gone.

        kube-scheduler waits for any victim there, unless removing pods cannot help any more. Here
        the victims must suffice, so that the pod does not wait in vain for room that a more
        important pod has taken meanwhile.
        """
        if nominated_node not in refused:
            return False  # the node has gone, or the pod must not look at it any more
        node = self.handle.cache.nodes[nominated_node]
        leaving = [
            present.uid
            for present in node.pods.values()
            if present.priority < pod.priority and self._is_leaving(present)
        ]
        if not leaving:
            return False
        trial = with_nominated_pods(node, self.handle.nominations.against(pod)).copy()
        for uid in leaving:
            trial.remove_pod(uid)
        return filter_node(state, pod, trial) is None

    def _is_leaving(self, present: PodInfo) -> bool:
        return present.uid in self._evicted or _is_terminating_by_preemption(present.obj)

    def _find_candidates(
        self, state: CycleState, pod: PodInfo, refused: Mapping[str, Status]
    ) -> tuple[list[_Candidate], dict[str, Status]]:
        cache = self.handle.cache
        resolvable = [name for name, status in refused.items() if status.code is Code.UNSCHEDULABLE]
        if not cache.has_pods_below(pod.priority):
            return [], dict.fromkeys(resolvable, _NO_VICTIMS)
        candidates: list[_Candidate] = []
        failures: dict[str, Status] = {}
        nominated = self.handle.nominations.against(pod)
        listed = () if self._budgets is None else self._budgets.list()
        budgets = DisruptionBudgets(listed)

        def dry_run(node: NodeInfo) -> _Candidate | Status:
            return _dry_run(state, pod, node, nominated, budgets)

        memo = None
        if not listed and looks_at_one_node(state):
            memo = self._memos.of((pod.requirements, pod.priority), cache.node_count)
        for name in resolvable:
            node = cache.nodes[name]
            found = dry_run(node) if memo is None else memo.of(node, nominated.get(name), dry_run)
            if isinstance(found, _Candidate):
                candidates.append(found)
            else:
                failures[name] = found
        return candidates, failures


def _cheapest(candidates: list[_Candidate]) -> _Candidate:
    lowest = min(candidate.cost for candidate in candidates)
    equal = [candidate for candidate in candidates if candidate.cost == lowest]
    return max(equal, key=lambda candidate: candidate.first_start)


def _dry_run(
    state: CycleState,
    pod: PodInfo,
    node: NodeInfo,
    nominated: Mapping[str, list[PodInfo]],
    budgets: DisruptionBudgets,
) -> _Candidate | Status:
    lower = [present for present in node.pods.values() if present.priority < pod.priority]
    if not lower:
        return _NO_VICTIMS
    trial = with_nominated_pods(node, nominated).copy()
    for present in lower:
        trial.remove_pod(present.uid)
    status = filter_node(state, pod, trial)
    if status is not None:
        return status
    violating, others = budgets.divide(sorted(lower, key=_importance))
    victims = _not_kept(state, pod, trial, violating)
    violation_count = len(victims)
    victims += _not_kept(state, pod, trial, others)
    assert victims, "a pod that fits next to all pods was not refused"
    return _Candidate(node, tuple(sorted(victims, key=_importance)), violation_count)


def _not_kept(
    state: CycleState, pod: PodInfo, trial: NodeInfo, present_pods: list[PodInfo]
) -> list[PodInfo]:
    """Put pods back on a node as long as the new pod fits too; the others are its victims."""
    victims: list[PodInfo] = []
    for present in present_pods:
        trial.add_pod(present)
        if filter_node(state, pod, trial) is not None:
            trial.remove_pod(present.uid)
            victims.append(present)
    return victims


def _may_preempt(pod: PodInfo) -> bool:
    policy: str | None = pod.obj["spec"].get("preemptionPolicy")
    return policy != "Never"


def _is_terminating_by_preemption(obj: dict[str, Any]) -> bool:
    if "deletionTimestamp" not in obj["metadata"]:
        return False
    target = get_condition(obj, "DisruptionTarget") or {}
    return target.get("status") == "True" and target.get("reason") == "PreemptionByScheduler"


def _importance(pod: PodInfo) -> tuple[int, str]:
    """Sorts the more important first: higher priority, then longer running."""
    return -pod.priority, _start_time(pod)


def _start_time(pod: PodInfo) -> str:
    """A pod that has not started yet is the last one."""
    return (pod.obj.get("status") or {}).get("startTime") or "~"
