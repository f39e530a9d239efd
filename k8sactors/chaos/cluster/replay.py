"""A failing run of a whole cluster as a file that `k8sactors chaos --replay` runs again.

The file names the scenario that sets the cluster up, relative to itself; the scenario's `chaos`
section gives the options that the file does not change.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import attrs

from k8sactors.chaos.cluster.options import ClusterChaos
from k8sactors.chaos.cluster.scenario_run import options_of, read_once
from k8sactors.chaos.outcome import Outcome
from k8sactors.chaos.replay import (
    MOST,
    REFUSED,
    BadReplayError,
    Replay,
    check_faults,
    options_from_data,
    options_to_data,
    plan_from_data,
    read_data,
    write_data,
)
from k8sactors.cluster.defaults import TOPOLOGIES
from k8sactors.scenario.cluster_section import host_names
from k8sactors.scenario.errors import BadScenarioError

COMMAND: Final = "k8sactors chaos"
RANGES: Final = {
    "settle_ms": (1, MOST),
    "store_clients": (0, 50),
    "api_clients": (0, 50),
    "named_pods": (0, 1_000),
}
"""Of whole numbers, both ends included; all others are 0 or more."""


@attrs.frozen(kw_only=True)
class ClusterReplay(Replay[ClusterChaos]):
    """What a replay file says, with the cluster."""

    # The scenario that sets the cluster up.
    scenario: Path
    # Replaces the scenario's.
    topology: str | None


def write_replay(
    path: Path, scenario: Path, topology: str | None, options: ClusterChaos, outcome: Outcome
) -> None:
    """Write a run to a file.

    Raises:
        OSError: that is not possible.
    """
    usual = options_of(read_once(scenario, topology))
    more = {"scenario": os.path.relpath(scenario, path.parent)}
    if topology is not None:
        more["topology"] = topology
    differing = options_to_data(options, usual)
    write_data(path, COMMAND, outcome, differing, options.plan or (), more)


def read_replay(path: Path) -> ClusterReplay:
    """Read a file that `write_replay` wrote, or that was edited.

    Raises:
        BadReplayError: it or its scenario cannot be read or understood.
    """
    data = read_data(path, COMMAND)
    name, topology = data.data.get("scenario"), data.data.get("topology")
    if not isinstance(name, str):
        raise BadReplayError(f"{path}: scenario must be the path of a file, it is {name!r}")
    if topology is not None and topology not in TOPOLOGIES:
        known = ", ".join(TOPOLOGIES)
        raise BadReplayError(f"{path}: there is no topology {topology!r}; there are {known}")
    source = path.parent / name
    try:
        scenario = read_once(source, topology)
        options = options_from_data(data.options, options_of(scenario), RANGES)
        plan = plan_from_data(data.faults)
        check_faults(plan, options.faults_ms, host_names(scenario.cluster))
    except (*REFUSED, BadScenarioError) as error:
        raise BadReplayError(f"{path}: {error}") from error
    return ClusterReplay(
        seed=data.seed,
        options=options.with_plan(plan),
        checks=data.checks,
        trace_hash=data.trace_hash,
        scenario=source,
        topology=topology,
    )
