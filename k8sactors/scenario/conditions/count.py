"""So many objects match."""

from __future__ import annotations

from typing import Any

import attrs

from k8sactors.api.located_yaml import KeyPath
from k8sactors.scenario.binding import Integer, JsonObject, Struct, Text, setting
from k8sactors.scenario.checks import Checks
from k8sactors.scenario.comparison import out_of_bounds
from k8sactors.scenario.condition import ConditionKind
from k8sactors.scenario.context import Context
from k8sactors.scenario.names import LABELS, RESOURCE
from k8sactors.scenario.objects import MISSING, value_at


@attrs.define
class Count:
    """So many objects match."""

    resource: str = setting(RESOURCE, "what is counted")
    namespace: str | None = setting(Text(), "only in this namespace", default=None)
    labels: str | None = setting(LABELS, "only with these labels", default=None)
    where: dict[str, Any] = setting(
        JsonObject("a mapping from paths to values, as in spec.nodeName: worker-1"),
        "only with these values; a path may select from a list: status.conditions[type=Ready]",
        default={},
    )
    distinct: str | None = setting(
        Text("a path"), "count different values at this path, not objects", default=None
    )
    equals: int | None = setting(Integer(), "exactly", default=None)
    at_least: int | None = setting(Integer(), "or more", default=None)
    at_most: int | None = setting(Integer(), "or fewer", default=None)


def _check(wanted: Count, where: KeyPath, checks: Checks) -> None:
    checks.one_comparison(wanted, where, ("equals", "at_least", "at_most"))


async def _missing(wanted: Count, context: Context) -> str | None:
    matching = [
        each
        for each in await context.list(wanted.resource, wanted.namespace, wanted.labels)
        if all(value_at(each, path) == value for path, value in wanted.where.items())
    ]
    number = len(matching)
    if wanted.distinct is not None:
        values = {repr(value_at(each, wanted.distinct)) for each in matching}
        number = len(values - {repr(MISSING)})
    what = f"values of {wanted.distinct} in " if wanted.distinct else ""
    problem = out_of_bounds(number, wanted)
    if wanted.equals is not None and number != wanted.equals:
        problem = f"{number}, expected {wanted.equals}"
    return f"{problem} {what}{wanted.resource}" if problem else None


CONDITION = ConditionKind(
    verb="count",
    about="so many objects match; `distinct` counts different values",
    settings=Struct(Count),
    missing=_missing,
    check=_check,
)
