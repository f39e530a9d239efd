"""Create objects, or bring existing ones to what is given."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from k8sactors.api.located_yaml import KeyPath
from k8sactors.observe.text import few
from k8sactors.scenario.binding import Flag, JsonObject, ListOf, Struct, Text, setting
from k8sactors.scenario.checks import Checks
from k8sactors.scenario.context import Context
from k8sactors.scenario.refusal import FAILS, Refusal, refused_or
from k8sactors.scenario.result import StepResult
from k8sactors.scenario.step import StepKind


@attrs.define
class Apply:
    """Create objects, or bring existing ones to what is given."""

    files: list[str] = setting(
        ListOf(Text("a path")), "manifest files, relative to the scenario", default=[]
    )
    objects: list[dict[str, Any]] = setting(
        ListOf(JsonObject("an object with apiVersion, kind and metadata")),
        "objects written here",
        default=[],
    )
    manifests: bool = setting(
        Flag(), "also what was given with --manifest on the command line", default=False
    )
    fails: Refusal | None = setting(FAILS, "the request must be refused", default=None)


def _check(action: Apply, where: KeyPath, checks: Checks) -> None:
    refused = action.fails is not None
    if not (action.files or action.objects or action.manifests):
        checks.problem(where, "nothing to apply: give files, objects or manifests: true")
    for number, name in enumerate(action.files):
        checks.files.append(((*where, "files", number), name, refused))
    for number, each in enumerate(action.objects):
        checks.objects.append(((*where, "objects", number), each, refused))
    if action.manifests:
        checks.callers.append(refused)


async def _perform(action: Apply, context: Context, result: StepResult) -> None:
    objects = [each for name in action.files for each in context.manifests[name]]
    objects += action.objects
    if action.manifests:
        objects += context.extra

    async def request() -> Mapping[str, str]:
        return await context.cluster.apply(objects)

    outcomes = await refused_or(request, action.fails, result)
    if outcomes is None:
        return
    counts: dict[str, int] = {}
    for outcome in outcomes.values():
        counts[outcome] = counts.get(outcome, 0) + 1
    told = ", ".join(f"{number} {outcome}" for outcome, number in counts.items())
    result.detail.append(f"{len(objects)} objects: {told}")


STEP = StepKind(
    verb="apply",
    about="create or update objects from files (relative to the scenario), written here, or given "
    "with `--manifest`",
    settings=Struct(Apply),
    perform=_perform,
    title=lambda action: "Apply " + (few(action.files) or "manifests"),
    check=_check,
)
