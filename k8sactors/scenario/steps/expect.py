"""Wait until all conditions hold at the same time."""

from __future__ import annotations

import attrs
import trio

from k8sactors import simulation
from k8sactors.api.located_yaml import KeyPath
from k8sactors.scenario.binding import Duration, ListOf, Struct, setting
from k8sactors.scenario.checks import Checks
from k8sactors.scenario.context import Context
from k8sactors.scenario.errors import StepError
from k8sactors.scenario.parsed import Condition
from k8sactors.scenario.result import StepResult
from k8sactors.scenario.step import STEP_LIMIT_NS, StepKind
from k8sactors.scenario.vocabulary import CONDITION, CONDITIONS, all_missing
from k8sactors.simulation import SECOND

DEFAULT_LIMIT_NS = 60 * SECOND
_POLL_S = 0.25


@attrs.define
class Expect:
    """Wait until all conditions hold at the same time."""

    that: list[Condition] = setting(ListOf(CONDITION), "the conditions")
    within_ns: int = setting(
        Duration(), "virtual time until they must hold", key="within", default=DEFAULT_LIMIT_NS
    )
    stays_ns: int = setting(
        Duration(), "virtual time for which they must then continue to hold", key="stays", default=0
    )


def _check(action: Expect, where: KeyPath, checks: Checks) -> None:
    for number, condition in enumerate(action.that):
        place = (*where, "that", number, condition.verb)
        checks.settings(condition.action, place)
        CONDITIONS[condition.verb].check(condition.action, place, checks)


async def _perform(action: Expect, context: Context, result: StepResult) -> None:
    sim = simulation.current()
    started_ns = sim.now_ns()
    deadline_ns = started_ns + action.within_ns
    context.facts.clear()
    missing = ["nothing was looked at"]
    # A single look can itself hang on an unreachable server: the limit covers it as well.
    with trio.move_on_after((action.within_ns + SECOND) / SECOND):
        while missing := await all_missing(action.that, context):
            context.waiting_for = missing[0]
            if sim.now_ns() >= deadline_ns:
                break
            await trio.sleep(_POLL_S)
    context.waiting_for = ""
    waited_s = (sim.now_ns() - started_ns) / SECOND
    if missing:
        raise StepError(f"not within {action.within_ns / SECOND:g} s: " + "; ".join(missing))
    await _stays(action, context)
    result.detail.append(f"true after {waited_s:.1f} s")
    result.detail += context.facts


async def _stays(action: Expect, context: Context) -> None:
    sim = simulation.current()
    end_ns = sim.now_ns() + action.stays_ns
    while sim.now_ns() < end_ns:
        await trio.sleep(_POLL_S)
        missing = await all_missing(action.that, context)
        if missing:
            seconds = action.stays_ns / SECOND
            raise StepError(f"did not stay true for {seconds:g} s: " + "; ".join(missing))


STEP = StepKind(
    verb="expect",
    about="wait until all conditions hold at once, and continue to hold for `stays`",
    settings=Struct(Expect),
    perform=_perform,
    title=lambda action: "Expect " + ", ".join(condition.verb for condition in action.that),
    check=_check,
    limit_ns=lambda action: action.within_ns + action.stays_ns + STEP_LIMIT_NS,
)
