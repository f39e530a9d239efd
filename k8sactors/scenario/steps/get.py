"""Read one object or list several, and print a table."""

from __future__ import annotations

import attrs

from k8sactors.api.located_yaml import KeyPath
from k8sactors.scenario.binding import Struct, Text, setting
from k8sactors.scenario.checks import Checks
from k8sactors.scenario.context import Context
from k8sactors.scenario.names import LABELS, RESOURCE
from k8sactors.scenario.objects import table_of
from k8sactors.scenario.parsed import SAVED_NAME
from k8sactors.scenario.result import StepResult
from k8sactors.scenario.step import StepKind


@attrs.define
class Get:
    """Read one object or list several, and print a table."""

    resource: str = setting(RESOURCE, "the kind of object")
    namespace: str | None = setting(Text(), "its namespace; all otherwise", default=None)
    name: str | None = setting(Text(), "its name", default=None)
    labels: str | None = setting(LABELS, "only with these labels", default=None)
    save: str | None = setting(
        SAVED_NAME, "keep the object under this name for a replace step", key="as", default=None
    )


def _check(action: Get, where: KeyPath, checks: Checks) -> None:
    if action.save is None:
        return
    if action.name is None:
        checks.problem((*where, "as"), "only one object can be saved: give its name")
    checks.saved_objects[action.save] = None


async def _perform(action: Get, context: Context, result: StepResult) -> None:
    info = context.cluster.scheme.lookup(action.resource)
    if action.name is not None:
        found = [await context.get(action.resource, action.namespace, action.name)]
    else:
        found = await context.list(action.resource, action.namespace, action.labels)
    everywhere = info.namespaced and action.namespace is None and action.name is None
    result.table = table_of(info.name, found, namespaced=everywhere)
    result.detail.append(f"{len(found)} {info.plural}")
    if action.save is not None:
        # Stored objects may come without their kind; a write needs it.
        identity = {"apiVersion": info.api_version, "kind": info.kind}
        context.objects[action.save] = {**identity, **found[0]}


STEP = StepKind(
    verb="get",
    about="print a table of one object or several; `as` keeps one object for `replace`",
    settings=Struct(Get),
    perform=_perform,
    title=lambda action: f"Get {action.resource} {action.name or action.labels or ''}".rstrip(),
    check=_check,
)
