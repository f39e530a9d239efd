"""The bug zoo: does the campaign catch what it claims to catch?

Each deliberate defect is built in, and seeds are run until a check that is meant for it finds it.
The sound build must then pass the same seeds, or the check would cry wolf.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import partial
from multiprocessing import get_context

import attrs

from k8sactors.chaos.zoo.bug import Bug
from k8sactors.chaos.zoo.bugs import BUGS
from k8sactors.checkers.findings import Finding
from k8sactors.observe.logs import configure_logs
from k8sactors.observe.stopwatch import Stopwatch

SEEDS = 500
FEWEST_CONTROL_SEEDS = 5


@attrs.frozen
class Hunt:
    """What became of one bug."""

    # The bug's row in the zoo.
    number: int
    # The bug.
    name: str
    # Where it is known from.
    origin: str
    # What caught it, None if nothing did.
    finding: Finding | None
    # All checks that noticed something in that run.
    checks: tuple[str, ...]
    # How many seeds it took; the last one caught it.
    seeds: int
    # Simulated time of all these seeds.
    virtual_seconds: float
    # How long they took.
    wall_seconds: float
    # How many seeds the sound build was run with.
    control_seeds: int = 0
    # What was found in the sound build, each with its seed.
    false_alarms: tuple[tuple[int, str], ...] = ()

    @property
    def ok(self) -> bool:
        """Caught, and not by a check that finds something in the sound build too."""
        return self.finding is not None and not self.false_alarms


def hunt(bug: Bug, seeds: int, fewest_control_seeds: int = FEWEST_CONTROL_SEEDS) -> Hunt:
    """Run the defective build until the bug is caught, then the sound one over the same seeds."""
    caught = catch(bug, seeds)
    count = min(seeds, max(caught.seeds, fewest_control_seeds))
    alarms = [
        (seed, str(finding))
        for seed in range(1, count + 1)
        for finding in bug.campaign(seed).findings
    ]
    return attrs.evolve(caught, control_seeds=count, false_alarms=tuple(alarms))


def catch(bug: Bug, seeds: int) -> Hunt:
    """Run the defective build until the bug is caught, or the seeds are used up."""
    watch = Stopwatch()
    virtual_seconds = 0.0
    finding: Finding | None = None
    checks: tuple[str, ...] = ()
    seed = 0
    with bug.switched_on():
        while finding is None and seed < seeds:
            seed += 1
            outcome = bug.campaign(seed)
            virtual_seconds += outcome.virtual_seconds
            named = [each for each in outcome.findings if each.check in bug.checks]
            if named:
                finding = min(named, key=lambda each: bug.checks.index(each.check))
                checks = outcome.checks
    return Hunt(
        number=bug.number,
        name=bug.name,
        origin=bug.origin,
        finding=finding,
        checks=checks,
        seeds=seed,
        virtual_seconds=virtual_seconds,
        wall_seconds=watch.seconds,
    )


def hunt_all(numbers: Sequence[int], seeds: int, jobs: int) -> Iterator[Hunt]:
    """Hunt several bugs, each in a process; results come as they are ready."""
    work = partial(_hunt_number, seeds=seeds)
    # Those of whole clusters take longest: first, or the other cores would wait for them.
    numbers = sorted(numbers, reverse=True)
    if jobs == 1:
        yield from map(work, numbers)
        return
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        yield from _as_ready(pool, work, numbers)


def _as_ready(
    pool: ProcessPoolExecutor, work: Callable[[int], Hunt], numbers: Sequence[int]
) -> Iterator[Hunt]:
    for future in as_completed([pool.submit(work, number) for number in numbers]):
        yield future.result()


def _hunt_number(number: int, seeds: int) -> Hunt:
    configure_logs("error")
    return hunt(BUGS[number], seeds)
