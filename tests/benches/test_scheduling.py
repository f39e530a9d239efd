"""The scheduling bench at a small size: its load, and who may send it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from click.testing import CliRunner

from benches import scheduling
from benches.scheduling_load import cluster_admin

SMALL = ["--nodes=3", "--init-pods=2", "--pods=6", "--access"]


def test_pods_are_bound_with_every_request_authorized() -> None:
    done = CliRunner().invoke(scheduling.main, [*SMALL, "--json"])
    assert done.exit_code == 0, done.output
    figures = json.loads(done.stdout)
    assert figures["pods"] == 6
    assert figures["pods_per_second"] > 0


def test_roles_decide_about_the_load(monkeypatch: pytest.MonkeyPatch) -> None:
    def of_another_user() -> dict[str, Any]:
        binding = cluster_admin()
        binding["subjects"][0]["name"] = "another"
        return binding

    monkeypatch.setattr(scheduling, "cluster_admin", of_another_user)
    done = CliRunner().invoke(scheduling.main, SMALL)
    assert isinstance(done.exception, scheduling.BenchmarkError)
    assert 'User "bench" cannot create' in str(done.exception)
