"""A request to a destination is answered."""

from __future__ import annotations

import attrs

from k8sactors.scenario.binding import Integer, Struct, Text, setting
from k8sactors.scenario.condition import ConditionKind
from k8sactors.scenario.context import Context
from k8sactors.scenario.names import DESTINATION, PLACE
from k8sactors.scenario.probing import ask


@attrs.define
class Answers:
    """A request to a destination is answered."""

    to: str = setting(DESTINATION, "the destination")
    from_: str = setting(PLACE, "where the request starts", key="from", default="any-node")
    port: int | None = setting(
        Integer(1, 65535), "the port; a Service's first one otherwise", default=None
    )
    through: str | None = setting(Text(), "some hop on the way contains this text", default=None)


async def _missing(wanted: Answers, context: Context) -> str | None:
    answer = await ask(context.cluster, wanted.from_, wanted.to, wanted.port)
    if not answer.ok:
        return f"{wanted.to} does not answer: {answer.error}"
    if wanted.through is not None and not any(wanted.through in hop for hop in answer.hops):
        return f"no hop to {wanted.to} contains {wanted.through!r}"
    return None


CONDITION = ConditionKind(
    verb="answers",
    about="a request is answered, by way of a hop with the text `through`",
    settings=Struct(Answers),
    missing=_missing,
)
