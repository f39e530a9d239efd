"""Deliberate defects: each replaces one function of the system while it is switched on.

They are here to test the tests: a check that never caught anything is not trusted. Nothing but the
zoo and its tests imports this module.
"""

from __future__ import annotations

from functools import partial

from k8sactors.chaos.cluster.options import ClusterChaos
from k8sactors.chaos.cluster.run import run_cluster, store_and_kubelets
from k8sactors.chaos.zoo import raft_bugs, server_bugs
from k8sactors.chaos.zoo.bug import Bug
from k8sactors.client.reflector import Reflector
from k8sactors.cluster.spec import ClusterSpec
from k8sactors.faults import Pace


def _any_version(_: Reflector) -> str:
    return "0"


STALE_FIRST_LIST = Bug(
    number=14,
    name="a list at resourceVersion 0 from a lagging API server: one pod on two kubelets",
    origin="kubernetes 59848",
    owner=Reflector,
    function="first_version",
    replacement=_any_version,
    # One long partition among the store members, while API servers and kubelets restart often.
    campaign=partial(
        run_cluster,
        ClusterSpec(topology="stacked", workers=6),
        ClusterChaos(
            store_clients=0,
            api_clients=0,
            named_pods=20,
            kinds=("partition", *["restart-actor"] * 8),
            pace=Pace(mean_gaps_ms=(700, 1_200), longest_ms=(20_000,)),
            targets=store_and_kubelets,
        ),
    ),
    checks=("pod-runs-once",),
)

BUGS = {bug.number: bug for bug in (*raft_bugs.BUGS, *server_bugs.BUGS, STALE_FIRST_LIST)}
