"""Add a worker host to the running cluster."""

from __future__ import annotations

import attrs

from k8sactors.api.located_yaml import KeyPath
from k8sactors.scenario.binding import Struct, setting
from k8sactors.scenario.checks import Checks
from k8sactors.scenario.context import Context
from k8sactors.scenario.names import ZONE
from k8sactors.scenario.result import StepResult
from k8sactors.scenario.step import StepKind


@attrs.define
class AddWorker:
    """Add a worker host to the running cluster."""

    zone: str | None = setting(ZONE, "its zone; the first one otherwise", default=None)


def _check(_action: AddWorker, _where: KeyPath, checks: Checks) -> None:
    checks.added_workers += 1


async def _perform(action: AddWorker, context: Context, result: StepResult) -> None:
    name = await context.cluster.add_worker(action.zone)
    result.detail.append(f"added host {name}")


STEP = StepKind(
    verb="addWorker",
    about="add a worker host to the running cluster",
    settings=Struct(AddWorker),
    perform=_perform,
    title=lambda _: "Add a worker",
    check=_check,
)
