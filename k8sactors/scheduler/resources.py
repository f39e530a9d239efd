"""How much of a node a pod asks for.

The rule for pods with init containers and sidecars is the one of KEP-753: what is needed at any
time is the larger of "all containers and sidecars together" and the hungriest init container next
to the sidecars that were started before it. Overhead (KEP-688) is added, and requests of the whole
pod (KEP-2837) replace the sum of its containers.

Cpu is in millicores, everything else in its base unit (bytes, or pieces).
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from typing import Any

from k8sactors.api import quantity

__all__ = [
    "DEFAULT_MEMORY_REQUEST_BYTES",
    "DEFAULT_MILLI_CPU_REQUEST",
    "parse_resources",
    "pod_requests",
]

DEFAULT_MILLI_CPU_REQUEST = 100
# What a container without requests counts for in scoring, so that such pods spread too.
DEFAULT_MEMORY_REQUEST_BYTES = 200 * 1024 * 1024

_CONTAINER_DEFAULTS = {"cpu": DEFAULT_MILLI_CPU_REQUEST, "memory": DEFAULT_MEMORY_REQUEST_BYTES}

Resources = dict[str, int]


@functools.lru_cache(maxsize=4096)
def _parse(name: str, text: str) -> int:
    if name == "cpu":
        return quantity.parse_cpu_milli(text)
    return quantity.parse_memory_bytes(text)


def parse_resources(resource_list: Mapping[str, Any] | None) -> Resources:
    """A ResourceList as integers."""
    if not resource_list:
        return {}
    return {name: _parse(name, str(value)) for name, value in resource_list.items()}


def pod_requests(spec: Mapping[str, Any], *, fill_missing: bool = False) -> Resources:
    """What the pod asks for; `fill_missing` counts containers without requests at the defaults."""
    total: Resources = {}
    for container in spec.get("containers") or ():
        _add(total, _container_requests(container, fill_missing))
    _add_init_containers(total, spec.get("initContainers") or (), fill_missing)
    whole_pod = parse_resources((spec.get("resources") or {}).get("requests"))
    total.update(whole_pod)
    _add(total, parse_resources(spec.get("overhead")))
    return total


def _container_requests(container: Mapping[str, Any], fill_missing: bool) -> Resources:
    requests = parse_resources((container.get("resources") or {}).get("requests"))
    return {**_CONTAINER_DEFAULTS, **requests} if fill_missing else requests


def _add_init_containers(
    total: Resources, init_containers: Iterable[Mapping[str, Any]], fill_missing: bool
) -> None:
    sidecars: Resources = {}
    peak: Resources = {}
    for container in init_containers:
        requests = _container_requests(container, fill_missing)
        if container.get("restartPolicy") == "Always":
            _add(total, requests)
            _add(sidecars, requests)
            requests = sidecars
        else:
            _add(requests, sidecars)
        _raise(peak, requests)
    _raise(total, peak)


def _add(total: Resources, more: Mapping[str, int]) -> None:
    for name, value in more.items():
        total[name] = total.get(name, 0) + value


def _raise(total: Resources, floor: Mapping[str, int]) -> None:
    for name, value in floor.items():
        if value > total.get(name, 0):
            total[name] = value
