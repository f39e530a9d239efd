"""A campaign: one run after the other, seed by seed, over as many processes as there are cores.

Each seed's run is a world of its own, so a campaign knows nothing of it but the outcome.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from functools import partial
from multiprocessing import get_context

import attrs

from k8sactors.chaos.outcome import Outcome
from k8sactors.observe.logs import configure_logs
from k8sactors.observe.stopwatch import Stopwatch

RunSeed = Callable[[int], Outcome]
"""Runs one seed; must be picklable when there are several processes."""

# Seeds handed to a process ahead of time, so that none is idle.
AHEAD = 2


def run_campaign(run_seed: RunSeed, seeds: Sequence[int], jobs: int) -> Iterator[Outcome]:
    """Run all seeds; outcomes come as they are ready, not in order."""
    timed = partial(_run_timed, run_seed)
    if jobs == 1 or len(seeds) == 1:
        yield from map(timed, seeds)
        return
    # A fresh interpreter per process: no state of this one leaks into a run.
    with ProcessPoolExecutor(min(jobs, len(seeds)), mp_context=get_context("spawn")) as pool:
        waiting = iter(seeds)
        running: set[Future[Outcome]] = set()
        while True:
            while len(running) < AHEAD * jobs and (seed := next(waiting, None)) is not None:
                running.add(pool.submit(timed, seed))
            if not running:
                return
            done, running = wait(running, return_when=FIRST_COMPLETED)
            yield from sorted((future.result() for future in done), key=lambda each: each.seed)


def _run_timed(run_seed: RunSeed, seed: int) -> Outcome:
    # What a fault makes components complain of is no news here; a crash is a finding.
    configure_logs("error")
    watch = Stopwatch()
    return attrs.evolve(run_seed(seed), wall_seconds=watch.seconds)
