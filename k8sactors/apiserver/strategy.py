"""What a kind does beyond the generic rules when its objects are written: the strategies.

As in the real registry, each kind has a strategy (prepare_for_create, prepare_for_update, graceful
deletion) and a few switches. Strategies may set fields at the top of `new` and in its metadata: the
registry hands them copies of these two levels. Everything below is shared and must be replaced, not
changed.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

from k8sactors.api import defaulting
from k8sactors.api.scheme import ResourceInfo

Object = dict[str, Any]

BACKGROUND = "Background"
FOREGROUND = "Foreground"
ORPHAN = "Orphan"


class Strategy:
    """The behaviour of an ordinary kind."""

    # Whether status is reset on create and kept on update (the kind has a status subresource).
    has_status: ClassVar[bool] = False
    # Whether metadata.generation counts changes of the specification.
    has_generation: ClassVar[bool] = False
    # PUT without resourceVersion replaces whatever is there.
    unconditional_update: ClassVar[bool] = True
    # PUT of a missing object creates it.
    create_on_update: ClassVar[bool] = False
    # DELETE answers with the object, not with a Status.
    returns_deleted: ClassVar[bool] = False
    default_propagation: ClassVar[str] = BACKGROUND
    # A status update leaves labels alone.
    status_keeps_labels: ClassVar[bool] = False

    def __init__(self, info: ResourceInfo) -> None:
        self.info = info

    def prepare_for_create(self, obj: Object, now: str) -> None:
        """Set what a new object must have. `now` is the time as metadata carries it."""
        del now
        if self.has_status:
            obj.pop("status", None)
            status = defaulting.initial_status(self.info.api_version, self.info.kind)
            if status is not None:
                obj["status"] = status
        if self.has_generation:
            obj["metadata"]["generation"] = 1

    def prepare_for_update(self, new: Object, old: Object) -> None:
        """Carry over what an update of the object itself may not change."""
        if self.has_status:
            _carry(new, old, "status")
        if self.has_generation:
            self._count_generation(new, old)

    def prepare_for_status_update(self, new: Object, old: Object) -> None:
        """Keep all but status (and metadata that controllers may set)."""
        _carry(new, old, "spec")
        metadata, before = new["metadata"], old["metadata"]
        _carry(metadata, before, "ownerReferences")
        _carry(metadata, before, "generation")
        if self.status_keeps_labels:
            _carry(metadata, before, "labels")

    def grace_period(self, obj: Object, requested: int | None) -> int:
        """Seconds between marking and removing; 0 removes at once."""
        del obj, requested
        return 0

    def spec_changed(self, new: Object, old: Object) -> bool:
        """Whether the change counts as a new generation."""
        return bool(new.get("spec") != old.get("spec"))

    def _count_generation(self, new: Object, old: Object) -> None:
        generation = old["metadata"].get("generation", 0)
        new["metadata"]["generation"] = generation + self.spec_changed(new, old)


def _carry(new: Object, old: Object, field: str) -> None:
    if field in old:
        new[field] = old[field]
    else:
        new.pop(field, None)


class StatusStrategy(Strategy):
    """A kind with a status subresource."""

    has_status = True


class WorkloadStrategy(Strategy):
    """A kind with status and generation."""

    has_status = True
    has_generation = True


class DeploymentStrategy(WorkloadStrategy):
    """A deployment: its annotations count as specification."""

    status_keeps_labels = True

    def spec_changed(self, new: Object, old: Object) -> bool:
        """Annotations are copied to replica sets, so they belong to the generation."""
        before, after = old["metadata"].get("annotations"), new["metadata"].get("annotations")
        return super().spec_changed(new, old) or (before or {}) != (after or {})


class ReplicationControllerStrategy(WorkloadStrategy):
    """Deleted without a policy, it orphans its pods."""

    default_propagation = ORPHAN
    returns_deleted = True


class PodStrategy(Strategy):
    """Pods: status starts as Pending, deletion is graceful once a kubelet is involved."""

    has_status = True
    has_generation = True
    returns_deleted = True

    def prepare_for_create(self, obj: Object, now: str) -> None:
        """A new pod is Pending, its quality of service is computed from its containers."""
        super().prepare_for_create(obj, now)
        obj["status"] = {"phase": "Pending", "qosClass": defaulting.qos_class(obj)}

    def grace_period(self, obj: Object, requested: int | None) -> int:
        """Requested or own grace; none without a node, or when the pod has ended."""
        spec = obj["spec"]
        period = requested if requested is not None else spec.get("terminationGracePeriodSeconds")
        if not spec.get("nodeName"):
            return 0
        if (obj.get("status") or {}).get("phase") in {"Succeeded", "Failed"}:
            return 0
        if period is None:
            return 30
        return 1 if period < 0 else int(period)


class NamespaceStrategy(Strategy):
    """Namespaces: Active, with a finalizer in the specification until their content is gone."""

    has_status = True

    def prepare_for_create(self, obj: Object, now: str) -> None:
        """The namespace controller must finalize it before it goes."""
        del now
        spec = dict(obj.get("spec") or {})
        finalizers = list(spec.get("finalizers") or ())
        if "kubernetes" not in finalizers:
            finalizers.append("kubernetes")
        spec["finalizers"] = finalizers
        obj["spec"] = spec
        obj["status"] = {"phase": "Active"}
        metadata = obj["metadata"]
        labels = metadata.get("labels") or {}
        if "name" in metadata:
            metadata["labels"] = {**labels, "kubernetes.io/metadata.name": metadata["name"]}

    def prepare_for_update(self, new: Object, old: Object) -> None:
        """Finalizers change through the finalize subresource only."""
        super().prepare_for_update(new, old)
        _carry(new, old, "spec")


class ServiceStrategy(StatusStrategy):
    """Services; their addresses are given out by `services`."""

    create_on_update = True
    returns_deleted = True

    def prepare_for_update(self, new: Object, old: Object) -> None:
        """What belonged to the old type goes with it, unless the client has changed it."""
        super().prepare_for_update(new, old)
        before, spec = old.get("spec") or {}, new.get("spec") or {}
        kind = spec.get("type")
        if kind == before.get("type"):
            return
        fields: list[str] = []
        if kind == "ExternalName":
            fields += ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"]
            fields += ["internalTrafficPolicy"]
        if kind not in EXTERNAL_TYPES:
            fields += ["externalTrafficPolicy", "healthCheckNodePort"]
        dropped = {field for field in fields if spec.get(field) == before.get(field)}
        kept = {field: value for field, value in spec.items() if field not in dropped}
        if kind not in EXTERNAL_TYPES and spec.get("ports"):
            kept["ports"] = _without_node_ports(spec["ports"], before.get("ports") or ())
        new["spec"] = kept


EXTERNAL_TYPES = frozenset({"NodePort", "LoadBalancer"})


def _without_node_ports(ports: list[Object], before: Iterable[Object]) -> list[Object]:
    """The ports without the numbers that the Service was given."""
    given = [port.get("nodePort") for port in before]
    return [
        {field: value for field, value in port.items() if field != "nodePort"}
        if port.get("nodePort") in given
        else port
        for port in ports
    ]


class ReturnedStrategy(StatusStrategy):
    """A kind whose DELETE answers with the object."""

    returns_deleted = True


class NodeStrategy(Strategy):
    """Nodes: a kubelet registers with status, so status is kept on create."""

    def prepare_for_update(self, new: Object, old: Object) -> None:
        """Status has its own subresource."""
        _carry(new, old, "status")


class LeaseStrategy(Strategy):
    """Leases: elections depend on the resourceVersion, so every PUT must name one."""

    unconditional_update = False
    create_on_update = True


class CreatedByUpdateStrategy(Strategy):
    """A kind that PUT may create."""

    create_on_update = True


class BudgetStrategy(WorkloadStrategy):
    """Disruption budgets: no unconditional update."""

    unconditional_update = False


class SpecStrategy(Strategy):
    """A kind with generation and no status subresource."""

    has_generation = True


_STRATEGIES: dict[str, type[Strategy]] = {
    "pods": PodStrategy,
    "nodes": NodeStrategy,
    "namespaces": NamespaceStrategy,
    "services": ServiceStrategy,
    "endpoints": CreatedByUpdateStrategy,
    "events": CreatedByUpdateStrategy,
    "events.events.k8s.io": CreatedByUpdateStrategy,
    "serviceaccounts": ReturnedStrategy,
    "persistentvolumes": ReturnedStrategy,
    "persistentvolumeclaims": ReturnedStrategy,
    "resourcequotas": ReturnedStrategy,
    "podtemplates": ReturnedStrategy,
    "limitranges": CreatedByUpdateStrategy,
    "replicationcontrollers": ReplicationControllerStrategy,
    "deployments.apps": DeploymentStrategy,
    "replicasets.apps": WorkloadStrategy,
    "statefulsets.apps": WorkloadStrategy,
    "daemonsets.apps": WorkloadStrategy,
    "jobs.batch": WorkloadStrategy,
    "cronjobs.batch": WorkloadStrategy,
    "ingresses.networking.k8s.io": WorkloadStrategy,
    "networkpolicies.networking.k8s.io": SpecStrategy,
    "poddisruptionbudgets.policy": BudgetStrategy,
    "leases.coordination.k8s.io": LeaseStrategy,
    "endpointslices.discovery.k8s.io": SpecStrategy,
    "roles.rbac.authorization.k8s.io": CreatedByUpdateStrategy,
    "rolebindings.rbac.authorization.k8s.io": CreatedByUpdateStrategy,
    "clusterroles.rbac.authorization.k8s.io": CreatedByUpdateStrategy,
    "clusterrolebindings.rbac.authorization.k8s.io": CreatedByUpdateStrategy,
}


def strategy_of(info: ResourceInfo) -> Strategy:
    """The strategy of a kind."""
    chosen = _STRATEGIES.get(info.name)
    if chosen is None:
        chosen = StatusStrategy if "status" in info.subresources else Strategy
    return chosen(info)
