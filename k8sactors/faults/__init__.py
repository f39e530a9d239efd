"""The fault catalogue: one injector per file, and the plan that schedules them."""

from k8sactors.faults.errors import FaultError, UnknownFaultError
from k8sactors.faults.fault import Injector, Targets
from k8sactors.faults.plan import (
    CATALOGUE,
    DEFAULT_KINDS,
    DEFAULT_PACE,
    OF_CLUSTERS,
    SEQUENCES,
    Pace,
    PlannedFault,
    check_kinds,
    draw_faults,
    draw_plan,
    heal_everything,
    schedule_plan,
)

__all__ = [
    "CATALOGUE",
    "DEFAULT_KINDS",
    "DEFAULT_PACE",
    "OF_CLUSTERS",
    "SEQUENCES",
    "FaultError",
    "Injector",
    "Pace",
    "PlannedFault",
    "Targets",
    "UnknownFaultError",
    "check_kinds",
    "draw_faults",
    "draw_plan",
    "heal_everything",
    "schedule_plan",
]
