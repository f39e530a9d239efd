"""Crash at a named point: the process ends, or the power goes, at a chosen step of a chosen write.

Faults at random times rarely strike between the write of a vote and its sync, or in the middle of
the installation of a snapshot. So the disk tells of each step of a write, and the crash waits there
for its moment.
"""

from k8sactors.fabric import Host, Network
from k8sactors.faults.disk import disk_of, start_store
from k8sactors.faults.fault import STORE_ACTOR, Parameters, Targets
from k8sactors.simulation import Random

STEPS = ("before the write", "before the sync", "after the sync")
WRITTEN = (
    "a snapshot",
    "an installed snapshot",
    "a change of members",
    "entries",
    "a vote or a commit",
)
"""As the disk names them; the rarer ones as often as the others."""
MOST_PASSED = 5


class PlannedCrashError(Exception):
    """The process ends here: so it was planned."""


class CrashPoint:
    """Wait for a step of a write on a host, and crash there; power on, or start again, later."""

    kind = "crash-at"

    def draw(self, random: Random, targets: Targets) -> Parameters:
        """Which step of which write, how many of them pass, and whether the power goes with it."""
        return {
            "host": random.choice(targets.store_hosts),
            "step": random.choice(STEPS),
            "of": random.choice(WRITTEN),
            "passed": random.choice((0, random.randint(1, MOST_PASSED))),
            "power": random.choice((False, True)),
        }

    def inject(self, network: Network, parameters: Parameters) -> None:
        """Lie in wait."""
        host = network.host(parameters["host"])
        disk = disk_of(network, host.name)
        if disk is not None:
            disk.on_step = _Trap(host, parameters).step

    def undo(self, network: Network, parameters: Parameters) -> None:
        """Wait no longer; start again what has crashed."""
        host = network.host(parameters["host"])
        disk = disk_of(network, host.name)
        if disk is not None:
            disk.on_step = None
        if not host.up:
            host.restart()
        start_store(host)

    def describe(self, parameters: Parameters) -> str:
        """One line for timelines."""
        how = "power off" if parameters["power"] else "crash"
        after = f" ({parameters['passed']} pass)" if parameters["passed"] else ""
        where = f"{parameters['step']} of {parameters['of']}"
        return f"{how} {parameters['host']} {where}{after}"


class _Trap:
    """What lies in wait on one host."""

    def __init__(self, host: Host, parameters: Parameters) -> None:
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
