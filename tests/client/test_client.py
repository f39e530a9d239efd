"""The client against API servers over a store in memory, across the fabric."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import trio

from k8sactors import fabric, simulation
from k8sactors.actors import Actor
from k8sactors.api import errors
from k8sactors.api.errors import StatusError
from k8sactors.api.user import UserInfo
from k8sactors.client import Client, InformerFactory, UnreachableError, retry_on_conflict
from k8sactors.simulation import MILLISECOND, SECOND
from k8sactors.testing import ControlPlane

SERVERS = ["cp-1/apiserver", "cp-2/apiserver"]


class Probe(Actor):
    """An actor that runs a test's async code."""

    def __init__(self, body: Callable[[Probe], Awaitable[None]], outcome: dict[str, Any]) -> None:
        self.body = body
        self.outcome = outcome

    async def main(self) -> None:
        self.client = Client(self.ctx, SERVERS, UserInfo("tester"))
        await self.body(self)
        self.outcome["done"] = True


def run(body: Callable[[Probe, Any, ControlPlane], Awaitable[None]]) -> None:
    """Run `body` in an actor next to two API servers of one store."""

    async def main() -> None:
        plane = ControlPlane(bookmark_interval_ns=10 * SECOND)
        outcome: dict[str, Any] = {}
        async with fabric.open_fabric(default_latency_ns=MILLISECOND) as network:
            for name in ("cp-1", "cp-2"):
                plane.add_server(network.add_host(name))

            async def inside(probe: Probe) -> None:
                await body(probe, network, plane)

            network.add_host("client").spawn("probe", lambda: Probe(inside, outcome))
            with trio.move_on_after(4000):
                while not outcome.get("done"):
                    await trio.sleep(0.01)
                    assert not network.crashes, network.crashes
        assert outcome.get("done"), "the test body did not finish"

    simulation.run(main)


def pod(name: str, **labels: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "default", "labels": labels},
        "spec": {"containers": [{"name": "app", "image": "shop/web:1"}]},
    }


def test_verbs_give_objects_with_their_resource_version() -> None:
    async def body(probe: Probe, _network: Any, plane: ControlPlane) -> None:
        client = probe.client
        created = await client.create("pods", pod("a"))
        revision = int(created["metadata"]["resourceVersion"])
        assert revision == plane.store.revision
        changed = await client.patch(
            "pods", "a", {"metadata": {"labels": {"x": "y"}}}, namespace="default"
        )
        assert changed["metadata"]["labels"] == {"x": "y"}
        listed = await client.list("pods", namespace="default")
        assert [item["metadata"]["name"] for item in listed["items"]] == ["a"]
        assert listed["metadata"]["resourceVersion"] == str(revision + 1)
        target = {"target": {"kind": "Node", "name": "node-1"}}
        await client.request(
            "create", "pods", namespace="default", name="a", subresource="binding", body=target
        )
        bound = await client.get("pods", "a", namespace="default")
        assert bound["spec"]["nodeName"] == "node-1"
        await client.delete("pods", "a", namespace="default", gracePeriodSeconds=0)
        with pytest.raises(StatusError) as caught:
            await client.get("pods", "a", namespace="default")
        assert caught.value.reason == "NotFound"

    run(body)


def test_update_from_an_old_version_is_a_conflict_and_can_be_retried() -> None:
    async def body(probe: Probe, _network: Any, plane: ControlPlane) -> None:
        client = probe.client
        old = await client.create("pods", pod("a"))
        plane.objects.edit("pods", "a", "default", metadata={"labels": {"by": "other"}})
        tries = []

        async def attempt() -> Any:
            tries.append(1)
            base = old if len(tries) == 1 else await client.get("pods", "a", "default")
            return await client.update(
                "pods", {**base, "metadata": {**base["metadata"], "annotations": {"by": "me"}}}
            )

        updated = await retry_on_conflict(client, attempt)
        assert len(tries) == 2
        assert updated["metadata"]["labels"] == {"by": "other"}

    run(body)


def test_a_read_moves_to_the_next_server_and_a_write_reports_an_unknown_outcome() -> None:
    async def body(probe: Probe, network: Any, _plane: ControlPlane) -> None:
        client = probe.client
        await client.create("pods", pod("a"))
        network.hosts["cp-1"].kill_actor("apiserver")
        assert (await client.get("pods", "a", "default"))["metadata"]["name"] == "a"
        assert client.server == "cp-2/apiserver"
        network.cut("client", "cp-2")
        with pytest.raises(UnreachableError):
            await client.request(
                "create", "pods", namespace="default", body=pod("b"), timeout_ns=2 * SECOND
            )
        assert client.server == "cp-1/apiserver"

    run(body)


def test_throttled_requests_wait_as_long_as_the_server_says() -> None:
    async def body(probe: Probe, _network: Any, plane: ControlPlane) -> None:
        plane.refusals += [errors.too_many_requests("slow down", 3)] * 2
        start_ns = probe.ctx.now_ns()
        await probe.client.list("pods")
        assert 6 * SECOND <= probe.ctx.now_ns() - start_ns < 7 * SECOND

    run(body)


def test_a_fenced_client_writes_nothing() -> None:
    async def body(probe: Probe, _network: Any, plane: ControlPlane) -> None:
        probe.client.fence = lambda: False
        with pytest.raises(UnreachableError):
            await probe.client.create("pods", pod("a"))
        assert (await probe.client.list("pods"))["items"] == []
        assert [each.verb for each in plane.requests] == ["list"]

    run(body)


@pytest.mark.covers("CT-13", "CT-14")
def test_informer_follows_the_server_across_failures() -> None:
    async def body(probe: Probe, network: Any, plane: ControlPlane) -> None:
        random = probe.ctx.random
        factory = InformerFactory(probe.client)
        informer = factory.informer("pods")
        informer.add_index("node", lambda obj: obj["spec"].get("nodeName"))
        factory.start()
        await factory.wait_synced()
        assert "resourceVersion" not in plane.requests[-1].options
        for step in range(1000):
            name = f"p{random.randrange(60)}"
            choice = random.random()
            if plane.objects.get("pods", name, "default") is None:
                plane.objects.put("pods", pod(name))
            elif choice < 0.3:
                plane.objects.remove("pods", name, "default")
            else:
                plane.objects.edit(
                    "pods", name, "default", spec={"nodeName": f"n{random.randrange(3)}"}
                )
            if step == 300:
                network.hosts["cp-1"].kill_actor("apiserver")
            if step == 600:
                network.hosts["cp-1"].restart_actor("apiserver")
            if step == 800:
                plane.store.compact()
                for server in ("cp-1", "cp-2"):
                    network.hosts[server].restart_actor("apiserver")
            if step % 50 == 0:
                await trio.sleep(0.2)
        await trio.sleep(120)
        expected = {f"default/{obj['metadata']['name']}": obj for obj in plane.objects.list("pods")}
        assert {f"default/{o['metadata']['name']}": o for o in informer.lister.list()} == expected
        for node in ("n0", "n1", "n2"):
            assert {o["metadata"]["name"] for o in informer.by_index("node", node)} == {
                o["metadata"]["name"]
                for o in expected.values()
                if o["spec"].get("nodeName") == node
            }
        assert informer.reflector.lists == 2

    run(body)


@pytest.mark.covers("CT-17")
def test_informers_of_one_source_share_one_list_and_watch() -> None:
    async def body(probe: Probe, _network: Any, plane: ControlPlane) -> None:
        factory = InformerFactory(probe.client)
        seen: list[tuple[str, str]] = []
        first, second = factory.informer("pods"), factory.informer("pods")
        assert first is second
        first.add_handler(on_add=lambda obj: seen.append(("first", obj["metadata"]["name"])))
        second.add_handler(
            on_add=lambda obj: seen.append(("second", obj["metadata"]["name"])),
            on_update=lambda _old, new: seen.append(("again", new["metadata"]["name"])),
            resync_ns=30 * SECOND,
        )
        plane.objects.put("pods", pod("a"))
        factory.start()
        await factory.wait_synced()
        assert seen == [("first", "a"), ("second", "a")]
        await trio.sleep(31)
        assert seen[2:] == [("again", "a")]
        assert [entry[0] for entry in plane.requests] == ["list"]
        assert len(plane.watches) == 1

    run(body)


@pytest.mark.covers("ST-34")
def test_bookmarks_keep_the_version_fresh_and_410_lists_again() -> None:
    async def body(probe: Probe, network: Any, plane: ControlPlane) -> None:
        factory = InformerFactory(probe.client)
        informer = factory.informer("pods")
        factory.start()
        await factory.wait_synced()
        await trio.sleep(0.1)
        plane.objects.put("nodes", {"metadata": {"name": "n"}})
        await trio.sleep(12)
        assert informer.reflector.last_resource_version == str(plane.store.revision)
        network.hosts["client"].pause()
        plane.objects.put("pods", pod("unseen"))
        plane.store.compact()
        for name in ("cp-1", "cp-2"):
            network.hosts[name].restart_actor("apiserver")
        await trio.sleep(1)
        network.hosts["client"].resume()
        await trio.sleep(5)
        assert informer.reflector.lists == 2
        assert "resourceVersion" not in plane.requests[-1].options
        assert informer.lister.get("default", "unseen") is not None
        plane.objects.put("pods", pod("late"))
        await trio.sleep(1)
        assert informer.lister.get("default", "late") is not None

    run(body)


def test_a_frozen_server_is_left_when_the_watch_outlives_its_timeout() -> None:
    async def body(probe: Probe, network: Any, plane: ControlPlane) -> None:
        factory = InformerFactory(probe.client)
        informer = factory.informer("pods")
        factory.start()
        await factory.wait_synced()
        network.hosts["cp-1"].pause()
        plane.objects.put("pods", pod("unseen"))
        await trio.sleep(700)
        assert probe.client.server == "cp-2/apiserver"
        assert informer.lister.get("default", "unseen") is not None

    run(body)


def test_a_closed_client_fails_what_is_in_flight_and_stays_quiet() -> None:
    async def body(probe: Probe, network: Any, plane: ControlPlane) -> None:
        client = probe.client
        factory = InformerFactory(client)
        factory.informer("pods")
        factory.start()
        await factory.wait_synced()
        network.cut("client", "cp-1")
        failed = []
        client.submit("list", "pods", on_done=failed.append, on_error=failed.append)
        client.close()
        assert [type(error) for error in failed] == [UnreachableError]
        with pytest.raises(UnreachableError):
            await client.list("pods")
        requests = len(plane.requests)
        await trio.sleep(1000)
        assert len(plane.requests) == requests

    run(body)


def test_a_client_applies_what_it_manages() -> None:
    async def body(probe: Probe, _network: Any, _plane: ControlPlane) -> None:
        def configuration(**data: str) -> dict[str, Any]:
            metadata = {"name": "a", "namespace": "default"}
            return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}

        client = probe.client
        created = await client.apply("configmaps", configuration(k="v"), "one")
        assert created["data"] == {"k": "v"}
        with pytest.raises(StatusError) as refused:
            await client.apply("configmaps", configuration(k="w"), "two")
        assert (refused.value.code, refused.value.reason) == (409, "Conflict")
        shown = await client.apply(
            "configmaps", configuration(k="w"), "two", force=True, dryRun="All"
        )
        assert shown["data"] == {"k": "w"}
        forced = await client.apply("configmaps", configuration(k="w"), "two", force=True)
        managers = [entry["manager"] for entry in forced["metadata"]["managedFields"]]
        assert managers == ["two"]
        assert await client.get("configmaps", "a", "default") == forced

    run(body)
