"""How fast a recommendation is followed: stabilisation windows and scaling policies.

Source: documentation of `spec.behavior` (KEP-853). A scale-down follows the highest, a scale-up the
lowest recommendation within its window; policies say how much may change in a period.
"""

from __future__ import annotations

from typing import Any, Final

import attrs

from k8sactors.simulation import SECOND

Object = dict[str, Any]

_PERCENT: Final = 100
# The longest period that a policy may have.
_PERIOD_MAX_NS: Final = 1800 * SECOND
DOWNSCALE_STABILIZATION_SECONDS: Final = 300
_TOO_FAST: Final = "the desired replica count is {} faster than the maximum scale rate"
# Without `spec.behavior` the rules of autoscaling/v1 hold: twice as many, or four, at once.
_PLAIN_FACTOR: Final = 2
_PLAIN_MINIMUM: Final = 4
_UP_DEFAULTS: Final = {
    "stabilizationWindowSeconds": 0,
    "selectPolicy": "Max",
    "policies": [
        {"type": "Pods", "value": 4, "periodSeconds": 15},
        {"type": "Percent", "value": 100, "periodSeconds": 15},
    ],
}
_DOWN_DEFAULTS: Final = {
    "stabilizationWindowSeconds": DOWNSCALE_STABILIZATION_SECONDS,
    "selectPolicy": "Max",
    "policies": [{"type": "Percent", "value": 100, "periodSeconds": 15}],
}


@attrs.frozen
class Verdict:
    """What comes out, and the conditions that say why (reason and message)."""

    replicas: int
    stabilized: tuple[str, str]
    # Whether a limit held it back, and which.
    limited: bool
    limit: tuple[str, str]


@attrs.define
class History:
    """What one autoscaler has recommended and done; times are Unix-epoch nanoseconds."""

    recommendations: list[tuple[int, int]] = attrs.field(factory=list)
    # Pods that were added (above zero) or removed.
    changes: list[tuple[int, int]] = attrs.field(factory=list)

    def begin(self, current: int, wall_ns: int) -> None:
        """The first recommendation is what is there."""
        if not self.recommendations:
            self.recommendations.append((wall_ns, current))

    def changed(self, count: int, wall_ns: int) -> None:
        """Pods were added, or (below zero) removed."""
        self.changes = [each for each in self.changes if wall_ns - each[0] < _PERIOD_MAX_NS]
        self.changes.append((wall_ns, count))

    def changed_since(self, since_ns: int) -> int:
        """Pods added minus pods removed since then."""
        return sum(change for at_ns, change in self.changes if at_ns > since_ns)


class Behavior:
    """The rules of one autoscaler, with their defaults."""

    def __init__(self, spec: Object) -> None:
        given = spec.get("behavior") or {}
        self._up = _with_defaults(_UP_DEFAULTS, given.get("scaleUp") or {})
        self._down = _with_defaults(_DOWN_DEFAULTS, given.get("scaleDown") or {})
        self._is_plain = spec.get("behavior") is None
        self._least = 1 if spec.get("minReplicas") is None else int(spec["minReplicas"])
        self._most: int = spec["maxReplicas"]

    @property
    def tolerances(self) -> tuple[Any, Any]:
        """Of more and of fewer pods; None: the controller's."""
        return self._up.get("tolerance"), self._down.get("tolerance")

    def follow(self, history: History, current: int, desired: int, wall_ns: int) -> Verdict:
        """How many replicas to have now, if the metrics ask for `desired`."""
        stable = self._stabilize(history, current, desired, wall_ns)
        if stable == desired:
            reason = ("ReadyForNewScale", "recommended size matches current size")
        elif desired >= current:
            text = "recent recommendations were lower than current one, applying the lowest recent"
            reason = ("ScaleUpStabilized", f"{text} recommendation")
        else:
            text = "recent recommendations were higher than current one, applying the highest"
            reason = ("ScaleDownStabilized", f"{text} recent recommendation")
        replicas, limit = self._limit(history, current, stable, wall_ns)
        limited = limit is not None
        within = ("DesiredWithinRange", "the desired count is within the acceptable range")
        return Verdict(replicas, reason, limited, limit or within)

    def _stabilize(self, history: History, current: int, desired: int, wall_ns: int) -> int:
        up_ns = wall_ns - self._up["stabilizationWindowSeconds"] * SECOND
        down_ns = wall_ns - self._down["stabilizationWindowSeconds"] * SECOND
        past = history.recommendations
        lowest = min([desired, *(count for at_ns, count in past if at_ns > up_ns)])
        highest = max([desired, *(count for at_ns, count in past if at_ns > down_ns)])
        oldest_ns = min(up_ns, down_ns)
        history.recommendations = [(at_ns, count) for at_ns, count in past if at_ns > oldest_ns]
        history.recommendations.append((wall_ns, desired))
        return min(max(current, lowest), highest)

    def _limit(
        self, history: History, current: int, desired: int, wall_ns: int
    ) -> tuple[int, tuple[str, str] | None]:
        if desired > current:
            most = max(current, self._up_limit(history, current, wall_ns))
            if most < min(desired, self._most):
                return most, ("ScaleUpLimit", _TOO_FAST.format("increasing"))
        elif desired < current:
            least = min(current, self._down_limit(history, current, wall_ns))
            if least > max(desired, self._least):
                return least, ("ScaleDownLimit", _TOO_FAST.format("decreasing"))
        return self._within_bounds(desired)

    def _within_bounds(self, desired: int) -> tuple[int, tuple[str, str] | None]:
        if desired < self._least:
            text = "the desired replica count is less than the minimum replica count"
            return self._least, ("TooFewReplicas", text)
        if desired > self._most:
            text = "the desired replica count is more than the maximum replica count"
            return self._most, ("TooManyReplicas", text)
        return desired, None

    def _up_limit(self, history: History, current: int, wall_ns: int) -> int:
        if self._is_plain:
            return max(_PLAIN_FACTOR * current, _PLAIN_MINIMUM)
        limits: list[int] = []
        for policy in self._up["policies"]:
            since_ns = wall_ns - policy["periodSeconds"] * SECOND
            before = current - history.changed_since(since_ns)
            if policy["type"] == "Pods":
                limits.append(before + policy["value"])
            else:
                limits.append(-(-before * (_PERCENT + policy["value"]) // _PERCENT))
        return _select(self._up["selectPolicy"], limits, current, more=max, less=min)

    def _down_limit(self, history: History, current: int, wall_ns: int) -> int:
        if self._is_plain:
            return 0
        limits: list[int] = []
        for policy in self._down["policies"]:
            since_ns = wall_ns - policy["periodSeconds"] * SECOND
            before = current - history.changed_since(since_ns)
            if policy["type"] == "Pods":
                limits.append(before - policy["value"])
            else:
                limits.append(max(0, before * (_PERCENT - policy["value"]) // _PERCENT))
        return _select(self._down["selectPolicy"], limits, current, more=min, less=max)


def _select(policy: str, limits: list[int], current: int, *, more: Any, less: Any) -> int:
    """The limit of the policy that counts: that of the most change, or of the least."""
    if policy == "Disabled":
        return current
    return int(less(limits) if policy == "Min" else more(limits))


def _with_defaults(defaults: Object, given: Object) -> Object:
    chosen = {**defaults, **{name: value for name, value in given.items() if value is not None}}
    if not chosen["policies"]:
        chosen["policies"] = defaults["policies"]
    return chosen
