"""A campaign: one run after the other, seed by seed, over as many processes as there are cores.

Each seed's run is a world of its own, so a campaign knows nothing of it but the outcome.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from functools import partial
from multiprocessing import get_context
from typing import NoReturn

import attrs

from k8sactors.chaos.outcome import Outcome
from k8sactors.checkers.findings import Finding
from k8sactors.observe.logs import configure_logs
from k8sactors.observe.stopwatch import Stopwatch

RunSeed = Callable[[int], Outcome]
"""Runs one seed; must be picklable when there are several processes."""

# Seeds handed to a process ahead of time, so that none is idle.
AHEAD = 2
# A process is replaced after so many seeds: whatever it may have collected goes with it.
SEEDS_PER_PROCESS = 500
TIME_LIMIT_S = 600.0
"""How long one seed may take; a run that never ends must not stop a campaign."""


class SeedTimeLimitError(BaseException):
    """A seed took too long. No `Exception`: a supervisor of actors would take it for a crash."""


def run_campaign(
    run_seed: RunSeed, seeds: Sequence[int], jobs: int, limit_s: float = TIME_LIMIT_S
) -> Iterator[Outcome]:
    """Run all seeds; outcomes come as they are ready, not in order.

    A seed that takes longer than `limit_s` ends with a finding of that name.
    """
    timed = partial(_run_timed, run_seed, limit_s)
    if jobs == 1 or len(seeds) == 1:
        yield from map(timed, seeds)
        return
    # A fresh interpreter per process: no state of this one leaks into a run.
    pool = ProcessPoolExecutor(
        min(jobs, len(seeds)),
        mp_context=get_context("spawn"),
        initializer=_leave_interrupts_to_the_parent,
        max_tasks_per_child=SEEDS_PER_PROCESS,
    )
    try:
        waiting = iter(seeds)
        running: set[Future[Outcome]] = set()
        while True:
            while len(running) < AHEAD * jobs and (seed := next(waiting, None)) is not None:
                running.add(pool.submit(timed, seed))
            if not running:
                return
            done, running = wait(running, return_when=FIRST_COMPLETED)
            yield from sorted((future.result() for future in done), key=lambda each: each.seed)
    finally:
        pool.shutdown(cancel_futures=True)


def _leave_interrupts_to_the_parent() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _run_timed(run_seed: RunSeed, limit_s: float, seed: int) -> Outcome:
    # What a fault makes components complain of is no news here; a crash is a finding.
    configure_logs("error")
    watch = Stopwatch()
    try:
        with _time_limit(limit_s):
            outcome = run_seed(seed)
    except SeedTimeLimitError:
        finding = Finding("time-limit", f"the run did not end within {limit_s:g} s", 0)
        outcome = Outcome(seed, (finding,), (), trace_hash="", virtual_seconds=0.0)
    return attrs.evolve(outcome, wall_seconds=watch.seconds)


@contextmanager
def _time_limit(limit_s: float) -> Iterator[None]:
    """End the block with a `SeedTimeLimitError` when its time is over."""

    def over(_signal: int, _frame: object) -> NoReturn:
        raise SeedTimeLimitError

    former = signal.signal(signal.SIGALRM, over)
    signal.setitimer(signal.ITIMER_REAL, limit_s)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, former)
