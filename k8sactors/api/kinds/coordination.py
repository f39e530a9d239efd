"""Leases (`coordination.k8s.io`)."""

from __future__ import annotations

from k8sactors.api.columns import AGE, NAME, field
from k8sactors.api.kind import Kind, Served
from k8sactors.api.strategy import Strategy
from k8sactors.api.validation import cluster as cluster_validation


class LeaseStrategy(Strategy):
    """Leases: elections depend on the resourceVersion, so every PUT must name one."""

    unconditional_update = False
    create_on_update = True


KINDS = (
    Kind(
        kind="Lease",
        plural="leases",
        columns=(NAME, field("Holder", "spec.holderIdentity"), AGE),
        served=(Served("coordination.k8s.io", "v1"),),
        check=cluster_validation.check_lease,
        strategy=LeaseStrategy,
    ),
)
