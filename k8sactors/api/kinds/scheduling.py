"""PriorityClasses (`scheduling.k8s.io`)."""

from __future__ import annotations

from k8sactors.api.columns import AGE, NAME, boolean, field, integer
from k8sactors.api.defaulting import cluster as cluster_defaulting
from k8sactors.api.kind import Kind, Served
from k8sactors.api.validation import cluster as cluster_validation

KINDS = (
    Kind(
        kind="PriorityClass",
        plural="priorityclasses",
        columns=(
            NAME,
            integer("Value", "value"),
            boolean("Global-Default", "globalDefault"),
            AGE,
            field("PreemptionPolicy", "preemptionPolicy"),
        ),
        served=(
            Served("scheduling.k8s.io", "v1", default=cluster_defaulting.default_priority_class),
        ),
        namespaced=False,
        short_names=("pc",),
        check=cluster_validation.check_priority_class,
        check_update=cluster_validation.check_priority_class_update,
    ),
)
