"""Chaos on the cluster of a scenario: its steps set up, then faults strike."""

from __future__ import annotations

from functools import cache, partial
from pathlib import Path

import k8sactors.simulation as simulation_module
from k8sactors.chaos.cluster.options import ClusterChaos
from k8sactors.chaos.cluster.run import ClusterChaosRun
from k8sactors.chaos.outcome import Outcome
from k8sactors.checkers.findings import Finding
from k8sactors.cluster import Cluster
from k8sactors.cluster.errors import ClusterError
from k8sactors.scenario.errors import StepError
from k8sactors.scenario.load import load_scenario
from k8sactors.scenario.model import Scenario
from k8sactors.scenario.parsed import Step
from k8sactors.scenario.result import StepResult
from k8sactors.scenario.runner import context_of
from k8sactors.scenario.vocabulary import STEPS, title_of
from k8sactors.simulation import MILLISECOND


class SetUpError(ClusterError):
    """A step of the scenario failed before any fault struck."""


def run_scenario_seed(source: Path, topology: str | None, seed: int) -> Outcome:
    """Run one seed; the file must be a good scenario."""
    return run_with_options(source, topology, seed, options_of(read_once(source, topology)))


def run_with_options(
    source: Path, topology: str | None, seed: int, options: ClusterChaos
) -> Outcome:
    """Run one seed with other options than the scenario's.

    A run that the simulation itself gave up is an outcome too.
    """
    scenario = read_once(source, topology)
    run = ClusterChaosRun(scenario.cluster, partial(_set_up, scenario), options)
    try:
        return simulation_module.run(run.main, seed=seed)
    except simulation_module.SimulationError as error:
        findings = (Finding("simulation", str(error), 0),)
        return Outcome(seed, findings, (), trace_hash="", virtual_seconds=0.0)


@cache
def read_once(source: Path, topology: str | None) -> Scenario:
    """The scenario, read once per process."""
    return load_scenario(source, topology=topology)


def options_of(scenario: Scenario) -> ClusterChaos:
    """What the scenario's `chaos` section asks for."""
    chaos = scenario.file.chaos
    return ClusterChaos(
        faults_ms=chaos.duration_ns // MILLISECOND,
        settle_ms=chaos.settle_ns // MILLISECOND,
        store_clients=chaos.store_clients,
        api_clients=chaos.users,
        kinds=tuple(chaos.kinds),
    )


async def _set_up(scenario: Scenario, cluster: Cluster) -> None:
    number = 0

    async def run_step(step: Step) -> bool:
        nonlocal number
        number += 1
        result = StepResult(str(number), title_of(step), step.verb, step.line)
        try:
            await STEPS[step.verb].perform(step.action, context, result)
        except StepError as error:
            raise SetUpError(f"{result.title}: {error}") from error
        return True

    context = context_of(scenario, cluster, run_step)
    for step in scenario.file.steps:
        await run_step(step)
