"""Deployments have all their replicas, up to date and available."""

from __future__ import annotations

import attrs

from k8sactors.scenario.binding import Struct, Text, setting
from k8sactors.scenario.condition import ConditionKind
from k8sactors.scenario.context import Context
from k8sactors.scenario.workloads import of_the_application, shortfall


@attrs.define
class Available:
    """Deployments have all their replicas, up to date and available."""

    namespace: str | None = setting(Text(), "only in this namespace", default=None)
    name: str | None = setting(Text(), "only this one; otherwise all of them", default=None)


async def _missing(wanted: Available, context: Context) -> str | None:
    if wanted.name is not None:
        deployment = await context.get("deployments", wanted.namespace, wanted.name)
        return shortfall("deployments", deployment)
    deployments = of_the_application(await context.list("deployments", wanted.namespace))
    if not deployments:
        return "there is no Deployment"
    reasons = [shortfall("deployments", each) for each in deployments]
    short = [reason for reason in reasons if reason is not None]
    if not short:
        return None
    more = f" (and {len(short) - 1} more)" if len(short) > 1 else ""
    ready = len(deployments) - len(short)
    return f"{ready} of {len(deployments)} available; {short[0]}{more}"


CONDITION = ConditionKind(
    verb="available",
    about="Deployments (all, unless named) have all replicas updated and available",
    settings=Struct(Available),
    missing=_missing,
)
