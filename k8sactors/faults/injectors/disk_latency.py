"""Disk latency: every sync takes longer."""

from __future__ import annotations

from k8sactors.faults.disks import disk_fault, draw_store_host
from k8sactors.faults.fault import Targets
from k8sactors.faults.parameters import Milliseconds, Parameters
from k8sactors.simulation import MILLISECOND, Random


def _draw(random: Random, targets: Targets) -> Parameters:
    """Up to two seconds: longer than an election."""
    slow_ms = random.choice((10, 100, 500, 2_000))
    return {**draw_store_host(random, targets), "slow_ms": slow_ms}


def _slow_ns(parameters: Parameters) -> int:
    slow_ms: int = parameters["slow_ms"]
    return slow_ms * MILLISECOND


def _describe(parameters: Parameters) -> str:
    return f"slow the disk of {parameters['host']} by {parameters['slow_ms']} ms"


FAULT = disk_fault(
    "disk-latency",
    "let every sync of a store host's disk take longer",
    field="slow_ns",
    verb="slow the disk of",
    value=_slow_ns,
    draw=_draw,
    severity={"slow_ms": Milliseconds("added to each sync", least=1)},
    describe=_describe,
)
