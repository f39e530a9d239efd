"""Events: stored as `v1`, served also as `events.k8s.io/v1`, where fields have other names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from k8sactors.api.columns import Column, field, since, value_at
from k8sactors.api.effects import Effects
from k8sactors.api.field_labels import SelectableFields, first_of, texts
from k8sactors.api.kind import Kind, Object, Served
from k8sactors.api.strategies import CreatedByUpdateStrategy
from k8sactors.api.strategy import Request

# The names of fields in `v1`, and those in `events.k8s.io/v1`.
_NAMES = {
    "message": "note",
    "involvedObject": "regarding",
    "source": "deprecatedSource",
    "firstTimestamp": "deprecatedFirstTimestamp",
    "lastTimestamp": "deprecatedLastTimestamp",
    "count": "deprecatedCount",
    "reportingComponent": "reportingController",
}
_CORE_NAMES = {name: core for core, name in _NAMES.items()}
_OBJECT_FIELDS = (
    "kind",
    "namespace",
    "name",
    "uid",
    "apiVersion",
    "resourceVersion",
    "fieldPath",
)
# Written by `v1` also when they are empty.
_ALWAYS = ("reportingComponent", "reportingInstance")


def _always(event: Object) -> Object:
    missing = [name for name in _ALWAYS if name not in event]
    return {**event, **dict.fromkeys(missing, "")} if missing else event


def to_core(event: Object) -> Object:
    """An Event of `events.k8s.io/v1` as one of `v1`."""
    core = {_CORE_NAMES.get(name, name): value for name, value in event.items()}
    core["apiVersion"] = "v1"
    core.setdefault("involvedObject", {})
    return _always(core)


def from_core(event: Object) -> Object:
    """An Event of `v1` as one of `events.k8s.io/v1`."""
    converted = {_NAMES.get(name, name): value for name, value in event.items()}
    converted["apiVersion"] = "events.k8s.io/v1"
    for name in ("reportingController", "reportingInstance"):
        if not converted.get(name):
            converted.pop(name, None)
    converted.setdefault("eventTime", None)
    return converted


class EventStrategy(CreatedByUpdateStrategy):
    """Events vanish an hour after they were written."""

    def begin_create(self, request: Request, obj: Object) -> Effects:
        """Attach a lease."""
        return Effects(obj, lease=request.lease(request.environment.settings.event_ttl_seconds))


def _first_seen(event: Mapping[str, Any], now_ns: int) -> str:
    return since(event.get("firstTimestamp") or event.get("eventTime"), now_ns)


def _last_seen(event: Mapping[str, Any], now_ns: int) -> str:
    series = event.get("series")
    if series is not None:
        return since(series.get("lastObservedTime"), now_ns)
    last = event.get("lastTimestamp")
    return since(last, now_ns) if last else _first_seen(event, now_ns)


def _count(event: Mapping[str, Any], _now_ns: int) -> int:
    series = event.get("series")
    seen: int = event.get("count", 0) if series is None else series.get("count", 0)
    return seen or (1 if series is None else 0)


def _object(event: Mapping[str, Any], _now_ns: int) -> str:
    involved = event.get("involvedObject") or {}
    kind, name = involved.get("kind", "").lower(), involved.get("name")
    return f"{kind}/{name}" if name else kind


def _source(event: Mapping[str, Any], _now_ns: int) -> str:
    source = event.get("source") or {}
    component = source.get("component") or event.get("reportingComponent") or ""
    host = source.get("host") or event.get("reportingInstance") or ""
    return f"{component}, {host}" if host else component


KINDS = (
    Kind(
        kind="Event",
        plural="events",
        columns=(
            Column("Last Seen", _last_seen),
            field("Type", "type"),
            field("Reason", "reason"),
            Column("Object", _object),
            field("Subobject", "involvedObject.fieldPath", priority=1),
            Column("Source", _source, priority=1),
            Column("Message", lambda obj, _: value_at(obj, "message", "").strip()),
            Column("First Seen", _first_seen, priority=1),
            Column("Count", _count, priority=1),
            Column(
                "Name", lambda obj, _: value_at(obj, "metadata.name", ""), format="name", priority=1
            ),
        ),
        served=(
            Served("", "v1", default=_always),
            Served(
                "events.k8s.io",
                "v1",
                to_storage=to_core,
                from_storage=from_core,
                field_labels={
                    "reason": "reason",
                    "reportingController": "reportingComponent",
                    "type": "type",
                    **{f"regarding.{name}": f"involvedObject.{name}" for name in _OBJECT_FIELDS},
                },
            ),
        ),
        short_names=("ev",),
        fields=SelectableFields(
            {
                **texts(*(f"involvedObject.{name}" for name in _OBJECT_FIELDS)),
                **texts("reason", "reportingComponent", "type"),
                "source": first_of("source.component", "reportingComponent"),
            }
        ),
        strategy=EventStrategy,
    ),
)
