from __future__ import annotations

from typing import Any

import pytest
import trio

from k8sactors import simulation
from k8sactors.api.errors import StatusError

MANIFEST = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: example.org/web:1}]}
"""


def config_map(name: str, **data: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


async def test_a_cluster_has_one_node_that_runs_workloads(k8s_cluster: Any) -> None:
    nodes = (await k8s_cluster.client.list("nodes"))["items"]
    assert len(nodes) == 1
    await k8s_cluster.apply(MANIFEST)
    await k8s_cluster.wait_available("deployments.apps/web", timeout_s=60)


@pytest.mark.usefixtures("k8s_cluster")
async def test_time_is_virtual() -> None:
    before_ns = simulation.current().now_ns()
    await trio.sleep(3600)
    assert simulation.current().now_ns() - before_ns == 3600 * simulation.SECOND


@pytest.mark.parametrize("value", ["1", "2"])
async def test_each_test_has_a_cluster_of_its_own(k8s_cluster: Any, value: str) -> None:
    await k8s_cluster.client.create("configmaps", config_map("mine", value=value), "default")


@pytest.mark.k8s(workers=2, seed=5)
async def test_a_marker_sets_seed_and_size(k8s_cluster: Any) -> None:
    assert simulation.current().seed == 5
    assert len((await k8s_cluster.client.list("nodes"))["items"]) == 3


async def test_a_request_fails_as_ordered_and_only_so_often(k8s_cluster: Any) -> None:
    fault = k8s_cluster.fail_next("create", "configmaps", code=503, times=1)
    with pytest.raises(StatusError) as caught:
        await k8s_cluster.client.create("configmaps", config_map("a"), "default")
    assert (caught.value.code, caught.value.reason) == (503, "ServiceUnavailable")
    await k8s_cluster.client.create("configmaps", config_map("a"), "default")
    assert fault.hits == 1
