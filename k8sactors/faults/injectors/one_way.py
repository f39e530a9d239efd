"""One-way partition: one host is heard by no other, or hears none."""

from __future__ import annotations

from k8sactors.faults.fault import Targets
from k8sactors.faults.links import CUT, cut_fault, others
from k8sactors.faults.parameters import Flag, Parameters
from k8sactors.simulation import Random


def _draw(random: Random, targets: Targets) -> Parameters:
    """Which host, and which of the two."""
    lonely = [random.choice(targets.hosts)]
    rest = others(targets, lonely)
    deaf = random.choice((False, True))
    a, b = (rest, lonely) if deaf else (lonely, rest)
    return {"a": a, "b": b, "one_way": True}


FAULT = cut_fault(
    name="one-way",
    title="lose all that one group of hosts sends to another; the way back stays",
    parameters={**CUT, "one_way": Flag("only what goes from a to b is lost", default=True)},
    draw=_draw,
)
