"""What a pod asks for."""

from __future__ import annotations

from typing import Any

import pytest

from k8sactors.scheduler.resources import pod_requests


def container(cpu: str | None = None, **fields: Any) -> dict[str, Any]:
    resources = {"requests": {"cpu": cpu}} if cpu else {}
    return {"name": "c", "image": "x", "resources": resources, **fields}


SIDECAR = {"restartPolicy": "Always"}


@pytest.mark.parametrize(
    ("containers", "init_containers", "milli_cpu"),
    [
        (["1", "500m"], [], 1500),
        (["1", "1"], [("3", {})], 3000),
        (["1", "1"], [("2", {}), ("2", {})], 2000),
        (["1"], [("1", SIDECAR)], 2000),
        (["1"], [("1", SIDECAR), ("3", {})], 4000),
        (["1"], [("3", {}), ("1", SIDECAR)], 3000),
        (["1"], [("1", SIDECAR), ("1", SIDECAR), ("1", {})], 3000),
    ],
)
def test_init_containers_and_sidecars(
    containers: list[str], init_containers: list[tuple[str, dict[str, Any]]], milli_cpu: int
) -> None:
    spec = {
        "containers": [container(cpu) for cpu in containers],
        "initContainers": [container(cpu, **fields) for cpu, fields in init_containers],
    }
    assert pod_requests(spec)["cpu"] == milli_cpu


def test_overhead_and_requests_of_the_whole_pod() -> None:
    spec = {
        "containers": [container("1")],
        "resources": {"requests": {"cpu": "3"}},
        "overhead": {"cpu": "250m", "memory": "64Mi"},
    }
    assert pod_requests(spec) == {"cpu": 3250, "memory": 64 * 2**20}


def test_containers_without_requests_count_at_the_defaults_for_scoring() -> None:
    spec = {"containers": [container(), container("300m")]}
    assert pod_requests(spec) == {"cpu": 300}
    assert pod_requests(spec, fill_missing=True) == {"cpu": 400, "memory": 400 * 2**20}
