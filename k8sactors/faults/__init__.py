"""The fault catalogue: one injector per file, and the plan that schedules them.

`injectors` holds one module per fault; `catalogue` finds them; `plan` draws a schedule from a seed;
`strike` carries it out and heals. `links`, `processes`, `disks`, `clocks`, `crashes` and `orders`
hold what injectors of one sort share; injectors do not know each other.
"""

from __future__ import annotations

from k8sactors.faults.catalogue import (
    FAULTS,
    cluster_faults,
    common_faults,
    fault_named,
    faults_of_groups,
)
from k8sactors.faults.errors import BadParametersError, FaultError, UnknownFaultError
from k8sactors.faults.fault import Fault, Group, Strikes, Targets
from k8sactors.faults.plan import (
    DEFAULT_PACE,
    Pace,
    PlannedFault,
    check_kinds,
    draw_faults,
    draw_plan,
    unfolded,
)
from k8sactors.faults.strike import Strike, heal_everything, schedule_plan

__all__ = [
    "DEFAULT_PACE",
    "FAULTS",
    "BadParametersError",
    "Fault",
    "FaultError",
    "Group",
    "Pace",
    "PlannedFault",
    "Strike",
    "Strikes",
    "Targets",
    "UnknownFaultError",
    "check_kinds",
    "cluster_faults",
    "common_faults",
    "draw_faults",
    "draw_plan",
    "fault_named",
    "faults_of_groups",
    "heal_everything",
    "schedule_plan",
    "unfolded",
]
