"""What a kind of step is: one module in `steps` holds one record as `STEP`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import attrs

from k8sactors.api.located_yaml import KeyPath
from k8sactors.scenario.binding import Kind
from k8sactors.scenario.checks import Checks
from k8sactors.scenario.context import Context
from k8sactors.scenario.parsed import Step
from k8sactors.scenario.result import StepResult
from k8sactors.simulation import SECOND

STEP_LIMIT_NS = 600 * SECOND


def _no_check(_action: Any, _where: KeyPath, _checks: Checks) -> None:
    """The form of the settings says it all."""


def _usual_limit(_action: Any) -> int | None:
    return STEP_LIMIT_NS


def _no_steps(_action: Any) -> Sequence[Step]:
    return ()


@attrs.frozen(kw_only=True)
class StepKind:
    """One kind of step."""

    # The key in the file.
    verb: str
    # One line for readers: what it does.
    about: str
    # What the key holds.
    settings: Kind
    # Does it; raises StepError, StatusError, or what the cluster raises.
    perform: Callable[[Any, Context, StepResult], Awaitable[None]]
    # The title of a step that has no name of its own.
    title: Callable[[Any], str]
    # Before anything starts: what must hold beyond the form and the targets.
    check: Callable[[Any, KeyPath, Checks], None] = _no_check
    # Virtual time until it counts as hung, in nanoseconds; None: its own steps have limits.
    limit_ns: Callable[[Any], int | None] = _usual_limit
    # The steps inside it.
    inner: Callable[[Any], Sequence[Step]] = _no_steps
