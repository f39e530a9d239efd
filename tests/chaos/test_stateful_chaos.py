"""StatefulSets, DaemonSets and claims under faults, and builds that break their guarantees."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
import trio

from k8sactors import simulation
from k8sactors.api.persistent_volumes import capacity_of, request_of
from k8sactors.chaos.cluster.history import cluster_history
from k8sactors.chaos.cluster.options import ClusterChaos
from k8sactors.chaos.cluster.run import ClusterChaosRun
from k8sactors.checkers.kubernetes import check_safety
from k8sactors.cluster import Cluster
from k8sactors.cluster.spec import ClusterSpec
from k8sactors.controllers.persistentvolume_binder import controller as binder
from k8sactors.controllers.statefulset.pod_control import StatefulPodControl
from tests.chaos.stateful_workload import set_up, wait_ready

VOLUME = """
apiVersion: v1
kind: PersistentVolume
metadata: {name: only}
spec:
  accessModes: [ReadWriteOnce]
  capacity: {storage: 1Gi}
  storageClassName: manual
  hostPath: {path: /data}
"""
CLAIM = """
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: %s}
spec:
  accessModes: [ReadWriteOnce]
  storageClassName: manual
  resources: {requests: {storage: 1Gi}}
"""


@pytest.mark.parametrize(("topology", "seed"), [("stacked", 1), ("external", 2)])
def test_identities_and_bindings_hold_under_faults_and_everything_converges(
    topology: str, seed: int
) -> None:
    spec = ClusterSpec(topology=topology, workers=4)  # type: ignore[arg-type]
    run = ClusterChaosRun(spec, set_up, ClusterChaos(faults_ms=60_000))
    outcome = simulation.run(run.main, seed=seed)
    assert [str(finding) for finding in outcome.findings] == []


def _judged(cluster: Cluster) -> set[str]:
    now_ns = simulation.current().now_ns()
    history = cluster_history(cluster.assembly, cluster.hosts, now_ns)
    return {finding.check for finding in check_safety(history)}


async def _update_database() -> set[str]:
    async with Cluster(ClusterSpec(topology="single", workers=3)) as cluster:
        await set_up(cluster)
        # The next pod of this name must go elsewhere.
        pod = await cluster.client.get("pods", "db-2", "default")
        cordon = {"spec": {"unschedulable": True}}
        await cluster.client.patch("nodes", pod["spec"]["nodeName"], cordon)
        template = {"metadata": {"annotations": {"version": "2"}}}
        patch = {"spec": {"template": template}}
        await cluster.client.patch("statefulsets.apps", "db", patch, "default")
        await wait_ready(cluster)
        return _judged(cluster)


async def _without_grace(self: StatefulPodControl, _owner: Any, pod: dict[str, Any]) -> None:
    metadata = pod["metadata"]
    client = self._client
    await client.delete("pods", metadata["name"], metadata["namespace"], gracePeriodSeconds=0)


def test_a_build_that_does_not_wait_for_the_old_pod_is_caught(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert simulation.run(_update_database) == set()
    monkeypatch.setattr(StatefulPodControl, "delete", _without_grace)
    assert "stateful-identity" in simulation.run(_update_database)


async def _two_claims() -> set[str]:
    async with Cluster(ClusterSpec(topology="single", workers=1)) as cluster:
        await cluster.apply(VOLUME)
        for name in ("first", "second"):
            await cluster.apply(CLAIM % name)
            await trio.sleep(20)
        return _judged(cluster)


def _whatever_is_large_enough(
    volumes: Iterable[dict[str, Any]], claim: dict[str, Any], *, delayed: bool
) -> dict[str, Any] | None:
    del delayed
    return next((each for each in volumes if capacity_of(each) >= request_of(claim)), None)


def test_a_build_that_binds_what_is_taken_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    assert simulation.run(_two_claims) == set()
    monkeypatch.setattr(binder, "best_match", _whatever_is_large_enough)
    monkeypatch.setattr(binder, "_offer", lambda _volume: "class:manual")
    assert {"volume-bound-once", "binding-kept"} <= simulation.run(_two_claims)
