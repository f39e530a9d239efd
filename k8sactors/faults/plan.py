"""A fault plan: which fault hits what, when, and for how long; drawn from a seed.

Swarm testing (Groce et al., 2012): each seed first draws which kinds of fault are on at all and how
dense they come, so that some runs see only partitions and others everything at once. A plan is
plain data: it can be printed, shrunk, and played again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import attrs

from k8sactors.faults.catalogue import common_faults, fault_named
from k8sactors.faults.fault import Fault, Part, Targets
from k8sactors.faults.parameters import Parameters
from k8sactors.simulation import Random

SHORTEST_FAULT_MS = 200
ENABLED_SHARE = 0.6
"""How likely each kind of fault takes part in a run."""


@attrs.frozen
class Pace:
    """How fast faults follow each other and how long they last; each run draws one of each."""

    # Mean times between the starts of two faults.
    mean_gaps_ms: tuple[int, ...] = (1_000, 3_000, 8_000)
    # Upper bounds of a fault's duration, drawn again for each fault.
    longest_ms: tuple[int, ...] = (1_000, 5_000, 25_000)


DEFAULT_PACE = Pace()


@attrs.frozen
class PlannedFault:
    """One fault: from `at_ms`, for `duration_ms`, of a kind in the catalogue."""

    at_ms: int
    duration_ms: int
    kind: str
    parameters: Parameters
    # The sequence that it belongs to, if any.
    part_of: str = ""

    @property
    def fault(self) -> Fault:
        """The catalogue's record.

        Raises:
            UnknownFaultError: there is none of that kind.
        """
        return fault_named(self.kind)

    def describe(self) -> str:
        """One line for timelines."""
        what = self.fault.describe(self.parameters)
        whole = f" ({self.part_of})" if self.part_of else ""
        return f"{self.at_ms / 1000:8.3f} s  {what} for {self.duration_ms / 1000:g} s{whole}"


def draw_plan(
    random: Random,
    targets: Targets,
    duration_ms: int,
    kinds: Sequence[str] = (),
    pace: Pace = DEFAULT_PACE,
) -> list[PlannedFault]:
    """Draw the faults of one run, ordered by time; without `kinds`, of the common ones.

    A kind that is named several times strikes that much more often.

    Raises:
        UnknownFaultError: a kind is not in the catalogue.
    """
    check_kinds(kinds)
    known = list(kinds or common_faults())
    enabled = [kind for kind in known if random.random() < ENABLED_SHARE]
    if not enabled:
        enabled = [random.choice(known)]
    mean_gap_ms = random.choice(pace.mean_gaps_ms)
    return draw_faults(random, targets, duration_ms, enabled, mean_gap_ms, pace.longest_ms)


def check_kinds(kinds: Sequence[str]) -> None:
    """Make sure that all kinds of fault exist.

    Raises:
        UnknownFaultError: one does not.
    """
    for kind in kinds:
        fault_named(kind)


def draw_faults(
    random: Random,
    targets: Targets,
    duration_ms: int,
    enabled: Sequence[str],
    mean_gap_ms: int,
    longest_ms: Sequence[int],
) -> list[PlannedFault]:
    """Draw faults of the enabled kinds, a mean gap between the starts of two, ordered by time."""
    faults: list[PlannedFault] = []
    at_ms = random.randrange(mean_gap_ms)
    while at_ms < duration_ms:
        kind = random.choice(enabled)
        length_ms = random.randint(SHORTEST_FAULT_MS, random.choice(longest_ms))
        parameters = fault_named(kind).draw(random, targets)
        faults += [
            part
            for part in unfolded(random, targets, PlannedFault(at_ms, length_ms, kind, parameters))
            if part.at_ms < duration_ms
        ]
        at_ms += 1 + random.randrange(2 * mean_gap_ms)
    return sorted(faults, key=lambda fault: fault.at_ms)


def unfolded(random: Random, targets: Targets, planned: PlannedFault) -> Iterator[PlannedFault]:
    """The parts of a sequence, each of which can be left out by itself; else the fault alone."""
    unfold = planned.fault.unfold
    if unfold is None:
        yield planned
        return
    parts = unfold(random, targets, planned.parameters, planned.at_ms, planned.duration_ms)
    for part in parts:
        parameters = _parameters_of(part, random, targets)
        yield PlannedFault(part.at_ms, part.duration_ms, part.name, parameters, planned.kind)


def _parameters_of(part: Part, random: Random, targets: Targets) -> Parameters:
    if part.parameters is not None:
        return part.parameters
    return fault_named(part.name).draw(random, targets)
