"""Whatever runs pods is complete: workloads of every kind, and bare pods."""

from __future__ import annotations

import attrs

from k8sactors.scenario.binding import Struct, Text, setting
from k8sactors.scenario.condition import ConditionKind
from k8sactors.scenario.context import Context
from k8sactors.scenario.workloads import (
    PODS,
    WORKLOADS,
    is_controlled,
    of_the_application,
    shortfall,
)


@attrs.define
class Ready:
    """Workloads of every kind and bare pods are complete; with none of them it holds."""

    namespace: str | None = setting(Text(), "only in this namespace", default=None)


async def _missing(wanted: Ready, context: Context) -> str | None:
    complete, short = 0, []
    for resource in (*WORKLOADS, PODS):
        for each in of_the_application(await context.list(resource, wanted.namespace)):
            if is_controlled(each):
                continue
            reason = shortfall(resource, each)
            if reason is None:
                complete += 1
            else:
                short.append(reason)
    if not short:
        return None
    more = f" (and {len(short) - 1} more)" if len(short) > 1 else ""
    return f"{complete} of {complete + len(short)} ready; {short[0]}{more}"


CONDITION = ConditionKind(
    verb="ready",
    about="all that runs pods is complete: workloads of every kind, and bare pods; where there is "
    "none it holds",
    settings=Struct(Ready),
    missing=_missing,
)
