"""A failing run of the store as a file that `raftstore chaos --replay` runs again."""

from __future__ import annotations

from pathlib import Path
from typing import Final

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
from k8sactors.chaos.store.mix import FEATURES
from k8sactors.chaos.store.options import StoreChaos

COMMAND: Final = "raftstore chaos"
RANGES: Final = {
    "members": (1, 9),
    "spares": (0, 9),
    "clients": (0, 1_000),
    "settle_ms": (1, MOST),
    "snapshot_entries": (1, MOST),
    "entries_per_message": (1, MOST),
    "election_ticks": (2, 1_000),
    "max_clock_drift_percent": (0, 99),
}
"""Of whole numbers, both ends included; all others are 0 or more."""


def write_replay(path: Path, options: StoreChaos, outcome: Outcome) -> None:
    """Write a run to a file.

    Raises:
        OSError: that is not possible.
    """
    differing = options_to_data(options, StoreChaos())
    write_data(path, COMMAND, outcome, differing, options.plan or ())


def read_replay(path: Path) -> Replay[StoreChaos]:
    """Read a file that `write_replay` wrote, or that was edited.

    Raises:
        BadReplayError: it cannot be read or understood.
    """
    data = read_data(path, COMMAND)
    try:
        options = options_from_data(data.options, StoreChaos(), RANGES)
        _check_features(options)
        plan = plan_from_data(data.faults)
        check_faults(plan, options.faults_ms, options.hosts)
    except REFUSED as error:
        raise BadReplayError(f"{path}: {error}") from error
    return Replay(
        seed=data.seed,
        options=options.with_plan(plan),
        checks=data.checks,
        trace_hash=data.trace_hash,
    )


def _check_features(options: StoreChaos) -> None:
    for feature in options.features:
        if feature not in FEATURES:
            raise ValueError(f"there is no feature {feature!r}; known: {', '.join(FEATURES)}")
