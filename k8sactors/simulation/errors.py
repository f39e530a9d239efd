"""Errors of the simulation.

SimulationError
├── NotRunningError     asked for the current simulation outside `run`
├── StalledError        every task waits and no timer is set: nothing can ever happen again
└── TimerCallbackError  a timer's callback raised; its cause is chained
"""

from __future__ import annotations


class SimulationError(Exception):
    """Root of the simulation's errors."""


class NotRunningError(SimulationError):
    """There is no current simulation: call this from code started by `simulation.run`."""


class StalledError(SimulationError):
    """All tasks wait for each other and no timer is pending, so time cannot move."""


class TimerCallbackError(SimulationError):
    """A timer callback raised. Callbacks must hand work to an actor, not do it."""
