"""The words of the scenario file: found in the packages of steps and conditions, not listed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol, TypeVar

from k8sactors.api.errors import StatusError
from k8sactors.faults.catalogue import Catalogue
from k8sactors.scenario import conditions, steps
from k8sactors.scenario.binding import Alternatives, Kind
from k8sactors.scenario.condition import ConditionKind
from k8sactors.scenario.context import Context
from k8sactors.scenario.errors import StepError
from k8sactors.scenario.parsed import Condition, Step
from k8sactors.scenario.step import StepKind

STEPS: Catalogue[StepKind] = Catalogue(steps, "STEP", lambda kind: kind.verb)
CONDITIONS: Catalogue[ConditionKind] = Catalogue(conditions, "CONDITION", lambda kind: kind.verb)


class _HasSettings(Protocol):
    @property
    def settings(self) -> Kind:
        """What the key of the record holds."""

    @property
    def about(self) -> str:
        """One line for readers."""


R = TypeVar("R", bound=_HasSettings)


class SettingsOf(Mapping[str, Kind]):
    """The settings of each record of a catalogue, as choices of a mapping with one key."""

    def __init__(self, catalogue: Mapping[str, R]) -> None:
        self._catalogue = catalogue

    def __getitem__(self, verb: str) -> Kind:
        """What the key holds."""
        return self._catalogue[verb].settings

    def __iter__(self) -> Iterator[str]:
        """The keys."""
        return iter(self._catalogue)

    def __len__(self) -> int:
        """How many there are."""
        return len(self._catalogue)

    def about(self, verb: str) -> str:
        """One line for readers."""
        return self._catalogue[verb].about


STEP = Alternatives("Step", "a step", SettingsOf(STEPS), Step)
CONDITION = Alternatives("Condition", "a condition", SettingsOf(CONDITIONS), Condition)


def title_of(step: Step) -> str:
    """The step's own name, or what it does."""
    return step.name or STEPS[step.verb].title(step.action)


def with_inner(steps_: Sequence[Step]) -> Iterator[Step]:
    """All steps, those inside others included, in the order of the file."""
    for step in steps_:
        yield step
        yield from with_inner(STEPS[step.verb].inner(step.action))


async def missing(condition: Condition, context: Context) -> str | None:
    """What is missing for a condition to hold now, None when it holds.

    Raises:
        StatusError, StepError: that cannot be told now.
    """
    return await CONDITIONS[condition.verb].missing(condition.action, context)


async def all_missing(wanted: Sequence[Condition], context: Context) -> list[str]:
    """What is missing for all conditions to hold; API errors count as not yet."""
    found = []
    for condition in wanted:
        try:
            reason = await missing(condition, context)
        except (StatusError, StepError) as error:
            reason = f"{condition.verb}: {error}"
        if reason is not None:
            found.append(reason)
    return found
