"""Pods, pod templates, replication controllers and bindings."""

from __future__ import annotations

import re

from k8sactors.api import codec
from k8sactors.api.columns import AGE, NAME, Column, containers, integer, labels_text, value_at
from k8sactors.api.columns.pods import COLUMNS as POD_COLUMNS
from k8sactors.api.defaulting import pod as pod_defaulting
from k8sactors.api.defaulting import workloads as workloads_defaulting
from k8sactors.api.defaulting.pod import qos_class
from k8sactors.api.field_labels import SelectableFields, boolean, never, number, texts
from k8sactors.api.kind import ASKED_ONLY, Kind, Object, Served
from k8sactors.api.strategies import ReturnedStrategy, WorkloadStrategy
from k8sactors.api.strategy import INDIVIDUAL_METADATA, ORPHAN, Strategy
from k8sactors.api.validation import pod as pod_validation
from k8sactors.api.validation import workloads as workloads_validation

_POD_FIELDS = frozenset({"apiVersion", "kind", "metadata", "spec", "status"})
_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_NAME_MAX = 253

_GATED = {
    "type": "PodScheduled",
    "status": "False",
    "reason": "SchedulingGated",
    "message": "Scheduling is blocked due to non-empty scheduling gates",
    "lastProbeTime": None,
    "lastTransitionTime": None,
}


class PodStrategy(Strategy):
    """Pods: status starts as Pending, deletion is graceful once a kubelet is involved."""

    has_status = True
    has_generation = True
    returns_deleted = True

    def prepare_for_create(self, obj: Object, now: str) -> None:
        """A new pod is Pending, its quality of service is computed from its containers."""
        super().prepare_for_create(obj, now)
        status: Object = {"phase": "Pending", "qosClass": qos_class(obj)}
        if obj["spec"].get("schedulingGates"):
            # The scheduler never looks at the pod, so the server says why (KEP-3521).
            status["conditions"] = [dict(_GATED)]
        obj["status"] = status

    def signature(self, obj: Object) -> bytes | None:
        """All that the pods of one template have in common: everything but their identity."""
        metadata, spec = obj["metadata"], obj.get("spec")
        if not isinstance(spec, dict) or not _POD_FIELDS.issuperset(obj):
            return None
        name = metadata.get("name")
        if not isinstance(name, str) or len(name) > _NAME_MAX or not _NAME.fullmatch(name):
            return None
        shared = [key for key in metadata if key not in INDIVIDUAL_METADATA]
        return codec.encode_value([[metadata[key] for key in shared], shared, spec])

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


class ReplicationControllerStrategy(WorkloadStrategy):
    """Deleted without a policy, it orphans its pods."""

    default_propagation = ORPHAN
    returns_deleted = True


KINDS = (
    Kind(
        kind="Pod",
        plural="pods",
        columns=POD_COLUMNS,
        served=(Served("", "v1", default=pod_defaulting.default_pod),),
        subresources=(
            "status",
            "binding",
            "eviction",
            "log",
            "exec",
            "attach",
            "portforward",
            "proxy",
            "ephemeralcontainers",
            "resize",
        ),
        short_names=("po",),
        categories=("all",),
        initial_status={"phase": "Pending"},
        check=pod_validation.check_pod,
        check_update=pod_validation.check_pod_update,
        fields=SelectableFields(
            {
                **texts(
                    "spec.nodeName",
                    "spec.restartPolicy",
                    "spec.schedulerName",
                    "spec.serviceAccountName",
                    "status.phase",
                    "status.podIP",
                    "status.nominatedNodeName",
                ),
                "spec.hostNetwork": boolean("spec.hostNetwork"),
                "status.podIPs": never,
            },
            trigger="spec.nodeName",
        ),
        strategy=PodStrategy,
    ),
    Kind(
        kind="ReplicationController",
        plural="replicationcontrollers",
        columns=(
            NAME,
            integer("Desired", "spec.replicas"),
            integer("Current", "status.replicas"),
            integer("Ready", "status.readyReplicas"),
            AGE,
            *containers("spec.template.spec"),
            Column(
                "Selector", lambda obj, _: labels_text(value_at(obj, "spec.selector")), priority=1
            ),
        ),
        served=(Served("", "v1", default=workloads_defaulting.default_replication_controller),),
        subresources=("status", "scale"),
        short_names=("rc",),
        categories=("all",),
        initial_status={"replicas": 0},
        check=workloads_validation.check_replication_controller,
        fields=SelectableFields({"status.replicas": number("status.replicas")}),
        strategy=ReplicationControllerStrategy,
    ),
    Kind(
        kind="PodTemplate",
        plural="podtemplates",
        columns=(
            NAME,
            *containers("template.spec", priority=0),
            Column(
                "Pod Labels", lambda obj, _: labels_text(value_at(obj, "template.metadata.labels"))
            ),
        ),
        served=(Served("", "v1", default=pod_defaulting.default_pod_template_object),),
        check=pod_validation.check_pod_template,
        strategy=ReturnedStrategy,
    ),
    Kind(
        kind="Binding",
        plural="bindings",
        served=(Served("", "v1"),),
        verbs=ASKED_ONLY,
    ),
)
