"""How many: the arithmetic of a rollout (maxSurge, maxUnavailable, proportional scaling).

Pure functions of the Deployment and its ReplicaSets.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

Object = dict[str, Any]
DESIRED_ANNOTATION = "deployment.kubernetes.io/desired-replicas"
MAX_ANNOTATION = "deployment.kubernetes.io/max-replicas"
PERCENT = 100


def replicas(obj: Object) -> int:
    """`spec.replicas`, 1 when it is not set."""
    count = obj["spec"].get("replicas")
    return 1 if count is None else int(count)


def status_count(obj: Object, field: str) -> int:
    """A counter of the status; counters that are 0 are left out there."""
    return int((obj.get("status") or {}).get(field) or 0)


def total(sets: Iterable[Object]) -> int:
    """Sum of `spec.replicas`."""
    return sum(replicas(each) for each in sets)


def total_status(sets: Iterable[Object], field: str) -> int:
    """Sum of a status counter."""
    return sum(status_count(each, field) for each in sets)


def active(sets: Iterable[Object]) -> list[Object]:
    """Those that should have pods."""
    return [each for each in sets if replicas(each) > 0]


def is_rolling(deployment: Object) -> bool:
    """Whether the strategy is RollingUpdate, the default."""
    strategy = deployment["spec"].get("strategy") or {}
    return bool(strategy.get("type", "RollingUpdate") == "RollingUpdate")


def _resolve(value: int | str | None, count: int, *, up: bool) -> int:
    if value is None:
        value = "25%"
    if isinstance(value, str):
        share = int(value.removesuffix("%")) * count
        return -(-share // PERCENT) if up else share // PERCENT
    return value


def fenceposts(deployment: Object) -> tuple[int, int]:
    """Surge (rounded up) and unavailable pods (rounded down) as numbers; never both 0."""
    settings = (deployment["spec"].get("strategy") or {}).get("rollingUpdate") or {}
    count = replicas(deployment)
    surge = _resolve(settings.get("maxSurge"), count, up=True)
    unavailable = _resolve(settings.get("maxUnavailable"), count, up=False)
    if surge == 0 and unavailable == 0:
        unavailable = 1
    return surge, unavailable


def max_surge(deployment: Object) -> int:
    """How many pods there may be above `spec.replicas`."""
    return fenceposts(deployment)[0] if is_rolling(deployment) else 0


def max_unavailable(deployment: Object) -> int:
    """How many of `spec.replicas` may be unavailable."""
    count = replicas(deployment)
    if not is_rolling(deployment) or count == 0:
        return 0
    return min(count, fenceposts(deployment)[1])


def new_set_size(deployment: Object, sets: Iterable[Object], new_set: Object) -> int:
    """The size that the new ReplicaSet may have now."""
    wanted, current = replicas(deployment), replicas(new_set)
    if not is_rolling(deployment):
        return wanted
    room = wanted + max_surge(deployment) - total(sets)
    if room <= 0:
        return current
    return current + min(room, wanted - current)


def annotation_count(obj: Object, annotation: str) -> int | None:
    """The number in an annotation, or None."""
    value = (obj["metadata"].get("annotations") or {}).get(annotation)
    return int(value) if value is not None and value.lstrip("-").isdigit() else None


def is_saturated(deployment: Object, new_set: Object | None) -> bool:
    """Whether the new ReplicaSet alone is what the Deployment wants."""
    if new_set is None:
        return False
    wanted = replicas(deployment)
    return (
        replicas(new_set) == wanted
        and annotation_count(new_set, DESIRED_ANNOTATION) == wanted
        and status_count(new_set, "availableReplicas") == wanted
    )


def _share(deployment: Object, each: Object) -> int:
    """By how much a ReplicaSet must grow to keep its share of the new total."""
    size = replicas(each)
    if replicas(deployment) == 0:
        return -size
    largest = replicas(deployment) + max_surge(deployment)
    before = annotation_count(each, MAX_ANNOTATION) or status_count(deployment, "replicas")
    if before == 0:
        return 0
    # Rounded half away from zero, in integers.
    return (2 * size * largest + before) // (2 * before) - size


def proportional_sizes(deployment: Object, sets: list[Object]) -> list[tuple[Object, int]]:
    """New sizes when the Deployment is scaled in the middle of a rollout, largest set first.

    What is added or removed is spread in proportion; the rest goes to the largest set. Among equal
    sets the newer ones grow first, and the older ones shrink first.
    """
    wanted = replicas(deployment)
    allowed = wanted + max_surge(deployment) if wanted > 0 else 0
    to_add = allowed - total(sets)
    ordered = sorted(sets, key=created, reverse=to_add > 0)
    ordered.sort(key=lambda each: -replicas(each))
    sizes = []
    added = 0
    for each in ordered:
        proportion = 0
        if to_add != added:
            share, left = _share(deployment, each), to_add - added
            if to_add > 0:
                proportion = min(share, left)
            elif to_add < 0:
                proportion = max(share, left)
        added += proportion
        sizes.append(replicas(each) + proportion)
    if sizes and to_add:
        sizes[0] = max(0, sizes[0] + to_add - added)
    return list(zip(ordered, sizes, strict=True))


def created(obj: Object) -> tuple[str, str]:
    """Sort key: age, oldest first."""
    return obj["metadata"].get("creationTimestamp") or "", obj["metadata"]["name"]
