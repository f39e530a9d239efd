"""How many replicas a metric asks for: pure functions of pods and values (in thousandths).

Source: documentation of the HorizontalPodAutoscaler ("Algorithm details"). Pods that have not
started count as using nothing when that would add pods; pods without a value count as using what is
wanted when that would remove some, and nothing when it would add some.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import attrs

from k8sactors.api import quantity
from k8sactors.api.meta import get_condition, parse_time
from k8sactors.controllers.errors import MetricsError
from k8sactors.controllers.machinery.pods import is_ready, phase_of
from k8sactors.simulation import SECOND

Object = dict[str, Any]

MILLI: Final = 1000
_PERCENT: Final = 100


@attrs.frozen
class Settings:
    """What is left out of account."""

    # How far from 1 the ratio of value and target must be, for more and for fewer pods.
    up_tolerance: float = 0.1
    down_tolerance: float = 0.1
    # After a pod's start its cpu counts only while it is ready.
    cpu_initialization_ns: int = 300 * SECOND
    # A pod that became unready this soon after its start was never ready.
    initial_readiness_ns: int = 30 * SECOND

    def ignores(self, ratio: float) -> bool:
        """Whether so small a difference changes nothing."""
        return 1 - self.down_tolerance <= ratio <= 1 + self.up_tolerance


@attrs.frozen
class Proposal:
    """How many replicas, and the value of the metric that led there."""

    replicas: int
    # Thousandths per pod (of an object: its value).
    value_milli: int
    # Percent of the requests, where the target is one.
    utilization: int | None = None


@attrs.define
class _Groups:
    ready: int
    unready: list[str]
    missing: list[str]
    values: dict[str, int]


def _group(
    pods: Sequence[Object],
    values: Mapping[str, int],
    settings: Settings,
    wall_ns: int,
    *,
    is_cpu: bool,
) -> _Groups:
    groups = _Groups(0, [], [], dict(values))
    for pod in pods:
        name = pod["metadata"]["name"]
        if "deletionTimestamp" in pod["metadata"] or phase_of(pod) == "Failed":
            groups.values.pop(name, None)
        elif phase_of(pod) == "Pending":
            groups.unready.append(name)
        elif name not in values:
            groups.missing.append(name)
        elif is_cpu and _has_not_started(pod, settings, wall_ns):
            groups.unready.append(name)
        else:
            groups.ready += 1
    for name in groups.unready:
        groups.values.pop(name, None)
    if not groups.values:
        raise MetricsError("did not receive metrics for targeted pods (pods might be unready)")
    return groups


def _has_not_started(pod: Object, settings: Settings, wall_ns: int) -> bool:
    """Whether the cpu that a pod uses is that of its start."""
    condition, start = get_condition(pod, "Ready"), (pod.get("status") or {}).get("startTime")
    if condition is None or start is None:
        return True
    started_ns = parse_time(start)
    if started_ns + settings.cpu_initialization_ns > wall_ns:
        return bool(condition["status"] == "False")
    changed = condition.get("lastTransitionTime")
    changed_ns = parse_time(changed) if changed else started_ns
    soon = started_ns + settings.initial_readiness_ns > changed_ns
    return condition["status"] == "False" and soon


def for_utilization(
    current: int,
    target_percent: int,
    pods: Sequence[Object],
    values: Mapping[str, int],
    resource: str,
    container: str,
    settings: Settings,
    wall_ns: int,
) -> Proposal:
    """From the share of what the pods have requested.

    Raises:
        MetricsError: no pod that counts has a value, or one has requested nothing.
    """
    groups = _group(pods, values, settings, wall_ns, is_cpu=resource == "cpu")
    requests = {pod["metadata"]["name"]: _request_milli(pod, resource, container) for pod in pods}
    percent = _utilization(groups.values, requests)
    average = sum(groups.values.values()) // len(groups.values)
    filler = {
        name: requests[name] * max(_PERCENT, target_percent) // _PERCENT for name in groups.missing
    }

    def ratio_of(found: Mapping[str, int]) -> float:
        return _utilization(found, requests) / target_percent

    replicas = _replicas(current, groups, filler, ratio_of, settings)
    return Proposal(replicas, average, percent)


def for_average(
    current: int,
    target_milli: int,
    pods: Sequence[Object],
    values: Mapping[str, int],
    resource: str,
    settings: Settings,
    wall_ns: int,
) -> Proposal:
    """From the average of a value over the pods.

    Raises:
        MetricsError: no pod that counts has a value.
    """
    groups = _group(pods, values, settings, wall_ns, is_cpu=resource == "cpu")
    average = sum(groups.values.values()) // len(groups.values)

    def ratio_of(found: Mapping[str, int]) -> float:
        return (sum(found.values()) // len(found)) / target_milli

    filler = dict.fromkeys(groups.missing, target_milli)
    return Proposal(_replicas(current, groups, filler, ratio_of, settings), average)


def for_object_value(
    current: int, target_milli: int, value_milli: int, pods: Sequence[Object], settings: Settings
) -> Proposal:
    """From a value that describes another object."""
    ratio = value_milli / target_milli
    if current == 0:
        return Proposal(_ceiling(ratio), value_milli)
    if settings.ignores(ratio):
        return Proposal(current, value_milli)
    ready = sum(phase_of(pod) == "Running" and is_ready(pod) for pod in pods)
    return Proposal(_ceiling(ratio * ready), value_milli)


def for_object_average(
    current: int, status_replicas: int, target_milli: int, value_milli: int, settings: Settings
) -> Proposal:
    """From a value that describes another object, shared by all pods."""
    replicas = status_replicas or current
    ratio = value_milli / (target_milli * replicas) if replicas else 2.0
    wanted = current if settings.ignores(ratio) else _ceiling(value_milli / target_milli)
    return Proposal(wanted, -(-value_milli // max(1, replicas)))


def _replicas(
    current: int,
    groups: _Groups,
    filler: Mapping[str, int],
    ratio_of: Any,
    settings: Settings,
) -> int:
    ratio = ratio_of(groups.values)
    adds_unready = bool(groups.unready) and ratio > 1
    if not adds_unready and not groups.missing:
        return current if settings.ignores(ratio) else _ceiling(ratio * groups.ready)
    counted = dict(groups.values)
    if ratio < 1:
        counted.update(filler)
    elif ratio > 1:
        counted.update(dict.fromkeys(groups.missing, 0))
    if adds_unready:
        counted.update(dict.fromkeys(groups.unready, 0))
    again = ratio_of(counted)
    turned = (ratio < 1 < again) or (again < 1 < ratio)
    if settings.ignores(again) or turned:
        return current
    replicas = _ceiling(again * len(counted))
    # What was assumed must not turn the direction either.
    wrong_way = (again < 1 and replicas > current) or (again > 1 and replicas < current)
    return current if wrong_way else replicas


def _utilization(values: Mapping[str, int], requests: Mapping[str, int]) -> int:
    requested = sum(requests[name] for name in values if name in requests)
    if requested == 0:
        raise MetricsError("no metrics returned matched known pods")
    used = sum(value for name, value in values.items() if name in requests)
    return used * _PERCENT // requested


def _request_milli(pod: Object, resource: str, container: str) -> int:
    total = 0
    for each in pod["spec"].get("containers") or ():
        if container and each["name"] != container:
            continue
        requests = (each.get("resources") or {}).get("requests") or {}
        if resource not in requests:
            name = pod["metadata"]["name"]
            raise MetricsError(
                f"missing request for {resource} in container {each['name']} of Pod {name}"
            )
        total += int(quantity.parse(requests[resource]) * MILLI)
    return total


def _ceiling(value: float) -> int:
    # Thousandths of a pod come from the way that ratios are written, not from the metric.
    return -int(-value // 1)
