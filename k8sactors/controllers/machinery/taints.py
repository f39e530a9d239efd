"""Taints that the node controllers set, and how a pod tolerates them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

from k8sactors.api.meta import format_time, get_condition
from k8sactors.client import Client
from k8sactors.client.client import retry_on_conflict

Object = dict[str, Any]
NOT_READY: Final = "node.kubernetes.io/not-ready"
UNREACHABLE: Final = "node.kubernetes.io/unreachable"
UNSCHEDULABLE: Final = "node.kubernetes.io/unschedulable"
NO_SCHEDULE: Final = "NoSchedule"
NO_EXECUTE: Final = "NoExecute"

# Condition type -> status -> key of the NoSchedule taint that stands for it (KEP-382).
CONDITION_TAINTS: Final = {
    "Ready": {"False": NOT_READY, "Unknown": UNREACHABLE},
    "MemoryPressure": {"True": "node.kubernetes.io/memory-pressure"},
    "DiskPressure": {"True": "node.kubernetes.io/disk-pressure"},
    "PIDPressure": {"True": "node.kubernetes.io/pid-pressure"},
    "NetworkUnavailable": {"True": "node.kubernetes.io/network-unavailable"},
}
MANAGED_NO_SCHEDULE: Final = frozenset(
    {UNSCHEDULABLE, *(key for keys in CONDITION_TAINTS.values() for key in keys.values())}
)


def taints_of(node: Object) -> list[Object]:
    """The taints, never None."""
    return (node.get("spec") or {}).get("taints") or []


def has_taint(node: Object, key: str, effect: str) -> bool:
    """Whether the node has this taint."""
    return any(taint["key"] == key and taint["effect"] == effect for taint in taints_of(node))


def no_schedule_keys(node: Object) -> list[str]:
    """Keys of the NoSchedule taints that the node's conditions ask for."""
    keys = []
    for kind, by_status in CONDITION_TAINTS.items():
        found = get_condition(node, kind)
        key = by_status.get(found["status"]) if found else None
        if key is not None:
            keys.append(key)
    if (node.get("spec") or {}).get("unschedulable"):
        keys.append(UNSCHEDULABLE)
    return keys


def no_schedule_is_current(node: Object) -> bool:
    """Whether the managed NoSchedule taints are those that the conditions ask for."""
    present = {
        taint["key"]
        for taint in taints_of(node)
        if taint["effect"] == NO_SCHEDULE and taint["key"] in MANAGED_NO_SCHEDULE
    }
    return present == set(no_schedule_keys(node))


def _unmanaged(taint: Object, effect: str, keys: Iterable[str]) -> bool:
    return taint["effect"] != effect or taint["key"] not in keys


async def set_taints(
    client: Client,
    node: Object,
    effect: str,
    managed: frozenset[str],
    wanted: Callable[[Object], list[str]],
) -> None:
    """Make the taints of one effect with `managed` keys those that `wanted(node)` names.

    `node` is tried first as the cache has it; after a conflict the server is asked.
    """
    name = node["metadata"]["name"]
    current: Object | None = node

    async def attempt() -> None:
        nonlocal current
        seen, current = current, None
        if seen is None:
            seen = await client.get("nodes", name)
        keys = wanted(seen)
        present = {
            taint["key"]: taint
            for taint in taints_of(seen)
            if not _unmanaged(taint, effect, managed)
        }
        if set(present) == set(keys):
            return
        now = format_time(client.ctx.wall_ns())
        kept = [taint for taint in taints_of(seen) if _unmanaged(taint, effect, managed)]
        kept += [
            present.get(key) or {"key": key, "effect": effect, "timeAdded": now} for key in keys
        ]
        patch = {
            "metadata": {"resourceVersion": seen["metadata"]["resourceVersion"]},
            "spec": {"taints": kept or None},
        }
        await client.patch("nodes", name, patch)

    await retry_on_conflict(client, attempt)


def tolerates(toleration: Object, taint: Object) -> bool:
    """Whether a toleration matches a taint."""
    if toleration.get("effect") not in {None, "", taint["effect"]}:
        return False
    key = toleration.get("key") or ""
    operator = toleration.get("operator") or "Equal"
    if key and key != taint["key"]:
        return False
    if operator == "Exists":
        return True
    return bool(key) and (toleration.get("value") or "") == (taint.get("value") or "")


def toleration_seconds(pod: Object, taints: list[Object]) -> float | None:
    """How long the pod may stay on a node with these NoExecute taints.

    0 when one of them is not tolerated, infinity when all are tolerated forever, None without
    taints.
    """
    if not taints:
        return None
    tolerations = pod["spec"].get("tolerations") or ()
    least = float("inf")
    for taint in taints:
        matching = [each for each in tolerations if tolerates(each, taint)]
        if not matching:
            return 0
        for each in matching:
            seconds = each.get("tolerationSeconds")
            if seconds is not None:
                least = min(least, max(0, seconds))
    return least
