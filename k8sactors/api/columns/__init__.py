"""Printer columns: what `kubectl get` shows of a kind, as data and small functions.

A column names itself, its type and priority, and tells the value of its cell from an object and the
time. Source: the printers of the real server (`pkg/printers/internalversion`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import attrs

from k8sactors.api.meta import parse_time
from k8sactors.api.selectors import parse_label_selector
from k8sactors.simulation import SECOND

Object = Mapping[str, Any]
# The cell of an object at a time, in Unix-epoch nanoseconds.
Tell = Callable[[Object, int], Any]

NONE = "<none>"
UNSET = "<unset>"
UNKNOWN = "<unknown>"
SHOWN_MAX = 3


@attrs.frozen(eq=False)
class Column:
    """A column of a table."""

    name: str
    tell: Tell
    type: str = "string"
    format: str = ""
    # 0: always shown; 1: shown by `-o wide`.
    priority: int = 0
    description: str = ""


def value_at(obj: Object, path: str, default: Any = None) -> Any:
    """The value at a dotted path; `default` where it is absent or null."""
    value: Any = obj
    for part in path.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
        if value is None:
            return default
    return value


def field(
    name: str, path: str, default: Any = "", *, type_: str = "string", priority: int = 0
) -> Column:
    """A column that shows one field; `default` where the object leaves it out."""
    return Column(name, lambda obj, _: value_at(obj, path, default), type_, priority=priority)


def integer(name: str, path: str, default: int = 0) -> Column:
    """A column that shows a number."""
    return field(name, path, default, type_="integer")


def boolean(name: str, path: str, default: bool = False) -> Column:
    """A column that shows a truth value."""
    return field(name, path, default, type_="boolean")


def count(name: str, *paths: str, type_: str = "string") -> Column:
    """A column that shows how many items lists or maps have."""
    return Column(name, lambda obj, _: sum(len(value_at(obj, each, ())) for each in paths), type_)


def human_duration(duration_ns: int) -> str:
    """A duration as people like to read it: `5m30s`, `3h`, `2d4h` (apimachinery's form)."""
    seconds = duration_ns // SECOND if duration_ns >= 0 else -(-duration_ns // SECOND)
    if seconds < 0:
        return "0s" if seconds == -1 else "<invalid>"
    if seconds < 2 * 60:
        return f"{seconds}s"
    minutes = seconds // 60
    hours = minutes // 60
    days = hours // 24
    for limit, amount, unit, rest, rest_unit in (
        (minutes < 10, minutes, "m", seconds % 60, "s"),  # noqa: PLR2004 - the form's own limits
        (minutes < 3 * 60, minutes, "m", 0, ""),
        (hours < 8, hours, "h", minutes % 60, "m"),  # noqa: PLR2004 - see above
        (hours < 2 * 24, hours, "h", 0, ""),
        (days < 8, days, "d", hours % 24, "h"),  # noqa: PLR2004 - see above
        (days < 2 * 365, days, "d", 0, ""),
        (days < 8 * 365, days // 365, "y", days % 365, "d"),
    ):
        if limit:
            return f"{amount}{unit}{rest}{rest_unit}" if rest else f"{amount}{unit}"
    return f"{days // 365}y"


def since(text: str | None, now_ns: int) -> str:
    """How long ago a time was."""
    return UNKNOWN if not text else human_duration(now_ns - parse_time(text))


NAME = Column("Name", lambda obj, _: value_at(obj, "metadata.name", ""), format="name")
AGE = Column("Age", lambda obj, now: since(value_at(obj, "metadata.creationTimestamp"), now))
# What the server shows of a kind that has no columns of its own.
CREATED_AT = Column("Created At", lambda obj, _: value_at(obj, "metadata.creationTimestamp", ""))
DEFAULT = (NAME, CREATED_AT)


def labels_text(labels: Mapping[str, str] | None) -> str:
    """Labels as `a=b,c=d`; `<none>` without any."""
    return ",".join(f"{key}={value}" for key, value in sorted((labels or {}).items())) or NONE


def selector_text(selector: Mapping[str, Any] | None) -> str:
    """A LabelSelector as text; `<none>` for one that selects everything."""
    return str(parse_label_selector(selector)) or NONE if selector is not None else NONE


def shortened(items: list[str], total: int, limit: int = SHOWN_MAX) -> str:
    """The first items and how many more there are."""
    shown = ",".join(items[:limit])
    return f"{shown} + {total - limit} more..." if total > limit else shown


def containers(path: str, *, priority: int = 1) -> tuple[Column, Column]:
    """Names and images of the containers in the pod template's spec at `path`."""

    def listed(of: str) -> Tell:
        return lambda obj, _: ",".join(
            each.get(of, "") for each in value_at(obj, f"{path}.containers", ())
        )

    return (
        Column("Containers", listed("name"), priority=priority),
        Column("Images", listed("image"), priority=priority),
    )


def selector(path: str) -> Column:
    """The LabelSelector at `path`."""
    return Column("Selector", lambda obj, _: selector_text(value_at(obj, path)), priority=1)


def ready_of(obj: Object, _now_ns: int) -> str:
    """Ready replicas of those that are wanted."""
    wanted = value_at(obj, "spec.replicas", 0)
    return f"{value_at(obj, 'status.readyReplicas', 0)}/{wanted}"


def condition_is_true(obj: Object, kind: str) -> bool:
    """Whether a condition in the status has the status True."""
    return any(
        each.get("type") == kind and each.get("status") == "True"
        for each in value_at(obj, "status.conditions", ())
    )
