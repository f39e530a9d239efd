"""Watchers that do not read: bounded at the server, of no harm to others, and complete again."""

from __future__ import annotations

from typing import Any

import trio

from k8sactors import fabric, simulation
from k8sactors.actors import Actor
from k8sactors.actors.stream import INITIAL_WINDOW
from k8sactors.api.user import UserInfo
from k8sactors.client import Client, InformerFactory
from k8sactors.testing import ControlPlane

BUFFER = 50


class Follower(Actor):
    """Keeps a cache of all ConfigMaps."""

    def on_start(self) -> None:
        factory = InformerFactory(Client(self.ctx, ["cp-1/apiserver"], UserInfo("follower")))
        self.informer = factory.informer("configmaps")
        factory.start()

    @property
    def known(self) -> dict[str, Any]:
        return {obj["metadata"]["name"]: obj["data"] for obj in self.informer.lister.list()}


def config_map(number: int) -> dict[str, Any]:
    metadata = {"namespace": "default", "name": f"m{number % 10}"}
    return {"metadata": metadata, "data": {"number": str(number)}}


def test_a_frozen_client_harms_no_other_and_is_complete_when_it_reads_again() -> None:
    async def main() -> None:
        plane = ControlPlane(watch_buffer_events=BUFFER)
        async with fabric.open_fabric() as network:
            master = network.add_host("cp-1")
            plane.add_server(master)
            followers = {name: Follower() for name in ("slow", "swift")}
            for name, follower in followers.items():
                network.add_host(name).spawn("follower", lambda follower=follower: follower)
            await trio.sleep(5)
            server: Any = master.actor("apiserver")
            network.hosts["slow"].pause()
            for number in range(INITIAL_WINDOW + 2 * BUFFER):
                plane.objects.put("configmaps", config_map(number))
                if number % 20 == 0:
                    await trio.sleep(0.01)
                    assert server.metrics()["watch_events_waiting"] <= BUFFER
            await trio.sleep(1)
            expected = {
                obj["metadata"]["name"]: obj["data"] for obj in plane.objects.list("configmaps")
            }
            assert followers["swift"].known == expected
            assert followers["slow"].known == {}
            assert server.metrics()["watches_too_slow"] == 1
            network.hosts["slow"].resume()
            await trio.sleep(5)
            assert followers["slow"].known == expected
            # It resumed its watch where it was: nothing was listed again.
            assert followers["slow"].informer.reflector.lists == 1
            assert not network.crashes, network.crashes

    simulation.run(main)
