"""Another condition does not hold."""

from __future__ import annotations

from k8sactors.api.located_yaml import KeyPath
from k8sactors.scenario.checks import Checks
from k8sactors.scenario.condition import ConditionKind
from k8sactors.scenario.context import Context
from k8sactors.scenario.parsed import Condition
from k8sactors.scenario.vocabulary import CONDITION as ANY_CONDITION
from k8sactors.scenario.vocabulary import CONDITIONS, missing


def _check(inner: Condition | None, where: KeyPath, checks: Checks) -> None:
    if inner is None:
        return
    place = (*where, inner.verb)
    checks.settings(inner.action, place)
    CONDITIONS[inner.verb].check(inner.action, place, checks)


async def _missing(inner: Condition, context: Context) -> str | None:
    reason = await missing(inner, context)
    return f"still true: {inner.verb}" if reason is None else None


CONDITION = ConditionKind(
    verb="not",
    about="the condition inside does not hold; an API error counts as neither",
    settings=ANY_CONDITION,
    missing=_missing,
    check=_check,
)
