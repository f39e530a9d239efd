"""RuntimeClasses (`node.k8s.io`)."""

from __future__ import annotations

from k8sactors.api.columns import AGE, NAME, field
from k8sactors.api.kind import Kind, Served
from k8sactors.api.validation import cluster as cluster_validation

KINDS = (
    Kind(
        kind="RuntimeClass",
        plural="runtimeclasses",
        columns=(NAME, field("Handler", "handler"), AGE),
        served=(Served("node.k8s.io", "v1"),),
        namespaced=False,
        check=cluster_validation.check_runtime_class,
        check_update=cluster_validation.check_runtime_class_update,
    ),
)
