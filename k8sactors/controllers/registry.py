"""Which controllers there are, and which of them a manager runs.

Selection is that of `kube-controller-manager --controllers`: `*` means all, `name` one, `-name`
all but this one. The short names from before Kubernetes 1.28 are understood too.
"""

from collections.abc import Sequence

from k8sactors.controllers.base import Controller
from k8sactors.controllers.deployment import DeploymentController
from k8sactors.controllers.endpoints import EndpointsController
from k8sactors.controllers.endpointslice import EndpointSliceController
from k8sactors.controllers.errors import UnknownControllerError
from k8sactors.controllers.garbage_collector import GarbageCollector
from k8sactors.controllers.namespace import NamespaceController
from k8sactors.controllers.node_ipam import NodeIPAMController
from k8sactors.controllers.node_lifecycle import NodeLifecycleController
from k8sactors.controllers.pod_gc import PodGarbageCollector
from k8sactors.controllers.replicaset import ReplicaSetController
from k8sactors.controllers.replication import ReplicationControllerController
from k8sactors.controllers.root_ca import RootCAPublisher
from k8sactors.controllers.serviceaccount import ServiceAccountController
from k8sactors.controllers.taint_eviction import TaintEvictionController

CONTROLLERS: dict[str, type[Controller]] = {
    kind.name: kind
    for kind in (
        DeploymentController,
        ReplicaSetController,
        ReplicationControllerController,
        EndpointsController,
        EndpointSliceController,
        NodeLifecycleController,
        TaintEvictionController,
        ServiceAccountController,
        RootCAPublisher,
        NamespaceController,
        GarbageCollector,
        NodeIPAMController,
        PodGarbageCollector,
    )
}
OLD_NAMES = {
    "serviceaccount": "serviceaccount-controller",
    "namespace": "namespace-controller",
    "nodeipam": "node-ipam-controller",
    "nodelifecycle": "node-lifecycle-controller",
    "deployment": "deployment-controller",
    "replicaset": "replicaset-controller",
    "replicationcontroller": "replicationcontroller-controller",
    "endpoint": "endpoints-controller",
    "endpointslice": "endpointslice-controller",
    "podgc": "pod-garbage-collector-controller",
    "garbagecollector": "garbage-collector-controller",
}


def select_controllers(selection: Sequence[str]) -> list[type[Controller]]:
    """The controllers that a selection asks for, in starting order.

    Raises:
        UnknownControllerError: a name in the selection is not that of a controller.
    """
    wanted: dict[str, bool] = {}
    everything = False
    for item in selection:
        if item == "*":
            everything = True
            continue
        name = item.removeprefix("-")
        name = OLD_NAMES.get(name, name)
        if name not in CONTROLLERS:
            raise UnknownControllerError(name, list(CONTROLLERS))
        wanted[name] = not item.startswith("-")
    return [kind for name, kind in CONTROLLERS.items() if wanted.get(name, everything)]
