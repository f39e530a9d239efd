"""One value of one object."""

from __future__ import annotations

import re
from typing import Any

import attrs

from k8sactors.api.located_yaml import KeyPath
from k8sactors.scenario.binding import Flag, Integer, Json, Struct, Text, setting
from k8sactors.scenario.checks import Checks
from k8sactors.scenario.comparison import out_of_bounds
from k8sactors.scenario.condition import ConditionKind
from k8sactors.scenario.context import Context
from k8sactors.scenario.names import RESOURCE
from k8sactors.scenario.objects import MISSING, value_at


@attrs.define
class Value:
    """One value of one object."""

    resource: str = setting(RESOURCE, "the kind of object")
    name: str = setting(Text(), "its name")
    at: str = setting(Text("a path, as in status.readyReplicas"), "where the value is")
    namespace: str | None = setting(Text(), "its namespace", default=None)
    equals: Any = setting(Json(), "exactly this", default=None)
    matches: str | None = setting(
        Text("a regular expression"), "matches this as a whole", default=None
    )
    at_least: int | None = setting(Integer(), "this number or more", default=None)
    at_most: int | None = setting(Integer(), "this number or less", default=None)
    absent: bool = setting(Flag(), "there is no such value", default=False)


def _check(wanted: Value, where: KeyPath, checks: Checks) -> None:
    names = ("equals", "at_least", "at_most", "matches", "absent")
    checks.one_comparison(wanted, where, names)
    if wanted.matches is not None:
        try:
            re.compile(wanted.matches)
        except re.error as error:
            checks.problem((*where, "matches"), f"not a regular expression: {error}")


async def _missing(wanted: Value, context: Context) -> str | None:
    obj = await context.get(wanted.resource, wanted.namespace, wanted.name)
    value = value_at(obj, wanted.at)
    where = f"{wanted.at} of {wanted.resource} {wanted.name}"
    if wanted.absent:
        return None if value is MISSING else f"{where} is {value!r}, expected none"
    if wanted.matches is not None:
        good = value is not MISSING and re.fullmatch(wanted.matches, str(value))
        return None if good else f"{where} is {value!r}, expected to match {wanted.matches}"
    if wanted.at_least is not None or wanted.at_most is not None:
        if isinstance(value, bool) or not isinstance(value, int | float):
            return f"{where} is {value!r}, expected a number"
        problem = out_of_bounds(value, wanted)
        return f"{where}: {problem}" if problem else None
    return None if value == wanted.equals else f"{where} is {value!r}, not {wanted.equals!r}"


CONDITION = ConditionKind(
    verb="value",
    about="a field of an object has a value",
    settings=Struct(Value),
    missing=_missing,
    check=_check,
)
