"""Disruption budgets (`policy`)."""

from __future__ import annotations

from k8sactors.api.columns import AGE, NAME, Column, integer, value_at
from k8sactors.api.kind import Kind, Served
from k8sactors.api.strategies import WorkloadStrategy
from k8sactors.api.validation import workloads as workloads_validation


class BudgetStrategy(WorkloadStrategy):
    """Disruption budgets: no unconditional update."""

    unconditional_update = False


KINDS = (
    Kind(
        kind="PodDisruptionBudget",
        plural="poddisruptionbudgets",
        columns=(
            NAME,
            Column("Min Available", lambda obj, _: str(value_at(obj, "spec.minAvailable", "N/A"))),
            Column(
                "Max Unavailable", lambda obj, _: str(value_at(obj, "spec.maxUnavailable", "N/A"))
            ),
            integer("Allowed Disruptions", "status.disruptionsAllowed"),
            AGE,
        ),
        served=(Served("policy", "v1"),),
        subresources=("status",),
        short_names=("pdb",),
        initial_status={
            "disruptionsAllowed": 0,
            "currentHealthy": 0,
            "desiredHealthy": 0,
            "expectedPods": 0,
        },
        check=workloads_validation.check_disruption_budget,
        strategy=BudgetStrategy,
    ),
)
