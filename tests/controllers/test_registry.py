"""Which controllers there are, how they are selected, and which settings they take."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
import trio

from k8sactors import controllers, simulation
from k8sactors.cluster import Cluster, ClusterSpec
from k8sactors.controllers.errors import (
    InvalidOptionError,
    UnknownControllerError,
    UnknownOptionError,
)
from k8sactors.controllers.manager import ControllerManagerConfig
from k8sactors.controllers.registry import find_controllers

# Names that cmd/kube-controller-manager/names gives them; the CSI driver is not one of its own.
REAL_NAMES = [
    "bootstrap-signer-controller",
    "certificatesigningrequest-approving-controller",
    "certificatesigningrequest-cleaner-controller",
    "certificatesigningrequest-signing-controller",
    "clusterrole-aggregation-controller",
    "cronjob-controller",
    "daemonset-controller",
    "deployment-controller",
    "disruption-controller",
    "endpoints-controller",
    "endpointslice-controller",
    "endpointslice-mirroring-controller",
    "ephemeral-volume-controller",
    "garbage-collector-controller",
    "horizontal-pod-autoscaler-controller",
    "job-controller",
    "namespace-controller",
    "node-ipam-controller",
    "node-lifecycle-controller",
    "persistentvolume-attach-detach-controller",
    "persistentvolume-binder-controller",
    "persistentvolume-expander-controller",
    "persistentvolume-protection-controller",
    "persistentvolumeclaim-protection-controller",
    "pod-garbage-collector-controller",
    "replicaset-controller",
    "replicationcontroller-controller",
    "resourcequota-controller",
    "root-ca-certificate-publisher-controller",
    "service-cidr-controller",
    "serviceaccount-controller",
    "serviceaccount-token-controller",
    "simulated-csi-controller",
    "statefulset-controller",
    "taint-eviction-controller",
    "token-cleaner-controller",
    "ttl-after-finished-controller",
    "ttl-controller",
]


def selected(*selection: str, **settings: Any) -> list[str]:
    return [kind.name for kind in ControllerManagerConfig(selection, settings).select()]


def test_every_controller_is_found_by_its_real_name_in_order() -> None:
    assert list(find_controllers()) == REAL_NAMES


@pytest.mark.covers("CT-02")
def test_selection_takes_all_or_names_or_all_but() -> None:
    assert selected("*") == REAL_NAMES
    assert selected("replicaset") == ["replicaset-controller"]
    assert selected("*", "-replicaset") == [
        name for name in REAL_NAMES if name != "replicaset-controller"
    ]
    with pytest.raises(UnknownControllerError):
        selected("replicasets")


def test_a_setting_that_no_controller_declares_or_of_another_type_is_refused() -> None:
    with pytest.raises(UnknownOptionError, match="no controller has an option 'node_period'"):
        selected("*", node_period=1)
    with pytest.raises(InvalidOptionError, match="'cluster_cidr' takes str, not 10"):
        selected("deployment", cluster_cidr=10)
    with pytest.raises(InvalidOptionError, match="'terminated_pod_gc_threshold' takes int"):
        selected("*", terminated_pod_gc_threshold=True)
    assert selected("node-lifecycle-controller", node_eviction_rate=1)


def test_a_cluster_says_what_is_wrong_with_its_controller_settings() -> None:
    [problem] = ClusterSpec(controller_settings={"pod_gc": 3}).problems()
    assert problem.startswith("no controller has an option 'pod_gc'")
    [problem] = ClusterSpec(controllers=("deploy",)).problems()
    assert problem.startswith("there is no controller 'deploy'")


def test_settings_of_the_cluster_reach_the_controller_that_declares_them() -> None:
    async def main() -> None:
        settings = {"cluster_cidr": "10.32.0.0/12", "node_cidr_mask_size": 26}
        spec = ClusterSpec(topology="single", workers=1, controller_settings=settings)
        async with Cluster(spec) as cluster:
            node = await cluster.client.get("nodes", "worker-1")
            assert node["spec"]["podCIDR"].endswith("/26")

    simulation.run(main, seed=1)


ONE_FILE = """
    from __future__ import annotations

    import attrs

    from k8sactors.controllers.machinery.controller import Controller, ManagerContext
    from k8sactors.controllers.machinery.options import ControllerOptions


    @attrs.frozen
    class TeamLabelOptions(ControllerOptions):
        default_team: str = "unassigned"


    class TeamLabelController(Controller):
        name = "team-label-controller"
        options_type = TeamLabelOptions
        options: TeamLabelOptions

        def __init__(self, manager: ManagerContext) -> None:
            super().__init__(manager)
            self._namespaces = self.watch_own("namespaces")

        async def reconcile(self, key: str) -> None:
            labels = {"team": self.options.default_team}
            await self.client.patch("namespaces", key, {"metadata": {"labels": labels}})
"""


def test_a_controller_in_one_new_file_runs_in_a_cluster(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "team_label.py").write_text(dedent(ONE_FILE))
    monkeypatch.setattr(controllers, "__path__", [*controllers.__path__, str(tmp_path)])
    assert list(find_controllers()) == sorted([*REAL_NAMES, "team-label-controller"])

    async def main() -> None:
        spec = ClusterSpec(
            topology="single", workers=1, controller_settings={"default_team": "shop"}
        )
        async with Cluster(spec) as cluster:
            await trio.sleep(5)
            namespace = await cluster.client.get("namespaces", "default")
            assert namespace["metadata"]["labels"]["team"] == "shop"

    simulation.run(main, seed=1)
