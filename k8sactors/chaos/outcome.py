"""What a chaos run found."""

from collections.abc import Mapping

import attrs

from k8sactors.checkers.findings import Finding


@attrs.frozen
class Outcome:
    """One seed's run.

    Attributes:
        seed: which one.
        findings: violated guarantees; empty when all held.
        faults: the fault schedule, a line each.
        trace_hash: equal for every run of this seed by this version.
        virtual_seconds: how much time the run simulated.
        wall_seconds: how long that took; filled in by the campaign.
        operations: how many store operations the linearizability check judged.
        exercised: how often each interesting thing happened, by its name.
        picture: an SVG of the answers that contradict each other; empty when none do.
    """

    seed: int
    findings: tuple[Finding, ...]
    faults: tuple[str, ...]
    trace_hash: str
    virtual_seconds: float
    wall_seconds: float = 0.0
    operations: int = 0
    exercised: Mapping[str, int] = attrs.field(factory=dict)
    picture: str = ""

    @property
    def checks(self) -> tuple[str, ...]:
        """Names of the violated checks, each once."""
        return tuple(dict.fromkeys(finding.check for finding in self.findings))
