"""Crash at a named point: the process ends, or the power goes, at a chosen step of a chosen write.

Faults at random times rarely strike between the write of a vote and its sync, or in the middle of
the installation of a snapshot. So the disk tells of each step of a write, and the crash waits there
for its moment.
"""

from __future__ import annotations

from k8sactors.fabric import Host as FabricHost
from k8sactors.fabric import Network
from k8sactors.faults.crashes import STEPS, WRITTEN
from k8sactors.faults.disks import disk_of
from k8sactors.faults.fault import STORE_ACTOR, Fault, Group, Strikes, Targets
from k8sactors.faults.parameters import Choice, Flag, Host, Integer, Parameters
from k8sactors.faults.processes import power_on, start_store
from k8sactors.simulation import Random

MOST_PASSED = 5


class PlannedCrashError(Exception):
    """The process ends here: so it was planned."""


def _draw(random: Random, targets: Targets) -> Parameters:
    """Which step of which write, how many of them pass, and whether the power goes with it."""
    return {
        "host": random.choice(targets.store_hosts),
        "step": random.choice(STEPS),
        "of": random.choice(WRITTEN),
        "passed": random.choice((0, random.randint(1, MOST_PASSED))),
        "power": random.choice((False, True)),
    }


def _inject(network: Network, parameters: Parameters) -> None:
    """Wait for the step."""
    host = network.host(parameters["host"])
    disk = disk_of(network, host.name)
    if disk is not None:
        disk.on_step = _Trap(host, parameters).step


def _heal(network: Network, parameters: Parameters) -> None:
    """Wait no longer; start again what has crashed."""
    host = network.host(parameters["host"])
    disk = disk_of(network, host.name)
    if disk is not None:
        disk.on_step = None
    power_on(host)
    start_store(host)


def _describe(parameters: Parameters) -> str:
    how = "power off" if parameters["power"] else "crash"
    after = f" ({parameters['passed']} pass)" if parameters["passed"] else ""
    where = f"{parameters['step']} of {parameters['of']}"
    return f"{how} {parameters['host']} {where}{after}"


class _Trap:
    """What waits on one host for a step."""

    def __init__(self, host: FabricHost, parameters: Parameters) -> None:
        self._host = host
        self._where = (parameters["step"], parameters["of"])
        self._power = parameters["power"]
        self._left = parameters["passed"]

    def step(self, step: str, what: str) -> None:
        """The disk is at a step of a write."""
        if (step, what) != self._where or self._left < 0:
            return
        self._left -= 1
        if self._left >= 0:
            return
        if self._power:
            self._host.kill()
        else:
            self._host.kill_actor(STORE_ACTOR)
        raise PlannedCrashError(f"{step} of {what}")


FAULT = Fault(
    name="crash-at",
    title="crash a store member at a named point of a write, or cut the power of its host there",
    group=Group.PROCESS,
    strikes=Strikes.ACTOR,
    parameters={
        "host": Host("the store host"),
        "step": Choice("the step of the write", STEPS),
        "of": Choice("what is written", WRITTEN),
        "passed": Integer("how many such writes pass before", default=0),
        "power": Flag("the power of the host goes, not the process alone", default=False),
    },
    draw=_draw,
    inject=_inject,
    heal=_heal,
    describe=_describe,
    crash_causes=(PlannedCrashError.__name__,),
)
