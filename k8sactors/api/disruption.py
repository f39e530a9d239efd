"""The condition of a disruption budget, which the eviction API and the controller both write.

Source: `DisruptionAllowed` in the API reference of `policy/v1`.
"""

from __future__ import annotations

from typing import Any, Final

from k8sactors.api.meta import set_condition

Object = dict[str, Any]

DISRUPTION_ALLOWED: Final = "DisruptionAllowed"


def with_condition(status: Object, now: str) -> Object:
    """The status with the condition that its `disruptionsAllowed` means."""
    if (status.get("disruptionsAllowed") or 0) > 0:
        return with_reason(status, "True", "SufficientPods", "", now)
    return with_reason(status, "False", "InsufficientPods", "", now)


def with_reason(status: Object, holds: str, reason: str, message: str, now: str) -> Object:
    """The status with its condition set so."""
    condition: Object = {
        "type": DISRUPTION_ALLOWED,
        "status": holds,
        "reason": reason,
        "message": message,
    }
    if status.get("observedGeneration"):
        condition["observedGeneration"] = status["observedGeneration"]
    return {**status, "conditions": set_condition(status.get("conditions"), condition, now)}
