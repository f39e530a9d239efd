"""Leader election: one leader at a time, whatever happens to it."""

from __future__ import annotations

from typing import Any

import pytest
import trio

from k8sactors import fabric, simulation
from k8sactors.actors import Actor
from k8sactors.api.user import UserInfo
from k8sactors.client import Client, LeaderElector
from k8sactors.simulation import MILLISECOND
from k8sactors.testing import ControlPlane

LEASES = "leases.coordination.k8s.io"


class Candidate(Actor):
    """Campaigns, and notes when it leads."""

    def __init__(self, name: str, log: list[tuple[str, str, float]]) -> None:
        self.name = name
        self.log = log

    def on_start(self) -> None:
        self.elector = LeaderElector(
            Client(self.ctx, ["cp-1/apiserver", "cp-2/apiserver"], UserInfo(self.name)),
            lease_name="test",
            identity=self.name,
            on_started_leading=lambda: self.note("started"),
            on_stopped_leading=lambda: self.note("stopped"),
        )
        self.elector.start()

    def on_stop(self) -> None:
        self.elector.stop()

    def note(self, what: str) -> None:
        self.log.append((self.name, what, round(simulation.current().now_ns() / 1e9, 1)))


def run(body: Any) -> list[tuple[str, str, float]]:
    log: list[tuple[str, str, float]] = []

    async def main() -> None:
        plane = ControlPlane()
        async with fabric.open_fabric(default_latency_ns=MILLISECOND) as network:
            for name in ("cp-1", "cp-2"):
                plane.add_server(network.add_host(name))
            for name in ("a", "b"):
                network.add_host(name).spawn("candidate", lambda name=name: Candidate(name, log))
            await trio.sleep(10)
            [(leader, what, _)] = log
            assert what == "started"
            await body(network, plane, leader)
            assert not network.crashes

    simulation.run(main)
    return log


def never_two(log: list[tuple[str, str, float]]) -> None:
    leading: dict[str, None] = {}
    for name, what, _ in log:
        if what == "started":
            assert not leading, log
            leading[name] = None
        else:
            del leading[name]


@pytest.mark.covers("CT-33")
def test_a_leader_cut_off_stops_before_the_other_starts() -> None:
    async def body(network: Any, plane: ControlPlane, leader: str) -> None:
        network.partition([[leader], ["cp-1", "cp-2", *({"a", "b"} - {leader})]])
        await trio.sleep(60)
        network.heal()
        await trio.sleep(60)
        assert plane.objects.get(LEASES, "test", "kube-system")["spec"]["leaseTransitions"] == 1

    log = run(body)
    never_two(log)
    assert [what for _, what, _ in log] == ["started", "stopped", "started"]
    assert log[1][2] <= 10 + 10.1


def test_a_frozen_leader_may_not_act_when_it_wakes() -> None:
    async def body(network: Any, _plane: ControlPlane, leader: str) -> None:
        host = network.hosts[leader]
        host.pause()
        await trio.sleep(60)
        host.resume()
        await trio.sleep(10)

    log = run(body)
    first = log[0][0]
    assert [entry[:2] for entry in log[1:]] in (
        [(log[1][0], "started"), (first, "stopped")],
        [(first, "stopped"), (log[2][0], "started")],
    )


def test_a_leader_that_stops_in_order_releases_the_lease() -> None:
    async def body(network: Any, _plane: ControlPlane, leader: str) -> None:
        network.hosts[leader].remove("candidate")
        await trio.sleep(8)

    log = run(body)
    assert log[1][1] == "stopped"
    assert log[2][1] == "started"
    assert log[2][2] - log[1][2] < 8


def test_a_leader_survives_the_death_of_its_api_server() -> None:
    async def body(network: Any, _plane: ControlPlane, _leader: str) -> None:
        network.hosts["cp-1"].kill_actor("apiserver")
        await trio.sleep(60)

    assert [what for _, what, _ in run(body)] == ["started"]
