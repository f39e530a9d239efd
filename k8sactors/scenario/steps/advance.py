"""Let virtual time go by."""

from __future__ import annotations

import trio

from k8sactors.scenario.binding import Duration
from k8sactors.scenario.context import Context
from k8sactors.scenario.result import StepResult
from k8sactors.scenario.step import StepKind
from k8sactors.simulation import SECOND


async def _perform(duration_ns: int, context: Context, result: StepResult) -> None:
    del context, result
    await trio.sleep(duration_ns / SECOND)


STEP = StepKind(
    verb="advance",
    about="let virtual time go by",
    settings=Duration(),
    perform=_perform,
    title=lambda duration_ns: f"Let {duration_ns / SECOND:g} s go by",
    limit_ns=lambda duration_ns: int(duration_ns) + SECOND,
)
