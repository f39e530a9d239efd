"""From a run that fails to the smallest one that still fails with the same check.

Delta debugging (Zeller and Hildebrandt, 2002) over the list of faults: ever smaller parts of it are
left out as long as the check still finds something. Then what is left is made shorter and the load
lighter. A run is a function of its options and its seed, so each attempt is one deterministic run;
their number is limited, and the best one so far is always at hand.

Campaigns on a store and on a whole cluster shrink alike: their options say what a smaller run is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Generic, Protocol, Self, TypeVar

import attrs

from k8sactors.chaos.outcome import Outcome
from k8sactors.faults import PlannedFault

MOST_RUNS = 200
SHORTEST_MS = 10
QUIET_MS = 1_000
"""How long faults could still strike behind the end of the last one, unless more is needed."""


class Shrinkable(Protocol):
    """How a run is set up, and which runs are smaller."""

    @property
    def plan(self) -> tuple[PlannedFault, ...] | None:
        """The faults."""

    @property
    def faults_ms(self) -> int:
        """How long faults may strike."""

    def with_plan(self, plan: Sequence[PlannedFault]) -> Self:
        """The same with other faults."""

    def ending(self, faults_ms: int) -> Self:
        """The same with an earlier end of the faults."""

    def lighter(self) -> Iterator[Self]:
        """The runs with a little less load, the best ones to try first."""


OptionsT = TypeVar("OptionsT", bound=Shrinkable)


@attrs.frozen
class Shrunk(Generic[OptionsT]):
    """The smallest failing run that was found, and how many runs that took."""

    options: OptionsT
    outcome: Outcome
    runs: int


@attrs.define
class Shrinker(Generic[OptionsT]):
    """Looks for a smaller run that fails with `check`."""

    run: Callable[[OptionsT], Outcome]
    check: str
    best: OptionsT
    outcome: Outcome
    runs: int = 0
    most_runs: int = MOST_RUNS
    on_run: Callable[[int, int], None] = lambda _runs, _faults: None

    @property
    def plan(self) -> tuple[PlannedFault, ...]:
        """The faults of the best run so far."""
        return self.best.plan or ()

    def try_out(self, options: OptionsT) -> bool:
        """Run; if it still fails in the same way, it is the best from now on."""
        if self.runs >= self.most_runs or options == self.best:
            return False
        self.runs += 1
        outcome = self.run(options)
        failed = self.check in outcome.checks
        if failed:
            self.best, self.outcome = options, outcome
        self.on_run(self.runs, len(self.plan))
        return failed

    def with_plan(self, plan: Sequence[PlannedFault]) -> bool:
        """Try another list of faults."""
        return self.try_out(self.best.with_plan(plan))

    def leave_out(self) -> None:
        """Delta debugging: leave out halves, quarters ... single faults."""
        parts = 2
        while self.plan:
            size = -(-len(self.plan) // parts)
            if any(self.with_plan(rest) for rest in _without_parts(self.plan, size)):
                parts = max(2, parts - 1)
            elif size <= 1:
                return
            else:
                parts = min(2 * parts, len(self.plan))

    def shorten(self) -> None:
        """Halve the time that each fault lasts, as often as possible."""
        for position in range(len(self.plan)):
            while (fault := self.plan[position]).duration_ms > SHORTEST_MS:
                shorter = attrs.evolve(fault, duration_ms=fault.duration_ms // 2)
                if not self.with_plan([*self.plan[:position], shorter, *self.plan[position + 1 :]]):
                    break

    def lighten(self) -> None:
        """End soon after the last fault, with less load."""
        ends_ms = [fault.at_ms + fault.duration_ms for fault in self.plan]
        end_ms = max(ends_ms, default=0) + QUIET_MS
        if end_ms < self.best.faults_ms:
            self.try_out(self.best.ending(end_ms))
        while any(self.try_out(options) for options in self.best.lighter()):
            pass


def _without_parts(plan: tuple[PlannedFault, ...], size: int) -> Iterator[tuple[PlannedFault, ...]]:
    """The plan without each run of `size` faults."""
    for start in range(0, len(plan), size):
        yield plan[:start] + plan[start + size :]


def shrink(
    run: Callable[[OptionsT], Outcome],
    options: OptionsT,
    outcome: Outcome,
    check: str,
    most_runs: int = MOST_RUNS,
    on_run: Callable[[int, int], None] = lambda _runs, _faults: None,
) -> Shrunk[OptionsT]:
    """Make a failing run smaller.

    Args:
        run: runs one seed with these options.
        options: those of the failing run, with its plan.
        outcome: what it found.
        check: the check that must continue to fail.
        most_runs: how many runs may be spent.
        on_run: told after each run how many there were, and how many faults are left.
    """
    shrinker = Shrinker(run, check, options, outcome, most_runs=most_runs, on_run=on_run)
    shrinker.leave_out()
    shrinker.lighten()
    shrinker.shorten()
    shrinker.leave_out()
    return Shrunk(shrinker.best, shrinker.outcome, shrinker.runs)
