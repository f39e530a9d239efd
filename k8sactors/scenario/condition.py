"""What a kind of condition is: one module in `conditions` holds one record as `CONDITION`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import attrs

from k8sactors.api.located_yaml import KeyPath
from k8sactors.scenario.binding import Kind
from k8sactors.scenario.checks import Checks
from k8sactors.scenario.context import Context


def _no_check(_wanted: Any, _where: KeyPath, _checks: Checks) -> None:
    """The form of the settings says it all."""


@attrs.frozen(kw_only=True)
class ConditionKind:
    """One kind of condition."""

    # The key in the file.
    verb: str
    # One line for readers: when it holds.
    about: str
    # What the key holds.
    settings: Kind
    # What is missing for it to hold now, None when it holds; StatusError and StepError: not yet.
    missing: Callable[[Any, Context], Awaitable[str | None]]
    # Before anything starts: what must hold beyond the form and the targets.
    check: Callable[[Any, KeyPath, Checks], None] = _no_check
