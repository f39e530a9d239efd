"""The plugins that come with the scheduler, one per file, and the default profile."""

from k8sactors.scheduler.framework.profile import PluginEntry, PluginFactory, Profile
from k8sactors.scheduler.plugins.balanced_allocation import NodeResourcesBalancedAllocation
from k8sactors.scheduler.plugins.default_binder import DefaultBinder
from k8sactors.scheduler.plugins.default_preemption import DefaultPreemption
from k8sactors.scheduler.plugins.node_affinity import NodeAffinity
from k8sactors.scheduler.plugins.node_name import NodeName
from k8sactors.scheduler.plugins.node_ports import NodePorts
from k8sactors.scheduler.plugins.node_resources_fit import NodeResourcesFit
from k8sactors.scheduler.plugins.node_unschedulable import NodeUnschedulable
from k8sactors.scheduler.plugins.priority_sort import PrioritySort
from k8sactors.scheduler.plugins.scheduling_gates import SchedulingGates
from k8sactors.scheduler.plugins.taint_toleration import TaintToleration

__all__ = ["REGISTRY", "default_profile"]

REGISTRY: dict[str, PluginFactory] = {
    SchedulingGates.name: lambda _: SchedulingGates(),
    PrioritySort.name: lambda _: PrioritySort(),
    NodeUnschedulable.name: lambda _: NodeUnschedulable(),
    NodeName.name: lambda _: NodeName(),
    TaintToleration.name: lambda _: TaintToleration(),
    NodeAffinity.name: lambda _: NodeAffinity(),
    NodePorts.name: lambda _: NodePorts(),
    NodeResourcesFit.name: lambda _: NodeResourcesFit(),
    DefaultPreemption.name: DefaultPreemption,
    NodeResourcesBalancedAllocation.name: lambda _: NodeResourcesBalancedAllocation(),
    DefaultBinder.name: DefaultBinder,
}
"""In the order in which the real default profile runs them."""

_WEIGHTS = {TaintToleration.name: 3, NodeAffinity.name: 2}


def default_profile() -> Profile:
    """The plugins and weights of kube-scheduler's default profile."""
    return Profile(
        plugins=tuple(
            PluginEntry(name, factory, _WEIGHTS.get(name, 1)) for name, factory in REGISTRY.items()
        )
    )
