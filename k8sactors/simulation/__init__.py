"""Time, chance, order and the trace: what makes a run repeat byte for byte."""

from k8sactors.simulation.clock import (
    EPOCH_NS,
    MICROSECOND,
    MILLISECOND,
    SECOND,
    RealClock,
    VirtualClock,
)
from k8sactors.simulation.errors import (
    NotRunningError,
    SimulationError,
    StalledError,
    TimerCallbackError,
)
from k8sactors.simulation.groups import sole_cause, unwrap_groups
from k8sactors.simulation.runner import Simulation, current, run
from k8sactors.simulation.streams import Random, named_stream
from k8sactors.simulation.timers import Timer, TimerQueue
from k8sactors.simulation.trace import Trace

__all__ = [
    "EPOCH_NS",
    "MICROSECOND",
    "MILLISECOND",
    "SECOND",
    "NotRunningError",
    "Random",
    "RealClock",
    "Simulation",
    "SimulationError",
    "StalledError",
    "Timer",
    "TimerCallbackError",
    "TimerQueue",
    "Trace",
    "VirtualClock",
    "current",
    "named_stream",
    "run",
    "sole_cause",
    "unwrap_groups",
]
