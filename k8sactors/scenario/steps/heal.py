"""End faults: all of them, or those that an inject step saved."""

from __future__ import annotations

import re
from typing import Any

import attrs

from k8sactors.api.located_yaml import KeyPath
from k8sactors.faults import heal_everything
from k8sactors.observe.text import few_lines
from k8sactors.scenario.binding import Reader, Schema, named
from k8sactors.scenario.checks import Checks
from k8sactors.scenario.context import Context
from k8sactors.scenario.result import StepResult
from k8sactors.scenario.step import StepKind

ALL = "all"
_SAVED = r"\$[\w-]+"


@attrs.frozen
class Saved:
    """`all`, or the names of saved faults."""

    def read(self, value: Any, path: KeyPath, reader: Reader) -> list[str]:
        """The names without their dollar; none: all."""
        if value == ALL:
            return []
        names = value if isinstance(value, list) and value else [value]
        for each in names:
            if not isinstance(each, str) or not re.fullmatch(_SAVED, each):
                message = f"expected all, or a saved fault as in $name; got {named(each)}"
                reader.problem(path, message)
                return []
        return [each[1:] for each in names]

    def schema(self, definitions: dict[str, Schema]) -> Schema:
        """A word, a name or a list of names."""
        del definitions
        name = {"type": "string", "pattern": f"^(?:{_SAVED})$"}
        many = {"type": "array", "items": name, "minItems": 1}
        return {"anyOf": [{"const": ALL}, name, many]}


def _check(names: list[str], where: KeyPath, checks: Checks) -> None:
    for name in names:
        checks.saved_fault(name, where)


async def _perform(names: list[str], context: Context, result: StepResult) -> None:
    network = context.cluster.network
    strikes = [each for name in names for each in context.strikes[name]] or context.all_strikes
    ended = [
        f"ended: {strike.fault.fault.describe(strike.parameters)}"
        for strike in strikes
        if strike.parameters is not None and not strike.ended
    ]
    result.detail += few_lines(ended)
    if names:
        for strike in strikes:
            strike.heal()
    else:
        result.detail += few_lines(heal_everything(network, strikes))
        context.all_strikes.clear()


STEP = StepKind(
    verb="heal",
    about="end faults: `all` (network, clocks, disks, hosts and processes are restored), `$name` "
    "or a list of such names",
    settings=Saved(),
    perform=_perform,
    title=lambda names: "Heal " + (", ".join(names) or "everything"),
    check=_check,
)
