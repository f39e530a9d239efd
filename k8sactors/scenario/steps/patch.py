"""Change some fields of an object."""

from __future__ import annotations

from typing import Any

import attrs

from k8sactors.scenario.binding import Choice, JsonObject, Struct, Text, setting
from k8sactors.scenario.context import Context, Object
from k8sactors.scenario.names import RESOURCE
from k8sactors.scenario.refusal import FAILS, Refusal, refused_or
from k8sactors.scenario.result import StepResult
from k8sactors.scenario.step import StepKind


@attrs.define
class Patch:
    """Change some fields of an object."""

    resource: str = setting(RESOURCE, "the kind of object")
    name: str = setting(Text(), "its name")
    patch: dict[str, Any] = setting(JsonObject(), "the patch")
    namespace: str | None = setting(Text(), "its namespace", default=None)
    type: str = setting(
        Choice(("merge", "strategic")), "how lists are merged: replaced, or by key", default="merge"
    )
    fails: Refusal | None = setting(FAILS, "the request must be refused", default=None)


async def _perform(action: Patch, context: Context, result: StepResult) -> None:
    info = context.cluster.scheme.lookup(action.resource)

    async def request() -> Object:
        return await context.cluster.client.request(
            "patch",
            info.name,
            namespace=(action.namespace or "default") if info.namespaced else None,
            name=action.name,
            body=action.patch,
            options={"patchType": action.type},
        )

    if await refused_or(request, action.fails, result) is not None:
        result.detail.append(f"changed {info.singular} {action.name}")


STEP = StepKind(
    verb="patch",
    about="change some fields of an object, by a merge patch or a strategic one",
    settings=Struct(Patch),
    perform=_perform,
    title=lambda action: f"Patch {action.resource} {action.name}",
)
