"""Workloads that keep pods running (`apps`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from k8sactors.api.columns import (
    AGE,
    NAME,
    NONE,
    Column,
    containers,
    field,
    integer,
    labels_text,
    ready_of,
    selector,
    value_at,
)
from k8sactors.api.defaulting import workloads as workloads_defaulting
from k8sactors.api.field_labels import SelectableFields, number
from k8sactors.api.kind import Kind, Object, Served
from k8sactors.api.strategies import WorkloadStrategy
from k8sactors.api.validation import workloads as workloads_validation


class DeploymentStrategy(WorkloadStrategy):
    """A deployment: its annotations count as specification."""

    status_keeps_labels = True

    def spec_changed(self, new: Object, old: Object) -> bool:
        """Annotations are copied to replica sets, so they belong to the generation."""
        before, after = old["metadata"].get("annotations"), new["metadata"].get("annotations")
        return super().spec_changed(new, old) or (before or {}) != (after or {})


class DaemonSetStrategy(WorkloadStrategy):
    """A DaemonSet counts the generations of its template in an annotation, as it always has."""

    def prepare_for_create(self, obj: Object, now: str) -> None:
        """The first template."""
        super().prepare_for_create(obj, now)
        _count_templates(obj, 1)

    def prepare_for_update(self, new: Object, old: Object) -> None:
        """A changed template is the next one."""
        super().prepare_for_update(new, old)
        before = (old["metadata"].get("annotations") or {}).get(TEMPLATE_GENERATION, "1")
        changed = value_at(new, "spec.template") != value_at(old, "spec.template")
        _count_templates(new, (int(before) if before.isdecimal() else 1) + changed)


TEMPLATE_GENERATION = "deprecated.daemonset.template.generation"


def _count_templates(obj: Object, generation: int) -> None:
    metadata = obj["metadata"]
    annotations = metadata.get("annotations") or {}
    metadata["annotations"] = {**annotations, TEMPLATE_GENERATION: str(generation)}


_TEMPLATE = "spec.template.spec"


def _controller(obj: Mapping[str, Any], _now_ns: int) -> str:
    for owner in value_at(obj, "metadata.ownerReferences", ()):
        if owner.get("controller"):
            group, slash, _ = owner["apiVersion"].partition("/")
            kind = owner["kind"].lower()
            return f"{kind}.{group}/{owner['name']}" if slash else f"{kind}/{owner['name']}"
    return NONE


KINDS = (
    Kind(
        kind="Deployment",
        plural="deployments",
        columns=(
            NAME,
            Column("Ready", ready_of),
            field("Up-to-date", "status.updatedReplicas", 0),
            field("Available", "status.availableReplicas", 0),
            AGE,
            *containers(_TEMPLATE),
            selector("spec.selector"),
        ),
        served=(Served("apps", "v1", default=workloads_defaulting.default_deployment),),
        subresources=("status", "scale"),
        short_names=("deploy",),
        categories=("all",),
        initial_status={},
        check=workloads_validation.check_deployment,
        check_update=workloads_validation.check_selector_update,
        strategy=DeploymentStrategy,
    ),
    Kind(
        kind="ReplicaSet",
        plural="replicasets",
        columns=(
            NAME,
            integer("Desired", "spec.replicas"),
            integer("Current", "status.replicas"),
            integer("Ready", "status.readyReplicas"),
            AGE,
            *containers(_TEMPLATE),
            selector("spec.selector"),
        ),
        served=(Served("apps", "v1", default=workloads_defaulting.default_replica_set),),
        subresources=("status", "scale"),
        short_names=("rs",),
        categories=("all",),
        initial_status={"replicas": 0},
        check=workloads_validation.check_replica_set,
        check_update=workloads_validation.check_selector_update,
        fields=SelectableFields({"status.replicas": number("status.replicas")}),
        strategy=WorkloadStrategy,
    ),
    Kind(
        kind="StatefulSet",
        plural="statefulsets",
        columns=(NAME, Column("Ready", ready_of), AGE, *containers(_TEMPLATE)),
        served=(Served("apps", "v1", default=workloads_defaulting.default_stateful_set),),
        subresources=("status", "scale"),
        short_names=("sts",),
        categories=("all",),
        initial_status={"replicas": 0, "availableReplicas": 0},
        check=workloads_validation.check_stateful_set,
        check_update=workloads_validation.check_stateful_set_update,
        strategy=WorkloadStrategy,
    ),
    Kind(
        kind="DaemonSet",
        plural="daemonsets",
        columns=(
            NAME,
            integer("Desired", "status.desiredNumberScheduled"),
            integer("Current", "status.currentNumberScheduled"),
            integer("Ready", "status.numberReady"),
            integer("Up-to-date", "status.updatedNumberScheduled"),
            integer("Available", "status.numberAvailable"),
            Column(
                "Node Selector",
                lambda obj, _: labels_text(value_at(obj, f"{_TEMPLATE}.nodeSelector")),
            ),
            AGE,
            *containers(_TEMPLATE),
            selector("spec.selector"),
        ),
        served=(Served("apps", "v1", default=workloads_defaulting.default_daemon_set),),
        subresources=("status",),
        short_names=("ds",),
        categories=("all",),
        initial_status={
            "currentNumberScheduled": 0,
            "numberMisscheduled": 0,
            "desiredNumberScheduled": 0,
            "numberReady": 0,
        },
        check=workloads_validation.check_daemon_set,
        check_update=workloads_validation.check_selector_update,
        strategy=DaemonSetStrategy,
    ),
    Kind(
        kind="ControllerRevision",
        plural="controllerrevisions",
        columns=(NAME, Column("Controller", _controller), field("Revision", "revision", 0), AGE),
        served=(Served("apps", "v1"),),
    ),
)
