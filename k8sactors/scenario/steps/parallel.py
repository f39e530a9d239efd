"""Do steps at the same time."""

from __future__ import annotations

from collections.abc import Sequence

import trio

from k8sactors.scenario.binding import ListOf
from k8sactors.scenario.context import Context
from k8sactors.scenario.errors import StepError
from k8sactors.scenario.parsed import Step
from k8sactors.scenario.result import StepResult
from k8sactors.scenario.step import StepKind
from k8sactors.scenario.vocabulary import STEP as ANY_STEP


async def _perform(steps: Sequence[Step], context: Context, result: StepResult) -> None:
    del result
    outcomes: list[bool] = []

    async def branch(step: Step) -> None:
        outcomes.append(await context.run_step(step))

    async with trio.open_nursery() as nursery:
        for step in steps:
            nursery.start_soon(branch, step)
    if not all(outcomes):
        failed = len(outcomes) - sum(outcomes)
        raise StepError(f"{failed} of {len(outcomes)} parallel steps failed")


STEP = StepKind(
    verb="parallel",
    about="do several steps at the same time",
    settings=ListOf(ANY_STEP),
    perform=_perform,
    title=lambda steps: f"{len(steps)} steps at the same time",
    limit_ns=lambda _: None,
    inner=lambda steps: steps,
)
