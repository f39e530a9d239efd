"""CustomResourceDefinitions (`apiextensions.k8s.io`)."""

from __future__ import annotations

from k8sactors.api.defaulting import cluster as cluster_defaulting
from k8sactors.api.kind import Kind, Served

KINDS = (
    Kind(
        kind="CustomResourceDefinition",
        plural="customresourcedefinitions",
        categories=("api-extensions",),
        served=(
            Served("apiextensions.k8s.io", "v1", default=cluster_defaulting.default_definition),
        ),
        namespaced=False,
        subresources=("status",),
        short_names=("crd", "crds"),
    ),
)
