"""HorizontalPodAutoscalers: stored as `autoscaling/v2`, served as v2 and v1.

v1 knows a target of cpu only. What v2 says beyond that stands in annotations of the v1 object,
under the names and in the form that the real server gives them, so that nothing is lost on the way
from v2 to v1 and back.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from k8sactors.api.columns import AGE, NAME, NONE, UNKNOWN, UNSET, Column, field, value_at
from k8sactors.api.defaulting import workloads as workloads_defaulting
from k8sactors.api.kind import Kind, Object, Served
from k8sactors.api.validation import workloads as workloads_validation

V1 = "autoscaling/v1"
V2 = "autoscaling/v2"
_PREFIX = "autoscaling.alpha.kubernetes.io/"
METRICS = f"{_PREFIX}metrics"
BEHAVIOR = f"{_PREFIX}behavior"
CURRENT_METRICS = f"{_PREFIX}current-metrics"
CONDITIONS = f"{_PREFIX}conditions"
_ROUND_TRIP = frozenset({METRICS, BEHAVIOR, CURRENT_METRICS, CONDITIONS})

# A source's own fields in v1, where v2 has `target` or `current`.
_TARGETS = {
    "resource": {
        "averageUtilization": "targetAverageUtilization",
        "averageValue": "targetAverageValue",
    },
    "containerResource": {
        "averageUtilization": "targetAverageUtilization",
        "averageValue": "targetAverageValue",
    },
    "pods": {"averageValue": "targetAverageValue"},
    "object": {"value": "targetValue", "averageValue": "averageValue"},
    "external": {"value": "targetValue", "averageValue": "targetAverageValue"},
}
_CURRENTS = {
    "resource": {
        "averageUtilization": "currentAverageUtilization",
        "averageValue": "currentAverageValue",
    },
    "containerResource": {
        "averageUtilization": "currentAverageUtilization",
        "averageValue": "currentAverageValue",
    },
    "pods": {"averageValue": "currentAverageValue"},
    "object": {"value": "currentValue", "averageValue": "averageValue"},
    "external": {"value": "currentValue", "averageValue": "currentAverageValue"},
}
_KEPT = ("name", "container")
_TYPES = {
    "averageUtilization": "Utilization",
    "averageValue": "AverageValue",
    "value": "Value",
}


def _metric_to_v1(metric: Object, inner: str, names: dict[str, dict[str, str]]) -> Object:
    """A MetricSpec (`inner` is "target") or MetricStatus ("current") of v2 as v1 writes it."""
    converted: Object = {"type": metric.get("type", "")}
    for source, fields in names.items():
        given = metric.get(source)
        if given is None:
            continue
        flat: Object = {field: given[field] for field in _KEPT if field in given}
        if "describedObject" in given:
            flat["target"] = given["describedObject"]
        identifier = given.get("metric")
        if identifier is not None:
            flat["metricName"] = identifier.get("name", "")
            if "selector" in identifier:
                selector = "metricSelector" if source == "external" else "selector"
                flat[selector] = identifier["selector"]
        values = given.get(inner) or {}
        flat.update({fields[field]: values[field] for field in fields if field in values})
        converted[source] = flat
    return converted


def _metric_from_v1(metric: Object, inner: str, names: dict[str, dict[str, str]]) -> Object:
    converted: Object = {"type": metric.get("type", "")}
    for source, fields in names.items():
        given = metric.get(source)
        if given is None:
            continue
        nested: Object = {field: given[field] for field in _KEPT if field in given}
        if "target" in given:
            nested["describedObject"] = given["target"]
        if "metricName" in given:
            nested["metric"] = {"name": given["metricName"]}
            selector = given.get("metricSelector", given.get("selector"))
            if selector is not None:
                nested["metric"]["selector"] = selector
        values = {field: given[name] for field, name in fields.items() if name in given}
        if inner == "target":
            kinds = [kind for field, kind in _TYPES.items() if field in values]
            values = {"type": kinds[0] if kinds else "", **values}
        nested[inner] = values
        converted[source] = nested
    return converted


def _cpu_utilization(metric: Object, inner: str) -> int | None:
    resource = metric.get("resource") or {}
    if metric.get("type") != "Resource" or resource.get("name") != "cpu":
        return None
    utilization: int | None = (resource.get(inner) or {}).get("averageUtilization")
    return utilization


def _cpu_metric(utilization: int) -> Object:
    target = {"type": "Utilization", "averageUtilization": utilization}
    return {"type": "Resource", "resource": {"name": "cpu", "target": target}}


def _renamed(value: Any, rename: Callable[[str], str]) -> Any:
    if isinstance(value, dict):
        return {rename(key): _renamed(item, rename) for key, item in value.items()}
    if isinstance(value, list):
        return [_renamed(item, rename) for item in value]
    return value


def _encoded(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


def _decoded(text: str | None, kind: type) -> Any:
    """The value in an annotation; what is not of that kind is ignored, as by the real server."""
    try:
        value = json.loads(text or "null")
    except ValueError:
        return None
    return value if isinstance(value, kind) else None


def to_v1(autoscaler: Object) -> Object:
    """A v2 autoscaler as v1 shows it."""
    spec = dict(autoscaler.get("spec") or {})
    status = dict(autoscaler.get("status") or {})
    notes: dict[str, str] = {}
    metrics = spec.pop("metrics", None) or []
    others = [metric for metric in metrics if _cpu_utilization(metric, "target") is None]
    targets = [_cpu_utilization(metric, "target") for metric in metrics if metric not in others]
    if targets:
        spec["targetCPUUtilizationPercentage"] = targets[0]
    if others:
        notes[METRICS] = _encoded([_metric_to_v1(each, "target", _TARGETS) for each in others])
    behavior = spec.pop("behavior", None)
    if behavior is not None:
        # The real server writes its internal type there, whose fields begin with capitals.
        notes[BEHAVIOR] = _encoded(_renamed(behavior, lambda name: name[:1].upper() + name[1:]))
    current = status.pop("currentMetrics", None) or []
    if current:
        notes[CURRENT_METRICS] = _encoded(
            [_metric_to_v1(each, "current", _CURRENTS) for each in current]
        )
    for metric in current:
        utilization = _cpu_utilization(metric, "current")
        if utilization is not None:
            status["currentCPUUtilizationPercentage"] = utilization
    conditions = status.pop("conditions", None)
    if conditions:
        notes[CONDITIONS] = _encoded(conditions)
    converted = {**autoscaler, "apiVersion": V1, "spec": spec}
    if "status" in autoscaler:
        status.setdefault("currentReplicas", 0)
        status.setdefault("desiredReplicas", 0)
        converted["status"] = status
    if notes:
        metadata = autoscaler.get("metadata") or {}
        annotations = {**(metadata.get("annotations") or {}), **notes}
        converted["metadata"] = {**metadata, "annotations": annotations}
    return converted


def from_v1(autoscaler: Object) -> Object:
    """A v1 autoscaler as v2, with what its annotations say."""
    metadata = autoscaler.get("metadata") or {}
    annotations = metadata.get("annotations") or {}
    spec = dict(autoscaler.get("spec") or {})
    utilization = spec.pop("targetCPUUtilizationPercentage", None)
    others = _decoded(annotations.get(METRICS), list) or []
    metrics = [_metric_from_v1(each, "target", _TARGETS) for each in others]
    if utilization is not None:
        metrics.append(_cpu_metric(utilization))
    if metrics:
        spec["metrics"] = metrics
    behavior = _decoded(annotations.get(BEHAVIOR), dict)
    if behavior is not None:
        spec["behavior"] = _renamed(behavior, lambda name: name[:1].lower() + name[1:])
    converted = {**autoscaler, "apiVersion": V2}
    if "spec" in autoscaler:
        converted["spec"] = spec
    if "status" in autoscaler:
        converted["status"] = _status_from_v1(autoscaler["status"] or {}, annotations)
    if _ROUND_TRIP & annotations.keys():
        kept = {key: value for key, value in annotations.items() if key not in _ROUND_TRIP}
        metadata = {key: value for key, value in metadata.items() if key != "annotations"}
        converted["metadata"] = {**metadata, "annotations": kept} if kept else metadata
    return converted


def _status_from_v1(given: Object, annotations: dict[str, str]) -> Object:
    status = dict(given)
    utilization = status.pop("currentCPUUtilizationPercentage", None)
    current = _decoded(annotations.get(CURRENT_METRICS), list)
    if current is not None:
        status["currentMetrics"] = [_metric_from_v1(each, "current", _CURRENTS) for each in current]
    elif utilization is not None:
        value = {"averageUtilization": utilization}
        status["currentMetrics"] = [
            {"type": "Resource", "resource": {"name": "cpu", "current": value}}
        ]
    conditions = _decoded(annotations.get(CONDITIONS), list)
    if conditions is not None:
        status["conditions"] = conditions
    return status


def _completed_from_v1(autoscaler: Object) -> Object:
    """As `from_v1`; cpu at 80 percent where neither the object nor its annotations say a metric."""
    return workloads_defaulting.default_autoscaler_v2(from_v1(autoscaler))


def _quantity_or_percent(values: Object, target: Object) -> tuple[str, str]:
    """Current value and target of a metric as text."""
    if "averageValue" in target:
        return str(values.get("averageValue", UNKNOWN)), str(target["averageValue"])
    if "value" in target:
        return str(values.get("value", UNKNOWN)), str(target["value"])
    current, wanted = values.get("averageUtilization"), target.get("averageUtilization")
    return (
        UNKNOWN if current is None else f"{current}%",
        "<auto>" if wanted is None else f"{wanted}%",
    )


_TARGETS_MAX = 2


def _targets(autoscaler: Mapping[str, Any], _now_ns: int) -> str:
    metrics = value_at(autoscaler, "spec.metrics", ())
    statuses = value_at(autoscaler, "status.currentMetrics", ())
    shown: list[str] = []
    for number, metric in enumerate(metrics):
        kind = metric.get("type", "")
        source = kind[:1].lower() + kind[1:]
        spec = metric.get(source)
        if spec is None:
            shown.append("<unknown type>")
            continue
        status = statuses[number] if number < len(statuses) else {}
        values = (status.get(source) or {}).get("current") or {}
        current, wanted = _quantity_or_percent(values, spec.get("target") or {})
        text = f"{current}/{wanted}"
        if source in {"external", "object"} and "averageValue" in (spec.get("target") or {}):
            text += " (avg)"
        shown.append(f"{spec['name']}: {text}" if "name" in spec else text)
    text = ", ".join(shown[:_TARGETS_MAX])
    more = len(shown) - _TARGETS_MAX
    return f"{text} + {more} more..." if more > 0 else text or NONE


def _reference(autoscaler: Mapping[str, Any], _now_ns: int) -> str:
    target = value_at(autoscaler, "spec.scaleTargetRef", {})
    return f"{target.get('kind', '')}/{target.get('name', '')}"


KINDS = (
    Kind(
        kind="HorizontalPodAutoscaler",
        plural="horizontalpodautoscalers",
        columns=(
            NAME,
            Column("Reference", _reference),
            Column("Targets", _targets),
            Column("MinPods", lambda obj, _: str(value_at(obj, "spec.minReplicas", UNSET))),
            field("MaxPods", "spec.maxReplicas", 0),
            field("Replicas", "status.currentReplicas", 0),
            AGE,
        ),
        served=(
            Served("autoscaling", "v2", default=workloads_defaulting.default_autoscaler_v2),
            Served("autoscaling", "v1", to_storage=_completed_from_v1, from_storage=to_v1),
        ),
        subresources=("status",),
        short_names=("hpa",),
        categories=("all",),
        check=workloads_validation.check_autoscaler,
    ),
)
