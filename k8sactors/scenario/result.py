"""What a run of a scenario leaves behind: the same data for the terminal, JSON and comparisons."""

from typing import Any

import attrs

from k8sactors.checkers import Finding
from k8sactors.simulation import SECOND

PASSED = "passed"
FAILED = "failed"
SKIPPED = "skipped"


@attrs.define
class Table:
    """A kubectl-like table."""

    columns: list[str]
    rows: list[list[str]] = attrs.field(factory=list)


@attrs.define
class StepResult:
    """What became of one step.

    Attributes:
        number: as people count, from 1; steps inside a parallel one are 4.1, 4.2.
        title: what it is for.
        verb: the kind of step.
        line: where it stands in the scenario file.
        status: passed, failed or skipped.
        started_ns, ended_ns: virtual time since the start of the run.
        detail: what happened, in short lines; for a failed step why.
        table: what a get step read.
        lost: actors that a fault took down.
    """

    number: str
    title: str
    verb: str
    line: int
    status: str = SKIPPED
    started_ns: int = 0
    ended_ns: int = 0
    detail: list[str] = attrs.field(factory=list)
    table: Table | None = None
    lost: list[str] = attrs.field(factory=list)

    def to_json(self) -> dict[str, Any]:
        """The form of `--json`."""
        return {
            "number": self.number,
            "title": self.title,
            "verb": self.verb,
            "line": self.line,
            "status": self.status,
            "started_seconds": self.started_ns / SECOND,
            "ended_seconds": self.ended_ns / SECOND,
            "detail": self.detail,
            "lost": self.lost,
        }


@attrs.frozen
class Outage:
    """A service of the control plane was not there.

    Attributes:
        service: "writes" or "reconciliation".
        from_ns: virtual time of the last success before.
        to_ns: virtual time of the next one.
    """

    service: str
    from_ns: int
    to_ns: int

    @property
    def seconds(self) -> float:
        """How long, in virtual time."""
        return (self.to_ns - self.from_ns) / SECOND


@attrs.frozen
class Incident:
    """An actor crashed inside the run."""

    actor: str
    time_ns: int
    cause: str

    def __str__(self) -> str:
        return f"{self.actor} crashed at {self.time_ns / SECOND:.3f}s: {self.cause}"


@attrs.define
class RunResult:
    """A whole run.

    Attributes:
        scenario: its name.
        topology: of the cluster that ran.
        seed: that decided all chance.
        steps: in order; steps inside parallel ones follow it.
        crashes: of actors, whether or not a step failed for it.
        findings: invariants that did not hold.
        measured: whether the availability of the control plane was measured.
        outages: what was measured.
        acknowledged_writes, lost_writes: of the meter.
        leader_changes: (virtual time, host, term) of each store leader that was seen.
        error: why the run could not go on, if so.
        trace_hash: over all delivered messages.
        messages: how many.
        virtual_ns: how long it ran in virtual time.
        wall_seconds: how long in real time.
    """

    scenario: str
    topology: str
    seed: int
    steps: list[StepResult] = attrs.field(factory=list)
    crashes: list[Incident] = attrs.field(factory=list)
    findings: list[Finding] = attrs.field(factory=list)
    outages: list[Outage] = attrs.field(factory=list)
    measured: bool = False
    acknowledged_writes: int = 0
    lost_writes: int = 0
    leader_changes: list[tuple[int, str, int]] = attrs.field(factory=list)
    error: str = ""
    trace_hash: str = ""
    messages: int = 0
    virtual_ns: int = 0
    wall_seconds: float = 0.0

    @property
    def ok(self) -> bool:
        """Whether every expectation held."""
        return not (
            self.error
            or self.crashes
            or self.findings
            or self.lost_writes
            or any(step.status != PASSED for step in self.steps)
        )

    def outage_seconds(self, service: str) -> list[float]:
        """Lengths of the outages of one service, in order."""
        return [outage.seconds for outage in self.outages if outage.service == service]

    def to_json(self) -> dict[str, Any]:
        """The form of `--json`."""
        return {
            "ok": self.ok,
            "scenario": self.scenario,
            "topology": self.topology,
            "seed": self.seed,
            "trace_hash": self.trace_hash,
            "messages": self.messages,
            "virtual_seconds": self.virtual_ns / SECOND,
            "wall_seconds": round(self.wall_seconds, 3),
            "steps": [step.to_json() for step in self.steps],
            "crashes": [
                {"actor": each.actor, "seconds": each.time_ns / SECOND, "cause": each.cause}
                for each in self.crashes
            ],
            "findings": [
                {"check": each.check, "message": each.message, "seconds": each.time_ns / SECOND}
                for each in self.findings
            ],
            "outages": [
                {
                    "service": each.service,
                    "from_seconds": each.from_ns / SECOND,
                    "to_seconds": each.to_ns / SECOND,
                }
                for each in self.outages
            ],
            "acknowledged_writes": self.acknowledged_writes,
            "lost_writes": self.lost_writes,
            "error": self.error,
        }
