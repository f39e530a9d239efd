"""Delete one object, or all that have certain labels."""

from __future__ import annotations

from typing import Any

import attrs

from k8sactors.api.located_yaml import KeyPath
from k8sactors.scenario.binding import Choice, Duration, Struct, Text, setting
from k8sactors.scenario.checks import Checks
from k8sactors.scenario.context import Context, Object
from k8sactors.scenario.names import LABELS, RESOURCE
from k8sactors.scenario.refusal import FAILS, Refusal, refused_or
from k8sactors.scenario.result import StepResult
from k8sactors.scenario.step import StepKind
from k8sactors.simulation import SECOND


@attrs.define
class Delete:
    """Delete one object, or all that have certain labels."""

    resource: str = setting(RESOURCE, "the kind of object")
    namespace: str | None = setting(Text(), "its namespace", default=None)
    name: str | None = setting(Text(), "its name", default=None)
    labels: str | None = setting(LABELS, "all with these labels", default=None)
    propagation: str | None = setting(
        Choice(("Background", "Foreground", "Orphan")), "what becomes of dependents", default=None
    )
    grace_ns: int | None = setting(
        Duration(), "time that a pod gets to end", key="grace", default=None
    )
    fails: Refusal | None = setting(FAILS, "the request must be refused", default=None)


def _check(action: Delete, where: KeyPath, checks: Checks) -> None:
    if not (action.name or action.labels):
        checks.problem(where, "give the name or the labels of what is deleted")


async def _perform(action: Delete, context: Context, result: StepResult) -> None:
    info = context.cluster.scheme.lookup(action.resource)
    options: dict[str, Any] = {}
    if action.propagation is not None:
        options["propagationPolicy"] = action.propagation
    if action.grace_ns is not None:
        options["gracePeriodSeconds"] = action.grace_ns // SECOND
    if action.labels is not None:
        options["labelSelector"] = action.labels

    async def request() -> Object:
        return await context.cluster.client.request(
            "delete" if action.name is not None else "deletecollection",
            info.name,
            namespace=(action.namespace or "default") if info.namespaced else None,
            name=action.name,
            options=options,
        )

    if await refused_or(request, action.fails, result) is not None:
        what = action.name or f"all with {action.labels}"
        result.detail.append(f"deleted {info.singular} {what}")


STEP = StepKind(
    verb="delete",
    about="delete one object, or all that have certain labels",
    settings=Struct(Delete),
    perform=_perform,
    title=lambda action: f"Delete {action.resource} {action.name or action.labels}",
    check=_check,
)
