"""Probes across a small cluster: two nodes, an outside client, kube-proxy and routes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import trio

from k8sactors import simulation
from k8sactors.actors import Actor
from k8sactors.cluster.node_assembly import install_node, install_outside
from k8sactors.fabric import Network, open_fabric
from k8sactors.kubelet.node_object import NodeSpec
from k8sactors.network.kernel_messages import ProbeRequest, ProbeResult
from k8sactors.network.reachability import probe_reachability
from k8sactors.testing import ControlPlane
from tests.kubelet.fakes import a_container, a_pod

SERVICES, SLICES = "services", "endpointslices.discovery.k8s.io"


class Asker(Actor):
    pass


class Town:
    def __init__(self, network: Network, plane: ControlPlane) -> None:
        self.network = network
        self.objects = plane.objects

    def create(self, resource: str, obj: dict[str, Any]) -> None:
        self.objects.put(resource, obj)

    def pod(self, name: str) -> dict[str, Any]:
        found = self.objects.get("pods", name, "shop")
        assert found is not None
        return found

    def run(self, name: str, node: str, *containers: dict[str, Any]) -> None:
        self.create("pods", a_pod(*containers, name=name, nodeName=node))

    def ip(self, name: str) -> str:
        return str(self.pod(name)["status"]["podIP"])

    def serve(self, name: str, *pods: str, **spec: Any) -> None:
        ports = [{"port": 80, "nodePort": 30008, "protocol": "TCP"}]
        metadata = {"namespace": "shop", "name": name}
        self.create(
            SERVICES,
            {"metadata": metadata, "spec": {"clusterIP": "10.96.0.10", "ports": ports, **spec}},
        )
        endpoints = [
            {
                "addresses": [self.ip(pod)],
                "nodeName": self.pod(pod)["spec"]["nodeName"],
                "conditions": {"ready": True},
            }
            for pod in pods
        ]
        labels = {"kubernetes.io/service-name": name}
        self.create(
            SLICES,
            {
                "metadata": {"namespace": "shop", "name": f"{name}-1", "labels": labels},
                "ports": [{"port": 8080, "protocol": "TCP"}],
                "endpoints": endpoints,
            },
        )

    async def probe(self, node: str, target: str, **request: Any) -> ProbeResult:
        asker = self.network.hosts["cp-1"].actor("asker")
        assert asker is not None
        return await probe_reachability(asker.ctx, node, ProbeRequest(target, **request))


def in_town(main: Callable[[Town], Awaitable[None]], seed: int = 0) -> None:
    async def run() -> None:
        async with open_fabric(default_latency_ns=1_000_000) as network:
            plane = ControlPlane()
            plane.objects.put("namespaces", {"metadata": {"name": "shop"}})
            master = network.add_host("cp-1")
            plane.add_server(master)
            master.spawn("asker", Asker)
            town = Town(network, plane)
            for number in (1, 2):
                name = f"worker-{number}"
                spec = NodeSpec(name, f"192.168.0.{number}")
                install_node(network.add_host(name), spec, ["cp-1/apiserver"])
            install_outside(network.add_host("internet"), "203.0.113.9")
            await trio.sleep(1)
            for number in (1, 2):
                cidr = {"podCIDR": f"10.244.{number}.0/24"}
                plane.objects.edit("nodes", f"worker-{number}", spec=cidr)
            town.run("client", "worker-1")
            town.run("near", "worker-1")
            town.run("far", "worker-2")
            await trio.sleep(5)
            await main(town)

    simulation.run(run, seed=seed)


def kinds(result: ProbeResult) -> list[str]:
    return [hop["hop"] for hop in result.hops]


@pytest.mark.covers("NW-13", "NW-14", "NW-32", "SV-33")
def test_a_pod_reaches_a_service_on_another_node_and_keeps_its_address() -> None:
    async def main(town: Town) -> None:
        town.serve("web", "far")
        await trio.sleep(2)
        for name in ("web", "web.shop", "web.shop.svc", "web.shop.svc.cluster.local"):
            result = await town.probe("worker-1", name, source="shop/client")
            assert result.ok, result
            assert kinds(result) == ["pod", "dns", "kube-proxy", "route", "node", "pod"]
        assert town.ip("client") == result.source_ip
        assert result.hops[-1]["node"] == "worker-2"
        assert (result.answer or [])[:2] == ["shop", "far"]

    in_town(main)


@pytest.mark.covers("NW-12", "RT-15")
def test_pods_of_one_node_talk_without_a_route_and_only_on_open_ports() -> None:
    async def main(town: Town) -> None:
        result = await town.probe("worker-1", town.ip("near"), port=8080, source="shop/client")
        assert result.ok
        assert kinds(result) == ["pod", "pod"]
        closed = await town.probe("worker-1", town.ip("near"), port=81, source="shop/client")
        assert closed.error == "connection refused"
        absent = await town.probe("worker-1", "10.244.1.99", port=80, source="shop/client")
        assert absent.error == "no route to host"

    in_town(main)


@pytest.mark.covers("NW-15", "ND-36")
def test_nodes_reach_pods_without_translation() -> None:
    async def main(town: Town) -> None:
        result = await town.probe("worker-1", town.ip("far"), port=8080)
        assert result.ok
        assert result.source_ip == "192.168.0.1"

    in_town(main)


@pytest.mark.covers("SV-06", "SV-10", "NW-39", "NW-47")
def test_any_node_answers_on_the_node_port() -> None:
    async def main(town: Town) -> None:
        town.serve("web", "far")
        await trio.sleep(2)
        for node in ("worker-1", "worker-2"):
            result = await town.probe("internet", node, port=30008)
            assert result.ok, result
            assert (result.answer or [])[1] == "far"
        through = await town.probe("internet", "worker-1", port=30008)
        nodes = [hop["node"] for hop in through.hops]
        assert nodes == ["internet", "worker-1", "worker-1", "worker-1", "worker-2", "worker-2"]
        assert through.source_ip == "192.168.0.1"
        other = await town.probe("internet", "worker-1", port=30009)
        assert other.error == "connection refused"

    in_town(main)


def test_external_traffic_stays_local_if_asked_to() -> None:
    async def main(town: Town) -> None:
        town.serve("web", "far", externalTrafficPolicy="Local")
        await trio.sleep(2)
        here = await town.probe("internet", "worker-2", port=30008)
        assert (here.ok, here.source_ip) == (True, "203.0.113.9")
        there = await town.probe("internet", "worker-1", port=30008)
        assert there.error == "timeout"

    in_town(main)


def test_failures_say_what_they_are() -> None:
    async def main(town: Town) -> None:
        town.serve("empty")
        await trio.sleep(2)
        errors = [
            (await town.probe("worker-1", target, port=port, source=source)).error
            for target, port, source in (
                ("empty", 80, "shop/client"),
                ("nowhere", 80, "shop/client"),
                ("empty", 80, "shop/absent"),
                ("172.16.0.1", 80, "shop/client"),
            )
        ]
        assert errors == [
            "no endpoints",
            "name not resolved",
            "source not found",
            "no route to host",
        ]

    in_town(main)


@pytest.mark.covers("NW-51")
def test_a_partition_stops_packets_and_its_end_lets_them_pass() -> None:
    async def main(town: Town) -> None:
        town.serve("web", "far")
        await trio.sleep(2)
        assert (await town.probe("worker-1", "web.shop")).ok
        town.network.partition([["worker-1", "cp-1"], ["worker-2"]])
        cut = await town.probe("worker-1", "web.shop")
        assert (cut.error, cut.hops[-1]["hop"]) == ("timeout", "link")
        await trio.sleep(60)
        assert (await town.probe("worker-1", "web.shop")).error == "timeout"
        town.network.heal()
        await trio.sleep(1)
        assert (await town.probe("worker-1", "web.shop")).ok

    in_town(main)


def test_a_rebooted_node_answers_again() -> None:
    async def main(town: Town) -> None:
        town.serve("web", "far", clusterIP="10.96.0.11")
        await trio.sleep(2)
        assert (await town.probe("worker-1", "web.shop")).ok
        town.network.hosts["worker-2"].kill()
        assert (await town.probe("worker-1", "web.shop")).error == "timeout"
        await trio.sleep(30)
        town.network.hosts["worker-2"].restart()
        await trio.sleep(20)
        result = await town.probe("worker-1", town.ip("far"), port=8080)
        assert result.ok, result

    in_town(main)


@pytest.mark.covers("SV-19", "SV-21")
def test_rules_outlive_kube_proxy() -> None:
    async def main(town: Town) -> None:
        town.serve("web", "far")
        await trio.sleep(2)
        town.network.hosts["worker-1"].kill_actor("kube-proxy")
        town.serve("late", "far", clusterIP="10.96.0.99")
        await trio.sleep(5)
        assert (await town.probe("worker-1", "web.shop")).ok
        assert (await town.probe("worker-1", "late.shop")).error == "name not resolved"
        assert (await town.probe("worker-2", "late.shop")).ok
        town.network.hosts["worker-1"].restart_actor("kube-proxy")
        await trio.sleep(5)
        assert (await town.probe("worker-1", "late.shop")).ok

    in_town(main)


def test_a_headless_service_resolves_to_its_pods() -> None:
    async def main(town: Town) -> None:
        town.serve("web", "near", "far", clusterIP="None")
        await trio.sleep(2)
        result = await town.probe("worker-1", "web.shop", source="shop/client")
        assert result.ok
        assert "kube-proxy" not in kinds(result)

    in_town(main)


@pytest.mark.covers("SV-32")
def test_requests_spread_over_all_endpoints_and_repeat_with_the_seed() -> None:
    def run() -> list[str]:
        answers: list[str] = []

        async def main(town: Town) -> None:
            town.serve("web", "near", "far")
            await trio.sleep(2)
            for _ in range(20):
                result = await town.probe("worker-1", "web.shop")
                answers.append((result.answer or ["", ""])[1])

        in_town(main, seed=7)
        return answers

    first = run()
    assert {"near", "far"} == set(first)
    assert first == run()


def test_a_hung_program_times_out() -> None:
    async def main(town: Town) -> None:
        town.serve("web", "far")
        await trio.sleep(2)
        runtime: Any = town.network.hosts["worker-2"].actor("containerd")
        runtime.engine.inject("shop", "far", None, "hang", 0)
        assert (await town.probe("worker-1", "web.shop")).error == "timeout"

    in_town(main)


def test_two_containers_of_a_pod_share_its_address() -> None:
    async def main(town: Town) -> None:
        second = a_container("admin", "shop/admin:1", ports=[{"containerPort": 9090}])
        town.run("duo", "worker-2", a_container(), second)
        await trio.sleep(5)
        for port, container in ((8080, "app"), (9090, "admin")):
            result = await town.probe("worker-1", town.ip("duo"), port=port)
            assert container == (result.answer or [])[2]

    in_town(main)


def test_routes_are_read_when_they_are_missed_and_not_otherwise() -> None:
    async def main(town: Town) -> None:
        agent: Any = town.network.hosts["worker-1"].actor("cni")
        assert (await town.probe("worker-1", town.ip("far"), port=8080)).ok
        readings = agent.readings
        await trio.sleep(600)
        assert readings == agent.readings
        name = "worker-3"
        install_node(town.network.add_host(name), NodeSpec(name, "192.168.0.3"), ["cp-1/apiserver"])
        await trio.sleep(2)
        town.objects.edit("nodes", name, spec={"podCIDR": "10.244.3.0/24"})
        town.run("late", name)
        await trio.sleep(5)
        result = await town.probe("worker-1", town.ip("late"), port=8080, source="shop/client")
        assert result.ok, result
        assert readings + 1 == agent.readings

    in_town(main)


@pytest.mark.covers("NW-44")
def test_known_routes_work_without_the_control_plane_and_unknown_ones_fail_in_time() -> None:
    async def main(town: Town) -> None:
        assert (await town.probe("worker-1", town.ip("far"), port=8080)).ok
        town.network.hosts["cp-1"].kill_actor("apiserver")
        far = town.ip("far")
        assert (await town.probe("worker-1", far, port=8080)).ok
        unknown = await town.probe("worker-1", "10.244.9.9", port=8080)
        assert unknown.error == "no route to host"

    in_town(main)
