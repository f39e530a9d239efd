"""A member falls so far behind that it needs a snapshot, and crashes while it installs it."""

from __future__ import annotations

from collections.abc import Iterator

from k8sactors.faults.crashes import INSTALLED_SNAPSHOT, draw_trap
from k8sactors.faults.fault import Fault, Group, Part, Strikes, Targets
from k8sactors.faults.parameters import Host, Parameters
from k8sactors.simulation import Random

SHORTEST_LAG_MS = 5_000
"""A member that lags behind for less rarely lacks more than the log still holds."""


def _draw(random: Random, targets: Targets) -> Parameters:
    return {"host": random.choice(targets.store_hosts)}


def _unfold(
    random: Random, targets: Targets, parameters: Parameters, at_ms: int, duration_ms: int
) -> Iterator[Part]:
    """Cut it off for the first half; wait for the installation in the second."""
    host = parameters["host"]
    others = [other for other in targets.hosts if other != host]
    half_ms = max(SHORTEST_LAG_MS, duration_ms // 2)
    cut = {"a": [host], "b": others, "one_way": False}
    yield Part(at_ms, half_ms, "partition", cut)
    trap = draw_trap(random, host, INSTALLED_SNAPSHOT, (0,))
    yield Part(at_ms + half_ms, half_ms, "crash-at", trap)


FAULT = Fault(
    name="interrupt-install",
    title="let a store member fall behind until it needs a snapshot, and crash it in the middle",
    group=Group.STORE,
    strikes=Strikes.ACTOR,
    parameters={"host": Host("the member's host")},
    draw=_draw,
    unfold=_unfold,
    describe=lambda parameters: f"interrupt an installation on {parameters['host']}",
)
