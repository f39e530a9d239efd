"""How much of a node a pod takes, as the scheduler counts it (KEP-753 for sidecars).

Written apart from the scheduler on purpose: a judge that shared the code of the judged would share
its mistakes.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import attrs

_SUFFIXES = {
    "n": Decimal("1e-9"),
    "u": Decimal("1e-6"),
    "m": Decimal("0.001"),
    "": Decimal(1),
    "k": Decimal(10) ** 3,
    "M": Decimal(10) ** 6,
    "G": Decimal(10) ** 9,
    "T": Decimal(10) ** 12,
    "P": Decimal(10) ** 15,
    "Ki": Decimal(2) ** 10,
    "Mi": Decimal(2) ** 20,
    "Gi": Decimal(2) ** 30,
    "Ti": Decimal(2) ** 40,
    "Pi": Decimal(2) ** 50,
}


@attrs.frozen
class Amounts:
    """Cpu in thousandths, memory in bytes, and a number of pods."""

    cpu_milli: int = 0
    memory_bytes: int = 0
    pods: int = 0

    def __add__(self, other: Amounts) -> Amounts:
        return Amounts(
            self.cpu_milli + other.cpu_milli,
            self.memory_bytes + other.memory_bytes,
            self.pods + other.pods,
        )

    def __sub__(self, other: Amounts) -> Amounts:
        return Amounts(
            self.cpu_milli - other.cpu_milli,
            self.memory_bytes - other.memory_bytes,
            self.pods - other.pods,
        )

    def at_least(self, other: Amounts) -> Amounts:
        """The larger of both, resource by resource."""
        return Amounts(
            max(self.cpu_milli, other.cpu_milli),
            max(self.memory_bytes, other.memory_bytes),
            max(self.pods, other.pods),
        )

    def beyond(self, limit: Amounts) -> list[str]:
        """The names of the resources that exceed the limit."""
        return [
            name
            for name in ("cpu_milli", "memory_bytes", "pods")
            if getattr(self, name) > getattr(limit, name)
        ]


def parse(quantity: str | float) -> Decimal:
    """The number that a Kubernetes quantity stands for."""
    text = str(quantity)
    number = text.rstrip("numkKMGTPi")
    return Decimal(number) * _SUFFIXES[text[len(number) :]]


def amounts(resources: Mapping[str, Any]) -> Amounts:
    """Cpu and memory out of a resource list."""
    return Amounts(
        cpu_milli=int(parse(resources.get("cpu", 0)) * 1000),
        memory_bytes=int(parse(resources.get("memory", 0))),
        pods=int(parse(resources.get("pods", 0))),
    )


def allocatable_of(node: Mapping[str, Any]) -> Amounts:
    """What a node offers to pods."""
    return amounts(node.get("status", {}).get("allocatable") or {})


def requests_of(pod: Mapping[str, Any]) -> Amounts:
    """What a pod takes: its running containers, or its largest init phase, and its overhead."""
    spec = pod["spec"]
    running = Amounts(pods=1)
    for container in spec.get("containers") or []:
        running += _requests(container)
    sidecars = Amounts(pods=1)
    peak = Amounts(pods=1)
    for container in spec.get("initContainers") or []:
        if container.get("restartPolicy") == "Always":
            sidecars += _requests(container)
            running += _requests(container)
            peak = peak.at_least(sidecars)
        else:
            peak = peak.at_least(sidecars + _requests(container))
    return running.at_least(peak) + amounts(spec.get("overhead") or {})


def _requests(container: Mapping[str, Any]) -> Amounts:
    requests = (container.get("resources") or {}).get("requests") or {}
    return amounts({name: requests[name] for name in ("cpu", "memory") if name in requests})
