"""Which victims of preemption the PodDisruptionBudgets would rather keep.

A budget allows so many disruptions at the moment; the pods that it protects use them up in the
order in which they are asked for. Preemption does not obey budgets, it only prefers to: a node on
which fewer of them are violated is taken, and the pods that they protect are kept first.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import attrs

from k8sactors.api.selectors import Selector, parse_label_selector
from k8sactors.scheduler.podinfo import PodInfo

__all__ = ["DisruptionBudgets"]


@attrs.frozen
class _Budget:
    # Its place among all budgets.
    index: int
    selector: Selector
    allowed: int
    # Pods whose eviction is counted already, by name.
    disrupted: Mapping[str, Any]

    def protects(self, pod: PodInfo) -> bool:
        return self.selector.matches(pod.labels) and pod.name not in self.disrupted


class DisruptionBudgets:
    """The budgets of a cluster as they are now.

    Args:
        objects: the PodDisruptionBudgets. A budget whose selector selects everything or nothing
            protects no pod here, as in kube-scheduler.
    """

    def __init__(self, objects: Iterable[Mapping[str, Any]]) -> None:
        self._by_namespace: dict[str, list[_Budget]] = {}
        for index, obj in enumerate(objects):
            selector = parse_label_selector(obj["spec"].get("selector"))
            if selector.nothing or selector.empty:
                continue
            status = obj.get("status") or {}
            allowed = status.get("disruptionsAllowed") or 0
            budget = _Budget(index, selector, allowed, status.get("disruptedPods") or {})
            self._by_namespace.setdefault(obj["metadata"]["namespace"], []).append(budget)

    def divide(self, pods: Iterable[PodInfo]) -> tuple[list[PodInfo], list[PodInfo]]:
        """The pods without which a budget would be violated, and the others, in their order."""
        if not self._by_namespace:
            return [], list(pods)
        violating: list[PodInfo] = []
        others: list[PodInfo] = []
        left: dict[int, int] = {}
        for pod in pods:
            violates = False
            for budget in self._by_namespace.get(pod.namespace, ()):
                if budget.protects(pod):
                    left[budget.index] = left.get(budget.index, budget.allowed) - 1
                    violates = violates or left[budget.index] < 0
            (violating if violates else others).append(pod)
        return violating, others
