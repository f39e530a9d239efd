"""The metrics of an autoscaler, each by its type: what it asks for, and what its status shows."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from fractions import Fraction
from typing import Any, Final

import attrs

from k8sactors.api import quantity
from k8sactors.api.errors import StatusError
from k8sactors.api.simulated_usage import metric_milli
from k8sactors.controllers.errors import MetricsError
from k8sactors.controllers.podautoscaler import replicas
from k8sactors.controllers.podautoscaler.metrics import SimulatedMetrics
from k8sactors.controllers.podautoscaler.replicas import Proposal, Settings

Object = dict[str, Any]

_MILLI: Final = 1000


@attrs.define
class Reading:
    """The question to all metrics of one autoscaler, and their answers."""

    autoscaler: Object
    # All that the target's selector matches.
    pods: list[Object]
    current: int
    status_replicas: int
    settings: Settings
    wall_ns: int
    # The largest proposal, and the metric that made it.
    wanted: int | None = None
    metric: str = ""
    statuses: list[Object] = attrs.field(factory=list)
    # Reason and message of each metric that could not be had.
    failures: list[tuple[str, str]] = attrs.field(factory=list)

    @property
    def metrics(self) -> list[Object]:
        """The metrics in the specification."""
        found: list[Object] = self.autoscaler["spec"].get("metrics") or []
        return found

    @property
    def count(self) -> int:
        """How many metrics there are."""
        return len(self.metrics)

    def summary(self) -> str:
        """What is wrong, in one sentence."""
        first = self.failures[0][1]
        return (
            f"invalid metrics ({len(self.failures)} invalid out of {self.count}), first error is: "
            f"{first}"
        )


Describe = Callable[[str, Object], Awaitable[Object]]


class MetricSources:
    """Asks metrics of every type. `describe` fetches the object that a metric describes."""

    def __init__(self, metrics: SimulatedMetrics, describe: Describe) -> None:
        self._metrics = metrics
        self._describe = describe

    async def read(self, reading: Reading) -> None:
        """Ask all metrics; the answers go into `reading`."""
        for spec in reading.metrics:
            kind = spec["type"]
            source = spec.get(f"{kind[:1].lower()}{kind[1:]}") or {}
            try:
                proposal, name, status = await self._one(reading, kind, source)
            except (MetricsError, StatusError) as error:
                text = error.message if isinstance(error, StatusError) else str(error)
                reading.failures.append(_failure(kind, source, text))
                continue
            reading.statuses.append({"type": kind, f"{kind[:1].lower()}{kind[1:]}": status})
            if reading.wanted is None or proposal.replicas > reading.wanted:
                reading.wanted, reading.metric = proposal.replicas, name

    async def _one(
        self, reading: Reading, kind: str, source: Object
    ) -> tuple[Proposal, str, Object]:
        if kind in {"Resource", "ContainerResource"}:
            return self._resource(reading, source)
        if kind == "Pods":
            return self._of_pods(reading, source)
        if kind == "Object":
            return await self._of_object(reading, source)
        if kind == "External":
            raise MetricsError("no metrics returned from external metrics API")
        raise MetricsError(f'unknown metric source type "{kind}"')

    def _resource(self, reading: Reading, source: Object) -> tuple[Proposal, str, Object]:
        name, container, target = source["name"], source.get("container", ""), source["target"]
        values = self._metrics.resource(reading.pods, name, container)
        status: Object = {"name": name}
        what = "resource"
        if container:
            status["container"] = container
            what = "container resource"
        if target.get("averageValue") is not None:
            wanted = _to_milli(target["averageValue"])
            proposal = replicas.for_average(
                reading.current,
                wanted,
                reading.pods,
                values,
                name,
                reading.settings,
                reading.wall_ns,
            )
            status["current"] = {"averageValue": _text(proposal.value_milli)}
            return proposal, f"{name} {what}", status
        proposal = replicas.for_utilization(
            reading.current,
            target["averageUtilization"],
            reading.pods,
            values,
            name,
            container,
            reading.settings,
            reading.wall_ns,
        )
        status["current"] = {
            "averageUtilization": proposal.utilization,
            "averageValue": _text(proposal.value_milli),
        }
        return proposal, f"{name} {what} utilization (percentage of request)", status

    def _of_pods(self, reading: Reading, source: Object) -> tuple[Proposal, str, Object]:
        name = source["metric"]["name"]
        values = self._metrics.custom(reading.pods, name)
        wanted = _to_milli(source["target"]["averageValue"])
        proposal = replicas.for_average(
            reading.current, wanted, reading.pods, values, "", reading.settings, reading.wall_ns
        )
        current = {"averageValue": _text(proposal.value_milli)}
        return proposal, f"pods metric {name}", {"metric": source["metric"], "current": current}

    async def _of_object(self, reading: Reading, source: Object) -> tuple[Proposal, str, Object]:
        name, described, target = (
            source["metric"]["name"],
            source["describedObject"],
            source["target"],
        )
        namespace = reading.autoscaler["metadata"].get("namespace") or ""
        value = metric_milli(await self._describe(namespace, described), name)
        if value is None:
            raise MetricsError(
                f"unable to get metric {name}: {described['kind']} on {namespace} "
                f"{described['name']}/no metrics returned from custom metrics API"
            )
        if target.get("averageValue") is not None:
            proposal = replicas.for_object_average(
                reading.current,
                reading.status_replicas,
                _to_milli(target["averageValue"]),
                value,
                reading.settings,
            )
            current = {"averageValue": _text(proposal.value_milli)}
        else:
            proposal = replicas.for_object_value(
                reading.current, _to_milli(target["value"]), value, reading.pods, reading.settings
            )
            current = {"value": _text(proposal.value_milli)}
        status = {"metric": source["metric"], "describedObject": described, "current": current}
        return proposal, f"{described['kind']} metric {name}", status


def _failure(kind: str, source: Object, text: str) -> tuple[str, str]:
    """Reason and message of an event, in the words of the real controller."""
    if kind in {"Resource", "ContainerResource"}:
        is_value = (source.get("target") or {}).get("averageValue") is not None
        what = "usage" if is_value else "utilization"
        text = f"failed to get {source.get('name')} {what}: " + (
            f"unable to get metrics for resource {source.get('name')}: {text}"
            if text.startswith("unable to fetch")
            else text
        )
        return f"FailedGet{kind}Metric", text
    if kind == "Pods":
        return "FailedGetPodsMetric", f"failed to get pods metric value: {text}"
    if kind == "Object":
        return "FailedGetObjectMetric", f"failed to get object metric value: {text}"
    if kind == "External":
        name = (source.get("metric") or {}).get("name")
        return "FailedGetExternalMetric", f"failed to get {name} external metric value: {text}"
    return "InvalidMetricSourceType", text


def _to_milli(text: str | float) -> int:
    return max(1, int(quantity.parse(text) * _MILLI))


def _text(milli: int) -> str:
    return quantity.canonical(quantity.format_quantity(Fraction(milli, _MILLI)))
