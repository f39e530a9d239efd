"""How replicas move: RollingUpdate, Recreate, and scaling without a new template."""

from __future__ import annotations

from typing import Any

from k8sactors.controllers.deployment import arithmetic
from k8sactors.controllers.deployment.rollout import Rollout

Object = dict[str, Any]


async def scale_new_set(rollout: Rollout) -> bool:
    """Grow (or shrink) the new ReplicaSet as far as the strategy allows; whether it changed."""
    wanted, current = rollout.deployment, rollout.current
    size = arithmetic.replicas(current)
    if size == arithmetic.replicas(wanted):
        return False
    if size > arithmetic.replicas(wanted):
        size = arithmetic.replicas(wanted)
    else:
        size = arithmetic.new_set_size(wanted, rollout.sets, current)
    if size == arithmetic.replicas(current):
        return False
    await rollout.scale(current, size)
    return True


async def roll_old_sets(rollout: Rollout) -> bool:
    """Shrink the old ReplicaSets as far as maxUnavailable allows; whether anything changed.

    Pods that are not available go first, because no client misses them. Pods of the new ReplicaSet
    that are not available count against the budget, so that a broken template stops the rollout.
    """
    deployment = rollout.deployment
    old_sets = arithmetic.active(rollout.old_sets)
    if not old_sets:
        return False
    must_stay = arithmetic.replicas(deployment) - arithmetic.max_unavailable(deployment)
    current = rollout.current
    new_unavailable = arithmetic.replicas(current) - arithmetic.status_count(
        current, "availableReplicas"
    )
    budget = arithmetic.total(rollout.sets) - must_stay - new_unavailable
    if budget <= 0:
        return False
    removed = await _remove_unhealthy(rollout, old_sets, budget)
    available = arithmetic.total_status(rollout.sets, "availableReplicas")
    removed += await _remove_available(rollout, available - must_stay)
    return removed > 0


async def _remove_unhealthy(rollout: Rollout, old_sets: list[Object], budget: int) -> int:
    removed = 0
    for each in rollout.sets_by_age(old_sets):
        if removed >= budget:
            break
        size = arithmetic.replicas(each)
        unavailable = size - arithmetic.status_count(each, "availableReplicas")
        fewer = min(budget - removed, unavailable)
        if fewer > 0:
            await rollout.scale(each, size - fewer)
            removed += fewer
    return removed


async def _remove_available(rollout: Rollout, budget: int) -> int:
    removed = 0
    for each in rollout.sets_by_age(arithmetic.active(rollout.old_sets)):
        if removed >= budget:
            break
        size = arithmetic.replicas(each)
        fewer = min(size, budget - removed)
        await rollout.scale(each, size - fewer)
        removed += fewer
    return removed


async def stop_old_sets(rollout: Rollout) -> bool:
    """Recreate: scale every old ReplicaSet to nothing; whether anything changed."""
    old_sets = arithmetic.active(rollout.old_sets)
    for each in old_sets:
        await rollout.scale(each, 0)
    return bool(old_sets)


async def scale_in_place(rollout: Rollout) -> None:
    """The Deployment's size changed: scale what there is, in proportion if it is several sets."""
    deployment = rollout.deployment
    only = _only_one(rollout)
    if only is not None:
        if arithmetic.replicas(only) != arithmetic.replicas(deployment):
            await rollout.scale(only, arithmetic.replicas(deployment))
        else:
            await rollout.scale(only, arithmetic.replicas(only))
        return
    if arithmetic.is_saturated(deployment, rollout.new_set):
        await stop_old_sets(rollout)
        return
    if arithmetic.is_rolling(deployment):
        sets = arithmetic.active(rollout.sets)
        for each, size in arithmetic.proportional_sizes(deployment, sets):
            await rollout.scale(each, size)


def _only_one(rollout: Rollout) -> Object | None:
    """The one active ReplicaSet; the latest one when none is active."""
    running = arithmetic.active(rollout.sets)
    if len(running) > 1:
        return None
    if running:
        return running[0]
    if rollout.new_set is not None:
        return rollout.new_set
    return max(rollout.old_sets, key=arithmetic.created, default=None)
