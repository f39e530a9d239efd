"""Runs a scenario: builds the cluster, does the steps in order, checks the end.

Every wait has a limit in virtual time, so a run always ends. The first step that fails ends the
run; the rest is reported as skipped. Progress is told to an observer at fixed intervals of virtual
time whether or not it shows them, so that watching changes nothing.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any, Protocol

import attrs
import trio

from k8sactors import simulation
from k8sactors.api.errors import StatusError
from k8sactors.checkers import Finding
from k8sactors.checkers.kubernetes import check_liveness, check_safety
from k8sactors.cluster import Cluster
from k8sactors.cluster.errors import ClusterError
from k8sactors.scenario.context import Context
from k8sactors.scenario.errors import StepError
from k8sactors.scenario.meter import Meter
from k8sactors.scenario.model import Scenario
from k8sactors.scenario.parsed import Step
from k8sactors.scenario.recorder import Recorder
from k8sactors.scenario.result import FAILED, PASSED, Incident, RunResult, StepResult
from k8sactors.scenario.vocabulary import STEPS, title_of
from k8sactors.simulation import SECOND, RealClock
from k8sactors.simulation.trace import FrameListener

SETTLE_LIMIT_S = 180.0
TICK_S = 0.25
_POLL_S = 1.0


@attrs.frozen
class Progress:
    """How a run stands."""

    # Virtual time since the start.
    virtual_ns: int
    # Number of pods by phase.
    pods: dict[str, int]
    # Host and term of the store's leader.
    leader: tuple[str, int] | None
    # Delivered so far.
    messages: int
    # What an expectation still lacks.
    waiting_for: str


class Observer(Protocol):
    """What watches a run."""

    def planned(self, result: RunResult) -> None:
        """The run begins; `result.steps` lists what will be done."""

    def step_started(self, step: StepResult) -> None:
        """A step begins."""

    def step_ended(self, step: StepResult) -> None:
        """A step has passed or failed."""

    def progress(self, progress: Progress) -> None:
        """Some virtual time went by."""


def execute(
    scenario: Scenario,
    observer: Observer,
    listener: FrameListener | None = None,
    clock: RealClock | None = None,
) -> RunResult:
    """Run a scenario from its start to its end; never raises for what happens inside the cluster.

    Args:
        scenario: what to do.
        observer: is told how it goes.
        listener: gets every delivered frame.
        clock: the wall clock; virtual time unless given.
    """
    run = Run(scenario, observer)
    run.listener = listener
    try:
        simulation.run(run.main, seed=scenario.seed, clock=clock)
    except simulation.SimulationError as error:
        run.result.error = str(error)
    return run.result


class Run:
    """One run of one scenario."""

    def __init__(self, scenario: Scenario, observer: Observer) -> None:
        self.scenario = scenario
        self.observer = observer
        self.result = RunResult(scenario.name, scenario.cluster.topology, scenario.seed)
        self._start = StepResult("0", _start_title(scenario), "start", 1)
        self._end = StepResult("", "Everything has converged, no invariant is broken", "check", 0)
        self._results = dict(_number(scenario.file.steps, ""))
        self._end.number = str(len(scenario.file.steps) + 1)
        self.result.steps = [self._start, *self._results.values(), self._end]
        self.listener: FrameListener | None = None
        self._cluster: Cluster
        self._context: Context
        self._recorder: Recorder
        self._meter: Meter

    async def main(self) -> None:
        """The whole run, inside the simulation."""
        sim = simulation.current()
        if self.listener is not None:
            sim.trace.listeners.append(self.listener)
        self.observer.planned(self.result)
        try:
            self._begin(self._start)
            async with Cluster(self.scenario.cluster) as cluster:
                self._cluster = cluster
                await self._inside(cluster)
        except (ClusterError, StatusError, trio.TooSlowError) as error:
            self._fail(self._start, error)
        finally:
            self.result.trace_hash = sim.trace.hexdigest()
            self.result.messages = sim.trace.frames
            self.result.virtual_ns = sim.now_ns()

    async def _inside(self, cluster: Cluster) -> None:
        self._context = context_of(self.scenario, cluster, self._step)
        self._recorder = Recorder(cluster)
        self._recorder.start()
        self._meter = Meter(cluster)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._watch)
            if self.scenario.file.measure:
                await self._meter.set_up()
                self.result.measured = True
                nursery.start_soon(self._meter.write_forever)
                nursery.start_soon(self._meter.reconcile_forever)
            self._pass(self._start)
            if await self._steps(self.scenario.file.steps):
                await self._check_end()
            await self._finish_meter()
            nursery.cancel_scope.cancel()
        self.result.findings += raft_findings(cluster)
        self.result.crashes = [
            Incident(crash.actor, crash.time_ns, crash.cause)
            for crash in cluster.network.crashes
            if not crash.cause.startswith(tuple(self._context.crash_causes))
        ]

    async def _steps(self, steps: Sequence[Step]) -> bool:
        """Do steps one after the other; whether all passed."""
        for step in steps:
            if not await self._step(step):
                return False
        return True

    async def _step(self, step: Step) -> bool:
        kind, result = STEPS[step.verb], self._results[step.path]
        limit_ns = kind.limit_ns(step.action)
        limit_s = math.inf if limit_ns is None else limit_ns / SECOND
        self._begin(result)
        try:
            with trio.fail_after(limit_s):
                await kind.perform(step.action, self._context, result)
        except trio.TooSlowError:
            self._fail(result, StepError(f"took longer than {limit_s:g} s"))
            return False
        except (StepError, StatusError, ClusterError) as error:
            self._fail(result, error)
            return False
        self._pass(result)
        return True

    async def _check_end(self) -> None:
        """Wait until the cluster has settled, then check every invariant."""
        self._begin(self._end)
        found = await self._settle() if self.scenario.file.settles else []
        found += check_safety(self._recorder.history)
        self.result.findings = found
        for finding in found[:10]:
            self._end.detail.append(str(finding))
        if found:
            self._fail(self._end, StepError(f"{len(found)} invariants are broken"))
        else:
            self._pass(self._end)

    async def _settle(self) -> list[Finding]:
        found = [Finding("api-answers", "the API did not answer", simulation.current().now_ns())]
        with trio.move_on_after(SETTLE_LIMIT_S):
            while found:
                history = await self._recorder.try_finish()
                if history is not None:
                    found = check_liveness(history)
                if found:
                    self._context.waiting_for = found[0].message
                    await trio.sleep(_POLL_S)
        self._context.waiting_for = ""
        return found

    async def _finish_meter(self) -> None:
        if not self.result.measured:
            return
        self._meter.close(simulation.current().now_ns())
        self.result.outages = sorted(self._meter.outages, key=lambda each: each.from_ns)
        self.result.acknowledged_writes = self._meter.acknowledged
        try:
            self.result.lost_writes = await self._meter.lost_writes()
        except StatusError as error:
            self.result.error = f"the last write cannot be read back: {error}"

    async def _watch(self) -> None:
        sim = simulation.current()
        while True:
            leader = self._cluster.store_leader()
            if leader is not None and (
                not self.result.leader_changes or self.result.leader_changes[-1][1:] != leader
            ):
                self.result.leader_changes.append((sim.now_ns(), *leader))
            self.observer.progress(
                Progress(
                    sim.now_ns(),
                    self._recorder.pods_by_state(),
                    leader,
                    sim.trace.frames,
                    self._context.waiting_for,
                )
            )
            await trio.sleep(TICK_S)

    def _begin(self, step: StepResult) -> None:
        step.started_ns = simulation.current().now_ns()
        self.observer.step_started(step)

    def _pass(self, step: StepResult) -> None:
        step.status = PASSED
        step.ended_ns = simulation.current().now_ns()
        self.observer.step_ended(step)

    def _fail(self, step: StepResult, error: Exception) -> None:
        step.status = FAILED
        step.ended_ns = simulation.current().now_ns()
        step.detail.insert(0, _told(error))
        self.observer.step_ended(step)


def context_of(
    scenario: Scenario, cluster: Cluster, run_step: Callable[[Step], Awaitable[bool]]
) -> Context:
    """What the steps of a scenario share when they run in a cluster."""
    return Context(cluster, scenario.manifests, scenario.extra, run_step)


def raft_findings(cluster: Cluster) -> list[Finding]:
    """What the monitor of Raft's invariants saw in any step of the run."""
    now_ns = simulation.current().now_ns()
    violations = cluster.assembly.monitor.violations
    return [Finding("raft", str(violation), now_ns) for violation in violations]


def _told(error: Exception) -> str:
    if isinstance(error, StatusError):
        return f"{error.code} {error.reason}: {error.message}"
    return str(error) or type(error).__name__


def _start_title(scenario: Scenario) -> str:
    spec = scenario.cluster
    members = f"{spec.members} store member{'s' if spec.members > 1 else ''}"
    planes = f"{spec.planes} control plane{'s' if spec.planes > 1 else ''}"
    count = len(spec.worker_names)
    workers = f"{count} worker{'s' if count > 1 else ''}"
    article = "an" if spec.topology == "external" else "a"
    return f"Start {article} {spec.topology} cluster: {planes}, {members}, {workers}"


def _number(steps: Sequence[Step], prefix: str) -> Iterator[tuple[Any, StepResult]]:
    """The result of every step by its path, numbered as people count."""
    for position, step in enumerate(steps, 1):
        number = f"{prefix}{position}"
        yield step.path, StepResult(number, title_of(step), step.verb, step.line)
        yield from _number(STEPS[step.verb].inner(step.action), f"{number}.")
