"""Chaos on a whole cluster: seeds that once showed a defect, and fresh ones on both topologies."""

from __future__ import annotations

from pathlib import Path

import pytest

from k8sactors import simulation
from k8sactors.chaos.cluster.options import ClusterChaos
from k8sactors.chaos.cluster.run import ClusterChaosRun, check_quiet
from k8sactors.checkers.cluster_history import ClusterHistory, ObjectChange
from k8sactors.cluster import Cluster
from k8sactors.cluster.spec import ClusterSpec

MANIFEST = Path(__file__).parents[2] / "scenarios" / "manifests" / "hello.yaml"

# Seed 5: kubelet and node lifecycle controller overwrote a pod's Ready condition a hundred times
# a second while the node's container runtime was down.
SEEDS = [("stacked", 5), ("stacked", 1), ("external", 1), ("external", 2)]


async def _set_up(cluster: Cluster) -> None:
    await cluster.apply(MANIFEST.read_text(encoding="utf-8"))
    await cluster.wait_available("deployments.apps/hello")


@pytest.mark.covers("DC-14", "AR-28")
@pytest.mark.parametrize(("topology", "seed"), SEEDS)
def test_a_cluster_under_faults_keeps_its_guarantees_and_converges(
    topology: str, seed: int
) -> None:
    spec = ClusterSpec(topology=topology, workers=4)  # type: ignore[arg-type]
    run = ClusterChaosRun(spec, _set_up, ClusterChaos(faults_ms=60_000))
    outcome = simulation.run(run.main, seed=seed)
    assert [str(finding) for finding in outcome.findings] == []
    assert outcome.operations > 0
    assert outcome.faults


def test_components_that_overwrite_each_other_are_found() -> None:
    pod = {"metadata": {"name": "p", "uid": "1"}}
    changes = [ObjectChange(time_ns, "MODIFIED", "pods", pod) for time_ns in (1, 95, 99)]
    history = ClusterHistory(changes=changes, end_ns=100)
    assert [finding.check for finding in check_quiet(history, 10)] == ["stays-converged"]
    assert check_quiet(ClusterHistory(changes=changes[:1], end_ns=100), 10) == []
