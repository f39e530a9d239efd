"""Faults of the disk on which a store member keeps its log.

What a disk can suffer is the disk's own affair; this module knows the names of its faults only. A
host has its disk from its first boot on: before that there is nothing to break.
"""

from typing import Any

from k8sactors.fabric import Host, Network
from k8sactors.faults.fault import STORE_ACTOR, Parameters, Targets
from k8sactors.simulation import MILLISECOND, Random

DISK = "/var/lib/etcd"


def disk_of(network: Network, name: str) -> Any:
    """The disk of a host, None before its first use."""
    return network.host(name).disk.get(DISK)


class DiskFault:
    """One of the disk's own faults, for a while; whoever stopped because of it is started again."""

    kind = "disk-stall"
    field = "stalled"
    verb = "stall the disk of"

    def draw(self, random: Random, targets: Targets) -> Parameters:
        """The disk of any store host."""
        return {"host": random.choice(targets.store_hosts)}

    def value(self, parameters: Parameters) -> Any:
        """What the disk's field is set to."""
        del parameters
        return True

    def inject(self, network: Network, parameters: Parameters) -> None:
        """Break it."""
        disk = disk_of(network, parameters["host"])
        if disk is not None:
            disk.inject(**{self.field: self.value(parameters)})

    def undo(self, network: Network, parameters: Parameters) -> None:
        """Mend it."""
        host = network.host(parameters["host"])
        disk = disk_of(network, host.name)
        if disk is not None:
            disk.inject(**{self.field: type(self.value(parameters))()})
            start_store(host)

    def describe(self, parameters: Parameters) -> str:
        """One line for timelines."""
        return f"{self.verb} {parameters['host']}"


class DiskLatency(DiskFault):
    """Every sync takes longer."""

    kind = "disk-latency"
    field = "slow_ns"
    verb = "slow the disk of"

    def draw(self, random: Random, targets: Targets) -> Parameters:
        """Up to two seconds: longer than an election."""
        slow_ms = random.choice((10, 100, 500, 2_000))
        return {**super().draw(random, targets), "slow_ms": slow_ms}

    def value(self, parameters: Parameters) -> int:
        """Nanoseconds for each sync."""
        slow_ms: int = parameters["slow_ms"]
        return slow_ms * MILLISECOND

    def describe(self, parameters: Parameters) -> str:
        """One line for timelines."""
        return f"{super().describe(parameters)} by {parameters['slow_ms']} ms"


class DiskFull(DiskFault):
    """ENOSPC: the member stops at its next write and cannot start until there is space."""

    kind = "disk-full"
    field = "full"
    verb = "fill the disk of"


class DiskError(DiskFault):
    """EIO: the member stops at its next write and cannot start until the disk is exchanged."""

    kind = "disk-error"
    field = "broken"
    verb = "break the disk of"


class SyncFailure(DiskFault):
    """One fsync fails: what it was to write is gone, and nobody may believe that it is not."""

    kind = "sync-failure"
    field = "failing_syncs"
    verb = "fail the next sync of"

    def value(self, parameters: Parameters) -> int:
        """One."""
        del parameters
        return 1


class TornWrite:
    """Power fails in the middle of a write: a part of what was not synced is on the disk."""

    kind = "torn-write"

    def draw(self, random: Random, targets: Targets) -> Parameters:
        """Any store host, and where the write is torn."""
        return {"host": random.choice(targets.store_hosts), "torn_seed": random.getrandbits(32)}

    def inject(self, network: Network, parameters: Parameters) -> None:
        """Cut the power; the disk keeps a part of its unsynced tail."""
        host = network.host(parameters["host"])
        disk = disk_of(network, host.name)
        if host.up and disk is not None:
            disk.crash(Random(parameters["torn_seed"]))
        host.kill()

    def undo(self, network: Network, parameters: Parameters) -> None:
        """Power on, unless somebody has."""
        host = network.host(parameters["host"])
        if not host.up:
            host.restart()

    def describe(self, parameters: Parameters) -> str:
        """One line for timelines."""
        return f"power off {parameters['host']} in the middle of a write"


def start_store(host: Host) -> None:
    """Start the store's process where it stopped, unless the host is down."""
    slot = host.slots.get(STORE_ACTOR)
    if host.up and slot is not None and slot.actor is None:
        host.restart_actor(STORE_ACTOR)
