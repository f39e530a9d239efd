"""The entry point: run an async main function under one seed, one clock and one timer queue."""

from __future__ import annotations

import gc
from collections.abc import Awaitable, Callable
from random import Random
from typing import TypeVar

import trio

from k8sactors.simulation.clock import RealClock, VirtualClock
from k8sactors.simulation.determinism import deterministic_scheduling
from k8sactors.simulation.errors import (
    NotRunningError,
    SimulationError,
    StalledError,
    TimerCallbackError,
)
from k8sactors.simulation.groups import unwrap_groups
from k8sactors.simulation.streams import RandomStreams
from k8sactors.simulation.timers import TimerQueue
from k8sactors.simulation.trace import Trace
from raftstore.clock import Timer
from raftstore.collector import Thresholds, relaxed_collector

T = TypeVar("T")

# A cluster keeps hundreds of thousands of dicts alive, and with Python's defaults the cyclic
# collector walks them again and again: a fifth of the time of an idle cluster of a hundred nodes
# went there. The code avoids cycles, so that little waits for a collection.
COLLECTOR_THRESHOLDS: Thresholds = (500_000, 10, 20)

# A run in which the collector worked so often has aged its objects.
LARGE_RUN_COLLECTIONS = 5

# Idle polls granted to a cancelled run for winding down.
SHUTDOWN_POLLS = 1000


class Simulation:
    """Everything that one run shares: clock, timers, random streams and trace."""

    def __init__(self, seed: int, clock: VirtualClock | RealClock) -> None:
        self.seed = seed
        self.clock = clock
        self.epoch_ns = clock.epoch_ns
        self.timers: TimerQueue = clock.timers
        self.trace = Trace()
        self.now_ns = clock.now_ns
        self._streams = RandomStreams(seed)
        self._scope = trio.CancelScope()
        self._failure: SimulationError | None = None
        self._stalls = 0
        clock.on_stall = self._stalled
        clock.on_error = self._timer_failed

    def wall_ns(self) -> int:
        """What an undisturbed wall clock shows: nanoseconds since the Unix epoch."""
        return self.epoch_ns + self.now_ns()

    def after(self, delay_ns: int, callback: Callable[[], None], *, slack_ns: int = 0) -> Timer:
        """Run `callback` in `delay_ns`, or up to `slack_ns` later together with others."""
        return self.timers.after(delay_ns, callback, slack_ns)

    def random(self, name: str) -> Random:
        """The random stream called `name`: the same object for the same name."""
        return self._streams.get(name)

    @property
    def virtual(self) -> bool:
        """Whether time jumps."""
        return isinstance(self.clock, VirtualClock)

    def _stalled(self) -> None:
        if self._failure is not None:
            self._stalls += 1
            if self._stalls > SHUTDOWN_POLLS:
                raise self._failure  # cancelled, and still nothing can run: a shielded wait
            return
        self._fail(
            StalledError(
                "every task waits and no timer is set; give the wait a timeout, "
                "or check that what it waits for was started"
            )
        )

    def _timer_failed(self, error: BaseException) -> None:
        failure = TimerCallbackError(f"a timer callback raised {error!r}")
        failure.__cause__ = error
        self._fail(failure)

    def _fail(self, failure: SimulationError) -> None:
        self._failure = self._failure or failure
        self._scope.cancel()

    async def _main(self, main: Callable[..., Awaitable[T]], args: tuple[object, ...]) -> T:
        result: list[T] = []
        with self._scope:
            result.append(await main(*args))
        if self._failure is not None:
            raise self._failure
        return result[0]


class _Current:
    """The simulation that runs in this process, if any."""

    simulation: Simulation | None = None
    # Whether the last run was so short that the collector did not move its objects.
    is_small = False


def _collections() -> int:
    return sum(generation["collections"] for generation in gc.get_stats())


def current() -> Simulation:
    """The simulation whose `run` this code is part of.

    Raises:
        NotRunningError: outside of `run`.
    """
    if _Current.simulation is None:
        raise NotRunningError("no simulation is running; start one with k8sactors.simulation.run")
    return _Current.simulation


def run(
    main: Callable[..., Awaitable[T]],
    *args: object,
    seed: int = 0,
    clock: VirtualClock | RealClock | None = None,
) -> T:
    """Run `main(*args)` to its end and return its result.

    Args:
        main: an async function; everything it starts shares the seed and the clock.
        args: passed to `main`.
        seed: decides every random choice and the order of tasks.
        clock: `VirtualClock()` unless given; `RealClock(speed)` for the wall clock.

    Raises:
        StalledError: nothing could ever happen again (virtual time only).
        TimerCallbackError: a timer's callback raised.
    """
    if _Current.simulation is not None:
        raise SimulationError("a simulation is already running in this process")
    simulation = Simulation(seed, clock or VirtualClock())
    _Current.simulation = simulation
    collected = _collections()
    try:
        collector = relaxed_collector(
            COLLECTOR_THRESHOLDS, trims_heap=False, young_only=_Current.is_small
        )
        with deterministic_scheduling(seed), collector, unwrap_groups():
            return trio.run(
                simulation._main,  # noqa: SLF001 - the other half of this function
                main,
                args,
                clock=simulation.clock,
            )
    finally:
        _Current.simulation = None
        # What a short run leaves is young still, and collected as such.
        _Current.is_small = _collections() - collected < LARGE_RUN_COLLECTIONS
