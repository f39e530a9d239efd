"""A program serves its own cluster, and asks it as any client would."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import Request, urlopen

import pytest
import trio

from k8sactors import simulation
from k8sactors.cluster import Cluster, ClusterSpec, NotServedError
from k8sactors.simulation import RealClock, VirtualClock
from tests.serve.test_serve import CONFIG_MAP, CONFIG_MAPS, KUBECTL

ASK_TIMEOUT_S = 20.0
SMALL = ClusterSpec(workers=1)


def ask(url: str, path: str, body: Any = None) -> Any:
    headers = {"content-type": "application/json"}
    request = Request(url + path, None if body is None else json.dumps(body).encode(), headers)  # noqa: S310 - http
    with urlopen(request, timeout=ASK_TIMEOUT_S) as answer:  # noqa: S310 - http
        return json.load(answer)


def first_event(url: str, path: str, ready: Callable[[], None]) -> Any:
    with urlopen(url + path, timeout=ASK_TIMEOUT_S) as answer:  # noqa: S310 - http
        ready()
        return json.loads(answer.readline())


def on_real_time(test: Callable[[Cluster], Awaitable[None]]) -> None:
    async def main() -> None:
        async with Cluster(SMALL) as cluster:
            await test(cluster)

    simulation.run(main, clock=RealClock.of_today())


def test_clients_in_threads_ask_and_watch() -> None:
    async def test(cluster: Cluster) -> None:
        async with cluster.serve(port=0) as endpoint, trio.open_nursery() as nursery:
            assert endpoint.url.startswith("http://127.0.0.1:")
            version = await trio.to_thread.run_sync(ask, endpoint.url, "/version")
            assert version["major"] == "1"
            listed = await trio.to_thread.run_sync(ask, endpoint.url, "/api/v1/namespaces")
            names = {item["metadata"]["name"] for item in listed["items"]}
            assert {"default", "kube-system"} <= names
            watching = trio.Event()
            seen: list[Any] = []

            async def watch() -> None:
                path = f"{CONFIG_MAPS}?watch=true&fieldSelector=metadata.name=settings"
                ready = lambda: trio.from_thread.run_sync(watching.set)  # noqa: E731
                seen.append(await trio.to_thread.run_sync(first_event, endpoint.url, path, ready))

            nursery.start_soon(watch)
            await watching.wait()
            await trio.to_thread.run_sync(ask, endpoint.url, CONFIG_MAPS, CONFIG_MAP)
            with trio.fail_after(ASK_TIMEOUT_S):
                while not seen:  # noqa: ASYNC110 - a list has no event
                    await trio.sleep(0.01)
            assert (seen[0]["type"], seen[0]["object"]["kind"]) == ("ADDED", "ConfigMap")
            # The program and its clients see one cluster.
            assert await cluster.client.get("configmaps", "settings", "default")
        with pytest.raises(URLError):
            await trio.to_thread.run_sync(ask, endpoint.url, "/version")

    on_real_time(test)


def test_an_error_of_the_block_leaves_it_as_it_is() -> None:
    async def test(cluster: Cluster) -> None:
        with pytest.raises(KeyError, match="a reason"):
            async with cluster.serve():
                raise KeyError("a reason")

    on_real_time(test)


def test_a_cluster_on_virtual_time_is_not_served() -> None:
    async def main() -> None:
        async with Cluster(SMALL) as cluster:
            with pytest.raises(NotServedError, match="real time"):
                async with cluster.serve():
                    pass

    simulation.run(main, clock=VirtualClock())


@pytest.mark.skipif(KUBECTL is None, reason="kubectl is not installed")
def test_the_kubeconfig_is_one(tmp_path: Path) -> None:
    assert KUBECTL is not None
    file = tmp_path / "kubeconfig"

    def get_nodes() -> str:
        command = [str(KUBECTL), f"--kubeconfig={file}", "get", "nodes", "-o", "name"]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    async def test(cluster: Cluster) -> None:
        async with cluster.serve() as endpoint:
            endpoint.write_kubeconfig(file)
            assert "node/worker-1" in await trio.to_thread.run_sync(get_nodes)

    on_real_time(test)
