"""API servers on a three-member Raft store, in one simulation."""

from __future__ import annotations

from functools import partial
from typing import Any

import trio

from k8sactors import fabric, simulation
from k8sactors.actors import Actor
from k8sactors.api import codec
from k8sactors.api.protocol import REQUEST, WATCH, request, watch
from k8sactors.apiserver import APIServer, APIServerConfig
from k8sactors.store.member import StoreHost
from raftstore.server import MemberConfig
from raftstore.server.config import Peer

TIMEOUT_NS = 20 * simulation.SECOND


class Script(Actor):
    """Creates pods through one server, binds them through another, and watches through a third."""

    def __init__(self, seen: list[Any], done: trio.Event) -> None:
        self.seen = seen
        self.done = done

    async def main(self) -> None:
        first, second, third = (self.ctx.connect(f"cp-{number}/apiserver") for number in (1, 2, 3))

        async def do(connection: Any, resource: str, name: str, sub: str, body: Any) -> Any:
            data = codec.encode_value(body)
            payload = request("create", resource, "default", name, sub, data)
            message = await connection.ask(REQUEST, payload, timeout_ns=TIMEOUT_NS)
            return message.payload

        account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}}
        assert (await do(first, "serviceaccounts", "", "", account))[0] == 201
        stream = third.open_stream(WATCH, watch("pods"))
        stream.on_item = lambda message: self.seen.extend(item[0] for item in message.payload)
        spec = {"containers": [{"name": "c", "image": "registry.example/app:1"}]}
        for number in range(3):
            name = f"p{number}"
            pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}
            assert (await do(first, "pods", "", "", pod))[0] == 201
            target = {"target": {"name": "n1"}}
            assert (await do(second, "pods", name, "binding", target))[0] == 201
        await trio.sleep(1)
        self.done.set()


async def scene() -> tuple[list[Any], str]:
    addresses = {number: f"cp-{number}/etcd" for number in (1, 2, 3)}
    peers = tuple(Peer(number, address) for number, address in addresses.items())
    seen: list[Any] = []
    done = trio.Event()
    async with fabric.open_fabric(default_latency_ns=200_000) as network:
        for number, address in addresses.items():
            host = network.add_host(f"cp-{number}", zone="a")
            config = MemberConfig(id=number, peers=peers)
            host.spawn("etcd", partial(StoreHost, config, addresses, 0))
            settings = APIServerConfig(store_endpoints=(address,))
            host.spawn("apiserver", partial(APIServer, settings))
        network.add_host("client", zone="a").spawn("script", partial(Script, seen, done))
        await done.wait()
    return seen, simulation.current().trace.hexdigest()


def test_writes_through_any_server_reach_the_watchers_of_every_server() -> None:
    seen, trace = simulation.run(scene, seed=3)
    assert seen == ["ADDED", "MODIFIED"] * 3
    assert simulation.run(scene, seed=3) == (seen, trace)
