"""Compaction under a watcher: history is forgotten while watchers and readers use it."""

from __future__ import annotations

from k8sactors.faults.fault import Group, Targets
from k8sactors.faults.orders import order
from k8sactors.faults.parameters import Integer, Parameters
from k8sactors.simulation import Random


def _draw(random: Random, targets: Targets) -> Parameters:
    """How many of the newest revisions stay."""
    del targets
    return {"kept": random.choice((0, 1, 10, 50))}


FAULT = order(
    "compact",
    "compact the history of the store",
    Group.STORE,
    lambda parameters: f"compact all but {parameters['kept']} revisions",
    parameters={"kept": Integer("how many of the newest revisions stay", default=0)},
    draw=_draw,
)
