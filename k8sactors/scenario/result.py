"""What a run of a scenario leaves behind: the same data for the terminal, JSON and comparisons."""

from __future__ import annotations

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
    """What became of one step."""

    # As people count, from 1; steps inside a parallel one are 4.1, 4.2.
    number: str
    # What it is for.
    title: str
    # The kind of step.
    verb: str
    # Where it stands in the scenario file.
    line: int
    # Passed, failed or skipped.
    status: str = SKIPPED
    # Virtual time since the start of the run.
    started_ns: int = 0
    ended_ns: int = 0
    # What happened, in short lines; for a failed step why.
    detail: list[str] = attrs.field(factory=list)
    # What a get step read.
    table: Table | None = None
    # Actors that a fault took down.
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
    """A service of the control plane was not there."""

    # "writes" or "reconciliation".
    service: str
    # Virtual time of the last success before.
    from_ns: int
    # Virtual time of the next one.
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
    """A whole run."""

    # Its name.
    scenario: str
    # Of the cluster that ran.
    topology: str
    # That decided all chance.
    seed: int
    # In order; steps inside parallel ones follow it.
    steps: list[StepResult] = attrs.field(factory=list)
    # Of actors, whether or not a step failed for it.
    crashes: list[Incident] = attrs.field(factory=list)
    # Invariants that did not hold.
    findings: list[Finding] = attrs.field(factory=list)
    # What was measured.
    outages: list[Outage] = attrs.field(factory=list)
    # Whether the availability of the control plane was measured.
    measured: bool = False
    # Of the meter.
    acknowledged_writes: int = 0
    lost_writes: int = 0
    # (virtual time, host, term) of each store leader that was seen.
    leader_changes: list[tuple[int, str, int]] = attrs.field(factory=list)
    # Why the run could not continue, if so.
    error: str = ""
    # Over all delivered messages.
    trace_hash: str = ""
    # How many.
    messages: int = 0
    # How long it ran in virtual time.
    virtual_ns: int = 0
    # How long in real time.
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
