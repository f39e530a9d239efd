"""Nodes, namespaces and the status of components."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from k8sactors.api import errors, meta
from k8sactors.api.columns import AGE, NAME, NONE, UNKNOWN, Column, Tell, field, value_at
from k8sactors.api.defaulting import cluster as cluster_defaulting
from k8sactors.api.effects import Deletion, Outcome
from k8sactors.api.field_labels import SelectableFields, boolean, texts
from k8sactors.api.kind import ONE_BY_ONE, Kind, Object, Served
from k8sactors.api.strategy import Strategy, carry
from k8sactors.api.validation import cluster as cluster_validation
from k8sactors.api.validation import names


class NodeStrategy(Strategy):
    """Nodes: a kubelet registers with status, so status is kept on create."""

    def prepare_for_update(self, new: Object, old: Object) -> None:
        """Status has its own subresource."""
        carry(new, old, "status")


def _component(tell: Callable[[Object], str]) -> Tell:
    """Something of the condition Healthy; "" without one."""

    def cell(obj: Mapping[str, Any], _now_ns: int) -> str:
        conditions = obj.get("conditions") or ()
        return next((tell(each) for each in conditions if each.get("type") == "Healthy"), "")

    return cell


_COMPONENT = (
    Column("Status", _component(lambda of: "Healthy" if of["status"] == "True" else "Unhealthy")),
    Column("Message", _component(lambda of: str(of.get("message", "")))),
    Column("Error", _component(lambda of: str(of.get("error", "")))),
)

_BEING_EMPTIED = (
    "The system is ensuring all content is removed from this namespace.  Upon completion, this "
    "namespace will automatically be purged by the system."
)


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
        carry(new, old, "spec")

    def decide_deletion(self, obj: Object, finalizers: list[str], wall_ns: int) -> Deletion:
        """A namespace is Terminating until the namespace controller has emptied it."""
        metadata = obj["metadata"]
        held = bool((obj.get("spec") or {}).get("finalizers")) or bool(finalizers)
        if not held:
            return Deletion(Outcome.REMOVE, obj)
        if metadata.get("deletionTimestamp"):
            raise errors.conflict(self.info, metadata["name"], _BEING_EMPTIED)
        updated = {**metadata, "deletionTimestamp": meta.format_time(wall_ns)}
        if finalizers:
            updated["finalizers"] = finalizers
        status = {**(obj.get("status") or {}), "phase": "Terminating"}
        return Deletion(Outcome.MARK, {**obj, "metadata": updated, "status": status})

    def released(self, old: Object, new: Object) -> bool:
        """The finalizers in the specification hold it as those in the metadata do."""
        return super().released(old, new) and not (new.get("spec") or {}).get("finalizers")


_ROLE = "node-role.kubernetes.io/"


def _node_status(node: Mapping[str, Any], _now_ns: int) -> str:
    shown = "Unknown"
    for condition in value_at(node, "status.conditions", ()):
        if condition.get("type") == "Ready":
            shown = "Ready" if condition.get("status") == "True" else "NotReady"
    return f"{shown},SchedulingDisabled" if value_at(node, "spec.unschedulable") else shown


def _roles(node: Mapping[str, Any], _now_ns: int) -> str:
    labels = value_at(node, "metadata.labels", {})
    roles = [label.removeprefix(_ROLE) for label in labels if label.startswith(_ROLE)]
    roles.append(labels.get("kubernetes.io/role", ""))
    return ",".join(sorted(dict.fromkeys(filter(None, roles)))) or NONE


def _address(kind: str) -> Tell:
    def tell(node: Mapping[str, Any], _now_ns: int) -> str:
        for address in value_at(node, "status.addresses", ()):
            if address.get("type") == kind:
                return str(address.get("address", ""))
        return NONE

    return tell


_NODE_COLUMNS = (
    NAME,
    Column("Status", _node_status),
    Column("Roles", _roles),
    AGE,
    field("Version", "status.nodeInfo.kubeletVersion"),
    Column("Internal-IP", _address("InternalIP"), priority=1),
    Column("External-IP", _address("ExternalIP"), priority=1),
    field("OS-Image", "status.nodeInfo.osImage", UNKNOWN, priority=1),
    field("Kernel-Version", "status.nodeInfo.kernelVersion", UNKNOWN, priority=1),
    field("Container-Runtime", "status.nodeInfo.containerRuntimeVersion", UNKNOWN, priority=1),
)


KINDS = (
    Kind(
        kind="Node",
        plural="nodes",
        columns=_NODE_COLUMNS,
        served=(Served("", "v1", default=cluster_defaulting.default_node),),
        namespaced=False,
        subresources=("status", "proxy"),
        short_names=("no",),
        check=cluster_validation.check_node,
        check_update=cluster_validation.check_node_update,
        fields=SelectableFields({"spec.unschedulable": boolean("spec.unschedulable")}),
        strategy=NodeStrategy,
    ),
    Kind(
        kind="Namespace",
        plural="namespaces",
        columns=(NAME, field("Status", "status.phase"), AGE),
        served=(Served("", "v1", default=cluster_defaulting.default_namespace),),
        namespaced=False,
        subresources=("status", "finalize"),
        short_names=("ns",),
        verbs=ONE_BY_ONE,
        initial_status={"phase": "Active"},
        name_rule=names.dns1123_label,
        fields=SelectableFields(texts("status.phase")),
        strategy=NamespaceStrategy,
    ),
    Kind(
        kind="ComponentStatus",
        plural="componentstatuses",
        columns=(NAME, *_COMPONENT),
        served=(Served("", "v1"),),
        namespaced=False,
        short_names=("cs",),
        verbs=("get", "list"),
    ),
)
