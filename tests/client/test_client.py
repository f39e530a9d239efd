"""The client against an API server in memory, over the real fabric."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import trio

from k8sactors import fabric, simulation
from k8sactors.actors import Actor
from k8sactors.api import errors
from k8sactors.api.errors import StatusError
from k8sactors.client import Client, InformerFactory, UnreachableError, retry_on_conflict
from k8sactors.simulation import MILLISECOND, SECOND
from tests.controllers.fake_api import FakeAPI, FakeStore

SERVERS = ["cp-1/apiserver", "cp-2/apiserver"]


class Probe(Actor):
    """An actor that runs a test's async code."""

    def __init__(self, body: Callable[["Probe"], Awaitable[None]], outcome: dict[str, Any]) -> None:
        self.body = body
        self.outcome = outcome

    async def main(self) -> None:
        self.client = Client(self.ctx, SERVERS, "tester")
        await self.body(self)
        self.outcome["done"] = True


def run(body: Callable[[Probe, Any, FakeStore], Awaitable[None]]) -> None:
    """Run `body` in an actor beside two API servers of one store."""

    async def main() -> None:
        store = FakeStore()
        outcome: dict[str, Any] = {}
        async with fabric.open_fabric(default_latency_ns=MILLISECOND) as network:
            for name in ("cp-1", "cp-2"):
                network.add_host(name).spawn("apiserver", lambda: FakeAPI(store))

            async def inside(probe: Probe) -> None:
                await body(probe, network, store)

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
        "spec": {},
    }


def test_verbs_give_objects_with_their_resource_version() -> None:
    async def body(probe: Probe, _network: Any, _store: FakeStore) -> None:
        client = probe.client
        created = await client.create("pods", pod("a"))
        assert created["metadata"]["resourceVersion"] == "2"
        changed = await client.patch(
            "pods", "a", {"metadata": {"labels": {"x": "y"}}}, namespace="default"
        )
        assert changed["metadata"]["labels"] == {"x": "y"}
        listed = await client.list("pods", namespace="default")
        assert [item["metadata"]["name"] for item in listed["items"]] == ["a"]
        assert listed["metadata"]["resourceVersion"] == "3"
        bound = await client.bind("a", "default", "node-1")
        assert bound["spec"]["nodeName"] == "node-1"
        await client.delete("pods", "a", namespace="default", gracePeriodSeconds=0)
        with pytest.raises(StatusError) as caught:
            await client.get("pods", "a", namespace="default")
        assert caught.value.reason == "NotFound"

    run(body)


def test_update_from_an_old_version_is_a_conflict_and_can_be_retried() -> None:
    async def body(probe: Probe, _network: Any, store: FakeStore) -> None:
        client = probe.client
        old = await client.create("pods", pod("a"))
        store.edit("pods", "a", "default", metadata={"labels": {"by": "other"}})
        tries = []

        async def attempt() -> Any:
            tries.append(1)
            base = old if len(tries) == 1 else await client.get("pods", "a", "default")
            return await client.update("pods", {**base, "spec": {"nodeName": "n"}})

        updated = await retry_on_conflict(client, attempt)
        assert len(tries) == 2
        assert updated["metadata"]["labels"] == {"by": "other"}

    run(body)


def test_a_read_moves_to_the_next_server_and_a_write_reports_that_nobody_knows() -> None:
    async def body(probe: Probe, network: Any, _store: FakeStore) -> None:
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
    async def body(probe: Probe, _network: Any, store: FakeStore) -> None:
        store.fail_next = [errors.too_many_requests("slow down", 3)] * 2
        start_ns = probe.ctx.now_ns()
        await probe.client.list("pods")
        assert 6 * SECOND <= probe.ctx.now_ns() - start_ns < 7 * SECOND

    run(body)


def test_a_fenced_client_writes_nothing() -> None:
    async def body(probe: Probe, _network: Any, store: FakeStore) -> None:
        probe.client.fence = lambda: False
        with pytest.raises(UnreachableError):
            await probe.client.create("pods", pod("a"))
        assert (await probe.client.list("pods"))["items"] == []
        assert store.writes == []

    run(body)


@pytest.mark.covers("CT-13", "CT-14")
def test_informer_follows_the_server_across_failures() -> None:
    async def body(probe: Probe, network: Any, store: FakeStore) -> None:
        random = probe.ctx.random
        factory = InformerFactory(probe.client)
        informer = factory.informer("pods")
        informer.add_index("node", lambda obj: obj["spec"].get("nodeName"))
        factory.start()
        await factory.wait_synced()
        assert "resourceVersion" not in store.requests[-1][2]
        for step in range(1000):
            name = f"p{random.randrange(60)}"
            key = ("pods", "default", name)
            choice = random.random()
            if key not in store.objects:
                store.put("pods", pod(name))
            elif choice < 0.3:
                store.remove("pods", name, "default")
            else:
                store.edit("pods", name, "default", spec={"nodeName": f"n{random.randrange(3)}"})
            if step == 300:
                network.hosts["cp-1"].kill_actor("apiserver")
            if step == 600:
                network.hosts["cp-1"].restart_actor("apiserver")
            if step == 800:
                store.compact()
                network.hosts["cp-2"].restart_actor("apiserver")
            if step % 50 == 0:
                await trio.sleep(0.2)
        await trio.sleep(120)
        expected = {
            f"default/{name}": obj
            for (kind, _, name), obj in store.objects.items()
            if kind == "pods"
        }
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
    async def body(probe: Probe, _network: Any, store: FakeStore) -> None:
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
        store.put("pods", pod("a"))
        factory.start()
        await factory.wait_synced()
        assert seen == [("first", "a"), ("second", "a")]
        await trio.sleep(31)
        assert seen[2:] == [("again", "a")]
        assert [entry[0] for entry in store.requests] == ["list"]
        assert len(store.watches) == 1

    run(body)


def test_bookmarks_keep_the_version_fresh_and_410_lists_anew() -> None:
    async def body(probe: Probe, _network: Any, store: FakeStore) -> None:
        factory = InformerFactory(probe.client)
        informer = factory.informer("pods")
        factory.start()
        await factory.wait_synced()
        await trio.sleep(0.1)
        [server] = [each for each in store.servers if each.streams]
        server.send_to_watchers([["BOOKMARK", 77, None]])
        await trio.sleep(1)
        assert informer.reflector.last_resource_version == "77"
        server.send_to_watchers(["ERROR", 410, None])
        await trio.sleep(5)
        assert informer.reflector.lists == 2
        assert "resourceVersion" not in store.requests[-1][2]
        store.put("pods", pod("late"))
        await trio.sleep(1)
        assert informer.lister.get("default", "late") is not None

    run(body)


def test_a_frozen_server_is_left_when_the_watch_outlives_its_timeout() -> None:
    async def body(probe: Probe, network: Any, store: FakeStore) -> None:
        factory = InformerFactory(probe.client)
        informer = factory.informer("pods")
        factory.start()
        await factory.wait_synced()
        network.hosts["cp-1"].pause()
        store.servers = [s for s in store.servers if s.ctx.address != "cp-1/apiserver"]
        store.put("pods", pod("unseen"))
        await trio.sleep(700)
        assert probe.client.server == "cp-2/apiserver"
        assert informer.lister.get("default", "unseen") is not None

    run(body)


def test_a_closed_client_fails_what_is_in_flight_and_stays_quiet() -> None:
    async def body(probe: Probe, network: Any, store: FakeStore) -> None:
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
        requests = len(store.requests)
        await trio.sleep(1000)
        assert len(store.requests) == requests

    run(body)
