"""Time, chance, order and the trace: what makes a run repeat byte for byte."""

from __future__ import annotations

from k8sactors.simulation.catching_up import CatchingUpClock
from k8sactors.simulation.clock import (
    EPOCH_NS,
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
from k8sactors.simulation.host_clock import HostClock
from k8sactors.simulation.runner import Simulation, current, run
from k8sactors.simulation.streams import Random, named_stream
from k8sactors.simulation.timers import ScheduledTimer, TimerQueue
from k8sactors.simulation.trace import Trace
from raftstore.clock import Clock, Timer
from raftstore.units import MICROSECOND, MILLISECOND, SECOND

__all__ = [
    "EPOCH_NS",
    "MICROSECOND",
    "MILLISECOND",
    "SECOND",
    "CatchingUpClock",
    "Clock",
    "HostClock",
    "NotRunningError",
    "Random",
    "RealClock",
    "ScheduledTimer",
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
