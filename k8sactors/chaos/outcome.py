"""What a chaos run found."""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from k8sactors.checkers.findings import Finding
from k8sactors.faults import PlannedFault


@attrs.frozen
class Outcome:
    """One seed's run."""

    # Which one.
    seed: int
    # Violated guarantees; empty when all held.
    findings: tuple[Finding, ...]
    # The fault schedule, a line each.
    faults: tuple[str, ...]
    # Equal for every run of this seed by this version.
    trace_hash: str
    # How much time the run simulated.
    virtual_seconds: float
    # How long that took; filled in by the campaign.
    wall_seconds: float = 0.0
    # How many store operations the linearizability check looked at.
    operations: int = 0
    # How often each interesting thing happened, by its name.
    exercised: Mapping[str, int] = attrs.field(factory=dict)
    # An SVG of the answers that contradict each other; empty when none do.
    picture: str = ""
    # The same as data.
    plan: tuple[PlannedFault, ...] = ()

    @property
    def checks(self) -> tuple[str, ...]:
        """Names of the violated checks, each once."""
        return tuple(dict.fromkeys(finding.check for finding in self.findings))
