"""An error that no step expects is seen, and costs the others nothing (decision 13)."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest

from k8sactors.apiserver import admission
from k8sactors.apiserver.admission_chain import Attributes, Plugin
from k8sactors.apiserver.server import INTERNAL_ERRORS_MAX


class Broken(Plugin):
    """Has a mistake."""

    order: ClassVar[int] = 1
    resources: ClassVar[tuple[str, ...] | None] = ("configmaps",)

    def admit(self, attributes: Attributes) -> None:
        assert attributes.obj is not None
        attributes.obj["metadata"]["labels"]["missing"].strip()


@pytest.fixture
def broken(empty_world: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    found = admission.plugins()
    monkeypatch.setattr("k8sactors.apiserver.server.plugins", lambda: [*found, Broken])
    return empty_world


def test_a_served_cluster_answers_500_and_serves_on(broken: Any, make: Any) -> None:
    broken.add_server(crash_on_internal_error=False)
    broken.run()
    failed = broken.do("create", "configmaps", "default", body=make.config_map("a"))
    assert (failed.code, failed.status["reason"]) == (500, "InternalError")
    assert "KeyError" not in failed.status["message"]
    server = broken.server
    assert server.metrics()["internal_errors"] == 1
    assert list(server.internal_errors) == ["create configmaps: KeyError: 'labels'"]
    assert server.ctx.logged == ["request failed: create configmaps: KeyError: 'labels'"]
    assert broken.do("create", "pods", "default", body=make.pod("a")).code == 201
    assert server.flow.in_flight(readonly=False) == 0


def test_in_a_simulation_the_server_ends(broken: Any, make: Any) -> None:
    broken.add_server()
    broken.run()
    with pytest.raises(KeyError, match="labels"):
        broken.do("create", "configmaps", "default", body=make.config_map("a"))


def test_the_list_of_past_failures_is_bounded(broken: Any, make: Any) -> None:
    broken.add_server(crash_on_internal_error=False)
    broken.run()
    for _ in range(INTERNAL_ERRORS_MAX + 5):
        broken.do("create", "configmaps", "default", body=make.config_map("a"))
    assert broken.server.metrics()["internal_errors"] == INTERNAL_ERRORS_MAX + 5
    assert len(broken.server.internal_errors) == INTERNAL_ERRORS_MAX
