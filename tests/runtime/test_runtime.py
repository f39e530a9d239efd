"""The CRI's contract, asked over messages: any runtime that passes can run pods."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import attrs
import pytest
import trio

from k8sactors import simulation
from k8sactors.actors import Actor, Connection, Message
from k8sactors.fabric import Host, open_fabric
from k8sactors.network import netns
from k8sactors.runtime import cri
from k8sactors.runtime.container_runtime import ContainerRuntime
from k8sactors.simulation import SECOND


class Caller(Actor):
    pass


@attrs.define
class Bench:
    host: Host
    connection: Connection
    exits: list[Any] = attrs.field(factory=list)

    async def call(self, method: str, *fields: Any) -> Any:
        reply = await self.connection.ask(method, list(fields), timeout_ns=3600 * SECOND)
        code, body = reply.payload
        return code or body

    async def sandbox(self, name: str = "web", **annotations: str) -> str:
        config = cri.SandboxConfig("shop", name, f"uid-{name}", 0, annotations, False)
        body = await self.call(cri.RUN_POD_SANDBOX, *config.to_wire())
        return str(body[0])

    async def container(self, sandbox: str, image: str, *command: str) -> str:
        await self.call(cri.PULL_IMAGE, image)
        config = cri.ContainerConfig("app", 0, image, list(command), [], [8080], "app")
        container_id = await self.call(cri.CREATE_CONTAINER, sandbox, config.to_wire())
        await self.call(cri.START_CONTAINER, container_id)
        return str(container_id)

    async def status(self, container_id: str) -> cri.ContainerStatus:
        return cri.ContainerStatus.from_wire(await self.call(cri.CONTAINER_STATUS, container_id))


def on_bench(main: Callable[[Bench], Awaitable[None]]) -> None:
    async def run() -> None:
        async with open_fabric() as network:
            host = network.add_host("worker-1")
            host.spawn("containerd", lambda: ContainerRuntime("worker-1", "192.168.0.1"))
            host.spawn("caller", Caller)
            await trio.sleep(0.1)
            bench = Bench(host, connect(host))

            def ended(message: Message) -> None:
                bench.exits.append(message.payload)

            bench.connection.subscribe(cri.GET_CONTAINER_EVENTS, [], ended)
            await bench.call(cri.UPDATE_RUNTIME_CONFIG, "10.244.1.0/29")
            await main(bench)

    simulation.run(run)


def connect(host: Host) -> Connection:
    caller = host.actor("caller")
    assert caller is not None
    return caller.ctx.connect("worker-1/containerd")


def now_s() -> float:
    return simulation.current().now_ns() / SECOND


def test_a_pull_takes_as_long_as_its_bytes_and_the_second_is_quick() -> None:
    async def main(bench: Bench) -> None:
        began = now_s()
        _, size = await bench.call(cri.PULL_IMAGE, "shop/web:1")
        first = now_s() - began
        assert first == pytest.approx(0.2 + size / (100 << 20), abs=0.01)
        began = now_s()
        await bench.call(cri.PULL_IMAGE, "shop/web:1")
        assert now_s() - began < first
        assert await bench.call(cri.IMAGE_STATUS, "other/web:1") is None

    on_bench(main)


def test_only_a_missing_image_cannot_be_pulled() -> None:
    async def main(bench: Bench) -> None:
        assert await bench.call(cri.PULL_IMAGE, "missing/app") == "NotFound"

    on_bench(main)


def test_a_container_needs_its_image_and_its_sandbox() -> None:
    async def main(bench: Bench) -> None:
        config = cri.ContainerConfig("app", 0, "shop/web:1", [], [], [], "app").to_wire()
        assert await bench.call(cri.CREATE_CONTAINER, "none", config) == "NotFound"
        sandbox = await bench.sandbox()
        assert await bench.call(cri.CREATE_CONTAINER, sandbox, config) == "NotFound"

    on_bench(main)


@pytest.mark.covers("RT-14")
def test_a_life_is_created_running_exited() -> None:
    async def main(bench: Bench) -> None:
        sandbox = await bench.sandbox()
        container_id = await bench.container(sandbox, "busybox:1", "sh", "-c", "sleep 2; exit 3")
        assert (await bench.status(container_id)).state == cri.RUNNING
        await trio.sleep(3)
        status = await bench.status(container_id)
        assert (status.state, status.exit_code, status.reason) == (cri.EXITED, 3, "Error")
        assert status.finished_at_ns - status.started_at_ns == 2 * SECOND + SECOND // 100
        assert [item[0] for item in bench.exits] == [container_id]

    on_bench(main)


def test_stop_waits_for_sigterm_and_kills_after_the_timeout() -> None:
    async def main(bench: Bench) -> None:
        sandbox = await bench.sandbox()
        polite = await bench.container(sandbox, "shop/web:1")
        deaf = await bench.container(sandbox, "busybox:1", "sleep", "999")
        began = now_s()
        ended = cri.ContainerStatus.from_wire(
            await bench.call(cri.STOP_CONTAINER, polite, 5 * SECOND)
        )
        assert (ended.exit_code, now_s() - began) == (0, pytest.approx(0.1))
        began = now_s()
        ended = cri.ContainerStatus.from_wire(
            await bench.call(cri.STOP_CONTAINER, deaf, 5 * SECOND)
        )
        assert (ended.exit_code, now_s() - began) == (137, pytest.approx(5))

    on_bench(main)


def test_what_never_stops_outlasts_sigkill() -> None:
    async def main(bench: Bench) -> None:
        sandbox = await bench.sandbox(**{"sim/stop-after": "never"})
        container_id = await bench.container(sandbox, "shop/web:1")
        with trio.move_on_after(600):
            await bench.call(cri.STOP_CONTAINER, container_id, SECOND)
        assert (await bench.status(container_id)).state == cri.RUNNING

    on_bench(main)


@pytest.mark.covers("NW-08", "NW-20", "NW-26")
def test_each_sandbox_has_its_own_address_until_the_range_is_full() -> None:
    async def main(bench: Bench) -> None:
        ids = [await bench.sandbox(f"p{number}") for number in range(5)]
        listed = await bench.call(cri.LIST_POD_SANDBOX)
        addresses = [cri.SandboxStatus.from_wire(item).ip for item in listed]
        assert len(dict.fromkeys(addresses)) == 5
        config = cri.SandboxConfig("shop", "late", "uid-late", 0, {}, False)
        assert await bench.call(cri.RUN_POD_SANDBOX, *config.to_wire()) == "Unknown"
        await bench.call(cri.STOP_POD_SANDBOX, ids[0])
        await bench.call(cri.STOP_POD_SANDBOX, ids[0])
        await bench.call(cri.REMOVE_POD_SANDBOX, ids[0])
        await bench.sandbox("another")
        assert len(await bench.call(cri.LIST_POD_SANDBOX)) == 5

    on_bench(main)


def test_stopping_a_sandbox_ends_what_is_in_it() -> None:
    async def main(bench: Bench) -> None:
        sandbox = await bench.sandbox()
        container_id = await bench.container(sandbox, "shop/web:1")
        await bench.call(cri.STOP_POD_SANDBOX, sandbox)
        assert (await bench.status(container_id)).exit_code == 137

    on_bench(main)


def test_a_server_listens_after_it_has_warmed_up() -> None:
    async def main(bench: Bench) -> None:
        sandbox = await bench.sandbox()
        await bench.container(sandbox, "postgres:16")
        ip = await bench.call(netns.NETNS_LOOKUP, "shop", "web")
        assert await bench.call(netns.NETNS_CONNECT, ip, 5432, "TCP") == "Refused"
        await trio.sleep(2.1)
        answer = netns.Answer.from_wire(await bench.call(netns.NETNS_CONNECT, ip, 5432, "TCP"))
        assert (answer.pod, answer.container) == ("web", "app")

    on_bench(main)


def test_out_of_memory_says_so() -> None:
    async def main(bench: Bench) -> None:
        container_id = await bench.container(await bench.sandbox(), "shop/web:1")
        assert await bench.call(cri.INJECT, "shop", "web", "app", "oom", 0) == 1
        status = await bench.status(container_id)
        assert (status.exit_code, status.reason) == (137, "OOMKilled")

    on_bench(main)


def test_exec_runs_commands_in_running_containers_only() -> None:
    async def main(bench: Bench) -> None:
        container_id = await bench.container(await bench.sandbox(), "shop/web:1")
        assert await bench.call(cri.EXEC_SYNC, container_id, ["true"], SECOND) == [0, ""]
        code, _ = await bench.call(cri.EXEC_SYNC, container_id, ["sh", "-c", "exit 7"], SECOND)
        assert code == 7
        assert await bench.call(cri.EXEC_SYNC, "absent", ["true"], SECOND) == "NotFound"

    on_bench(main)


def test_a_job_ends_on_time_although_its_runtime_was_restarted() -> None:
    async def main(bench: Bench) -> None:
        container_id = await bench.container(await bench.sandbox(), "busybox:1", "sleep", "60")
        bench.host.kill_actor("containerd")
        await trio.sleep(20)
        bench.host.restart_actor("containerd")
        await trio.sleep(0.1)
        bench.connection = connect(bench.host)
        assert (await bench.status(container_id)).state == cri.RUNNING
        await trio.sleep(60)
        status = await bench.status(container_id)
        assert status.finished_at_ns - status.started_at_ns == pytest.approx(60 * SECOND, rel=0.01)

    on_bench(main)


def test_images_outlive_a_power_loss_and_containers_do_not() -> None:
    async def main(bench: Bench) -> None:
        await bench.container(await bench.sandbox(), "shop/web:1")
        bench.host.restart()
        await trio.sleep(0.1)
        bench.connection = connect(bench.host)
        assert await bench.call(cri.LIST_CONTAINERS) == []
        assert await bench.call(cri.IMAGE_STATUS, "shop/web:1") is not None

    on_bench(main)


@pytest.mark.covers("RT-09")
def test_an_unknown_method_is_unimplemented() -> None:
    async def main(bench: Bench) -> None:
        assert await bench.call("cri.CheckpointContainer") == "Unimplemented"

    on_bench(main)
