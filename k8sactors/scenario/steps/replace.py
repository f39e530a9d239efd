"""Write back an object as an earlier step saved it, with changes: a full update."""

from __future__ import annotations

from typing import Any

import attrs

from k8sactors.api.located_yaml import KeyPath
from k8sactors.api.patch import merge_patch
from k8sactors.scenario.binding import JsonObject, Struct, setting
from k8sactors.scenario.checks import Checks
from k8sactors.scenario.context import Context, Object
from k8sactors.scenario.parsed import SAVED_NAME
from k8sactors.scenario.refusal import FAILS, Refusal, refused_or
from k8sactors.scenario.result import StepResult
from k8sactors.scenario.step import StepKind


@attrs.define
class Replace:
    """Write back an object as an earlier step saved it, with changes (a full update)."""

    saved: str = setting(SAVED_NAME, "the name given with `as` in a get step")
    set: dict[str, Any] = setting(JsonObject(), "merged into the saved object first")
    fails: Refusal | None = setting(FAILS, "the request must be refused", default=None)


def _check(action: Replace, where: KeyPath, checks: Checks) -> None:
    if action.saved not in checks.saved_objects:
        hint = "save it first: get: {resource: ..., name: ..., as: NAME}"
        checks.problem((*where, "saved"), f"no object {action.saved!r}; {hint}")


async def _perform(action: Replace, context: Context, result: StepResult) -> None:
    saved = context.objects[action.saved]
    info = context.cluster.scheme.kind(saved["apiVersion"], saved["kind"])

    async def request() -> Object:
        return await context.cluster.client.request(
            "update",
            info.name,
            namespace=saved["metadata"].get("namespace"),
            name=saved["metadata"]["name"],
            body=merge_patch(saved, action.set),
        )

    if await refused_or(request, action.fails, result) is not None:
        result.detail.append(f"replaced {info.singular} {saved['metadata']['name']}")


STEP = StepKind(
    verb="replace",
    about="write a saved object back with changes: a full update with its old resourceVersion",
    settings=Struct(Replace),
    perform=_perform,
    title=lambda action: f"Replace {action.saved}",
    check=_check,
)
