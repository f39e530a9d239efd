"""Send one request and print every hop of its way."""

from __future__ import annotations

import attrs

from k8sactors.scenario.binding import Flag, Integer, Struct, setting
from k8sactors.scenario.context import Context
from k8sactors.scenario.errors import StepError
from k8sactors.scenario.names import DESTINATION, PLACE
from k8sactors.scenario.probing import ask
from k8sactors.scenario.result import StepResult
from k8sactors.scenario.step import StepKind


@attrs.define
class Probe:
    """Send one request and print every hop of its way; it must be answered."""

    to: str = setting(DESTINATION, "the destination")
    from_: str = setting(PLACE, "where the request starts", key="from", default="any-node")
    port: int | None = setting(
        Integer(1, 65535), "the port; a Service's first one otherwise", default=None
    )
    refused: bool = setting(Flag(), "it must not be answered", default=False)


async def _perform(action: Probe, context: Context, result: StepResult) -> None:
    answer = await ask(context.cluster, action.from_, action.to, action.port)
    result.detail += answer.hops
    if answer.ok:
        result.detail.append(f"answered: {answer.text}")
    else:
        result.detail.append(f"not answered: {answer.error}")
    if answer.ok == action.refused:
        wanted = "no answer" if action.refused else "an answer"
        raise StepError(f"expected {wanted} from {action.to}")


STEP = StepKind(
    verb="probe",
    about="send one request and print every hop of its way; it must be answered",
    settings=Struct(Probe),
    perform=_perform,
    title=lambda action: f"Probe {action.to} from {action.from_}",
)
