"""The arithmetic of a disruption budget: pure functions of the budget and its pods.

A pod is healthy when it is ready, is not being deleted, and the eviction API has not just let it
go. An eviction that was let through and has not happened within two minutes counts no longer.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from k8sactors.api.meta import get_condition, parse_time
from k8sactors.controllers.machinery.pods import is_ready
from k8sactors.simulation import SECOND

Object = dict[str, Any]

DELETION_TIMEOUT_NS: Final = 120 * SECOND
_PERCENT: Final = 100


def share_of(value: int | str, count: int) -> int:
    """A number, or that percentage of `count`, rounded up."""
    if isinstance(value, str):
        return -(-int(value.removesuffix("%")) * count // _PERCENT)
    return value


def needs_scale(budget: Object) -> bool:
    """Whether the budget is about the pods that there should be, not those that there are."""
    spec = budget["spec"]
    return spec.get("maxUnavailable") is not None or isinstance(spec.get("minAvailable"), str)


def desired_healthy(budget: Object, expected: int) -> int:
    """How many of `expected` pods must stay healthy."""
    spec = budget["spec"]
    if spec.get("maxUnavailable") is not None:
        return max(0, expected - share_of(spec["maxUnavailable"], expected))
    return share_of(spec.get("minAvailable") or 0, expected)


def unconfirmed(
    budget: Object, pods: Iterable[Object], wall_ns: int
) -> tuple[dict[str, str], list[Object], int | None]:
    """Evictions that were let through and have not happened.

    Gives those that still may (with their time), the pods that stayed too long, and when to look
    again.
    """
    known = (budget.get("status") or {}).get("disruptedPods") or {}
    waiting: dict[str, str] = {}
    stayed: list[Object] = []
    recheck_ns: int | None = None
    for pod in pods if known else ():
        name = pod["metadata"]["name"]
        if "deletionTimestamp" in pod["metadata"] or name not in known:
            continue
        until_ns = parse_time(known[name]) + DELETION_TIMEOUT_NS
        if until_ns <= wall_ns:
            stayed.append(pod)
        else:
            waiting[name] = known[name]
            recheck_ns = until_ns if recheck_ns is None else min(recheck_ns, until_ns)
    return waiting, stayed, recheck_ns


def healthy(pods: Iterable[Object], leaving: Iterable[str]) -> int:
    """How many pods are healthy; `leaving` are the names of those that may go any moment."""
    gone = set(leaving)
    return sum(
        "deletionTimestamp" not in pod["metadata"]
        and pod["metadata"]["name"] not in gone
        and is_ready(pod)
        for pod in pods
    )


def stale_disruption_in_ns(pod: Object, wall_ns: int, timeout_ns: int) -> int | None:
    """When the condition DisruptionTarget of a pod that stays is out of date; None: never.

    A kubelet that ends a pod may take its time, and a pod that has ended keeps its reason.
    """
    condition = get_condition(pod, "DisruptionTarget")
    if condition is None or condition["status"] != "True":
        return None
    if "deletionTimestamp" in pod["metadata"] or condition.get("reason") == "TerminationByKubelet":
        return None
    if (pod.get("status") or {}).get("phase") in {"Succeeded", "Failed"}:
        return None
    since = condition.get("lastTransitionTime")
    return max(0, parse_time(since) + timeout_ns - wall_ns) if since else 0
