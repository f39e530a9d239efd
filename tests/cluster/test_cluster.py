"""A whole cluster, from manifests to probes, and what it does when parts of it fail."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio

from k8sactors import simulation
from k8sactors.cluster import Cluster, ClusterSpec, WaitTimeoutError

WEB = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 5
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
        - {name: web, image: example.org/web:1, ports: [{containerPort: 8080}]}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80, targetPort: 8080}]}
"""


@pytest.mark.covers("DC-16", "AR-05")
@pytest.mark.parametrize("topology", ["single", "stacked", "external"])
def test_an_application_comes_up_answers_and_is_unchanged_by_a_second_apply(topology: str) -> None:
    async def main() -> None:
        async with Cluster(ClusterSpec(topology=topology)) as cluster:  # type: ignore[arg-type]
            assert set((await cluster.apply(WEB)).values()) == {"created"}
            await cluster.wait_available("deployments.apps/web")
            await cluster.wait_answers("web", timeout_s=10)
            result = await cluster.probe("web")
            assert result.ok, result.error
            assert [hop["hop"] for hop in result.hops][:3] == ["host", "dns", "kube-proxy"]
            assert set((await cluster.apply(WEB)).values()) == {"unchanged"}
            assert cluster.network.crashes == []
            assert cluster.assembly.monitor.violations == []

    simulation.run(main, seed=3)


@pytest.mark.covers("DC-01", "AR-20")
def test_losing_the_leader_and_a_control_plane_host_leaves_a_cluster_that_works() -> None:
    async def main() -> None:
        async with Cluster(ClusterSpec(topology="stacked")) as cluster:
            dead = cluster.store_leader_host()
            dead.kill()
            await trio.sleep(30)
            leader = cluster.store_leader()
            assert leader is not None
            assert leader[0] != dead.name
            await cluster.apply(WEB)
            await cluster.wait_available("deployments.apps/web")
            web = await cluster.client.get("deployments.apps", "web", "default")
            assert web["status"]["availableReplicas"] == 5

    simulation.run(main, seed=4)


@pytest.mark.covers("ND-22")
def test_pods_of_a_node_that_was_cut_off_are_ready_again_once_it_is_back() -> None:
    async def main() -> None:
        async with Cluster(ClusterSpec(workers=2)) as cluster:
            await cluster.apply(WEB)
            await cluster.wait_available("deployments.apps/web")
            for name in ("cp-1", "cp-2", "cp-3"):
                cluster.network.cut("worker-1", name)
            await trio.sleep(60)
            with pytest.raises(WaitTimeoutError):
                await cluster.wait_available("deployments.apps/web", timeout_s=1)
            cluster.network.heal()
            await cluster.wait_available("deployments.apps/web", timeout_s=60)

    simulation.run(main, seed=5)


@pytest.mark.covers("DC-16")
def test_two_clusters_in_one_run_share_nothing_but_the_clock() -> None:
    async def main() -> None:
        spec = ClusterSpec(topology="single", workers=1)
        async with Cluster(spec) as one, Cluster(spec) as two:
            await one.apply(WEB)
            await one.wait_available("deployments.apps/web")
            assert (await two.client.list("deployments.apps"))["items"] == []

    simulation.run(main)


def test_the_example_of_the_readme_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    root = Path(__file__).parents[2]
    readme = (root / "README.md").read_text(encoding="utf-8")
    code = readme.partition("<!-- example -->")[2].partition("```python\n")[2].partition("```")[0]
    assert "simulation.run(main" in code
    monkeypatch.chdir(root)
    exec(compile(code, "README.md", "exec"), {})  # noqa: S102 - the readme's own words
