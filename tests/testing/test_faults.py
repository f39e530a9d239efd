from __future__ import annotations

from typing import Any

import pytest
import trio

from k8sactors import simulation
from k8sactors.api.errors import StatusError
from k8sactors.api.user import UserInfo
from k8sactors.client import Client, InformerFactory
from k8sactors.client.errors import UnreachableError


def config_map(name: str, **data: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


async def create(cluster: Any, name: str, **data: str) -> dict[str, Any]:
    made: dict[str, Any] = await cluster.client.create(
        "configmaps", config_map(name, **data), "default"
    )
    return made


async def names(cluster: Any, **options: Any) -> list[str]:
    found = await cluster.client.list("configmaps", "default", **options)
    return [each["metadata"]["name"] for each in found["items"] if "kube" not in str(each)]


def informer(cluster: Any) -> Any:
    """Of config maps, in the default namespace, of the administrator's client."""
    factory = InformerFactory(cluster.client)
    made = factory.informer("configmaps", "default")
    factory.start()
    return made


async def test_a_conflict_lasts_until_the_object_is_read_again(k8s_cluster: Any) -> None:
    old = await create(k8s_cluster, "a", x="1")
    fault = k8s_cluster.conflict_next("configmaps")
    for _ in range(2):
        with pytest.raises(StatusError) as caught:
            await k8s_cluster.client.update("configmaps", {**old, "data": {"x": "2"}})
        assert (caught.value.code, caught.value.reason) == (409, "Conflict")
    assert fault.hits == 1
    new = await k8s_cluster.client.get("configmaps", "a", "default")
    await k8s_cluster.client.update("configmaps", {**new, "data": {"x": "2"}})


async def test_the_write_whose_answer_is_lost_has_happened(k8s_cluster: Any) -> None:
    k8s_cluster.lose_answer("create", "configmaps")
    with pytest.raises(UnreachableError):
        await create(k8s_cluster, "a")
    assert "a" in await names(k8s_cluster)


async def test_a_slow_request_takes_its_time(k8s_cluster: Any) -> None:
    k8s_cluster.slow("get", "namespaces", seconds=7)
    before_ns = simulation.current().now_ns()
    await k8s_cluster.client.get("namespaces", "default")
    took_ns = simulation.current().now_ns() - before_ns
    assert 7 * simulation.SECOND <= took_ns < 8 * simulation.SECOND
    await k8s_cluster.client.get("namespaces", "default")
    assert simulation.current().now_ns() - before_ns - took_ns < simulation.SECOND


async def test_stale_reads_hold_back_watches_and_cached_reads_only(k8s_cluster: Any) -> None:
    followed = informer(k8s_cluster)
    await trio.sleep(1)
    await create(k8s_cluster, "before")
    await trio.sleep(1)
    fault = k8s_cluster.stale_reads("configmaps", seconds=5)
    await create(k8s_cluster, "after")
    await trio.sleep(2)
    assert followed.lister.get("default", "after") is None
    assert "after" not in await names(k8s_cluster, resourceVersion="0")
    assert "after" in await names(k8s_cluster)
    with pytest.raises(StatusError) as caught:
        await k8s_cluster.client.get("configmaps", "after", "default", resourceVersion="0")
    assert caught.value.code == 404
    assert fault.hits > 0
    await trio.sleep(4)
    assert followed.lister.get("default", "after") is not None
    assert "after" in await names(k8s_cluster, resourceVersion="0")


async def test_a_dropped_watch_is_resumed_without_a_loss(k8s_cluster: Any) -> None:
    followed = informer(k8s_cluster)
    await trio.sleep(1)
    listed = count(k8s_cluster, "list")
    assert k8s_cluster.drop_watch("configmaps").hits == 1
    await create(k8s_cluster, "meanwhile")
    await trio.sleep(5)
    assert followed.lister.get("default", "meanwhile") is not None
    assert count(k8s_cluster, "list") == listed, "resumed where it was, without a list"
    assert count(k8s_cluster, "watch") == 2


async def test_expired_history_makes_clients_list_again(k8s_cluster: Any) -> None:
    followed = informer(k8s_cluster)
    await trio.sleep(1)
    for number in range(4):
        await create(k8s_cluster, f"c{number}")
    page = await k8s_cluster.client.list("configmaps", "default", limit=2)
    listed = count(k8s_cluster, "list")
    assert k8s_cluster.expire_history("configmaps").hits == 1
    await create(k8s_cluster, "meanwhile")
    await trio.sleep(10)
    assert followed.lister.get("default", "meanwhile") is not None
    assert count(k8s_cluster, "list") == listed + 1
    with pytest.raises(StatusError) as caught:
        await names(k8s_cluster, limit=2, **{"continue": page["metadata"]["continue"]})
    assert (caught.value.code, caught.value.reason) == (410, "Expired")


def count(cluster: Any, verb: str) -> int:
    return sum(
        request.verb == verb and request.resource == "configmaps" and "admin" in request.user
        for request in cluster.requests
    )


async def test_components_are_left_alone_unless_named(k8s_cluster: Any) -> None:
    fault = k8s_cluster.fail_next("update", "leases", times=1000)
    await trio.sleep(60)
    assert fault.hits == 0
    fault = k8s_cluster.fail_next("update", "leases", user="system:kube-scheduler")
    await trio.sleep(60)
    assert fault.hits == 1


async def test_faults_hit_a_controller_of_the_test_s_own(k8s_cluster: Any) -> None:
    user = UserInfo("system:team-controller", groups=("system:masters",))
    client = Client(k8s_cluster.client.ctx, k8s_cluster.assembly.servers, user)
    k8s_cluster.fail_next("list", "pods", code=500)
    with pytest.raises(StatusError):
        await client.list("pods", "default")


async def test_an_unknown_resource_is_refused(k8s_cluster: Any) -> None:
    with pytest.raises(ValueError, match="no resource is called 'podz'"):
        k8s_cluster.fail_next("get", "podz")
    k8s_cluster.fail_next("get", "deployments")
    k8s_cluster.fail_next("get", "deployments.apps")


async def test_an_ended_fault_strikes_no_more(k8s_cluster: Any) -> None:
    fault = k8s_cluster.slow("get", "namespaces", seconds=7, times=None)
    fault.end()
    before_ns = simulation.current().now_ns()
    await k8s_cluster.client.get("namespaces", "default")
    assert simulation.current().now_ns() - before_ns < simulation.SECOND


async def test_a_watch_can_be_refused(k8s_cluster: Any) -> None:
    fault = k8s_cluster.fail_next("watch", "configmaps", code=500)
    followed = informer(k8s_cluster)
    await create(k8s_cluster, "a")
    await trio.sleep(10)
    assert fault.hits == 1
    assert followed.lister.get("default", "a") is not None
