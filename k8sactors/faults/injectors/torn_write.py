"""Torn write: power fails in the middle of a write; a part of it is on the disk."""

from __future__ import annotations

from k8sactors.fabric import Network
from k8sactors.faults.disks import disk_of
from k8sactors.faults.fault import Fault, Group, Strikes, Targets
from k8sactors.faults.parameters import Host, Integer, Parameters
from k8sactors.faults.processes import power_on
from k8sactors.simulation import Random


def _draw(random: Random, targets: Targets) -> Parameters:
    """Any store host, and where the write is torn."""
    return {"host": random.choice(targets.store_hosts), "torn_seed": random.getrandbits(32)}


def _inject(network: Network, parameters: Parameters) -> None:
    """Cut the power; the disk keeps a part of its unsynced tail."""
    host = network.host(parameters["host"])
    disk = disk_of(network, host.name)
    if host.up and disk is not None:
        disk.crash(Random(parameters["torn_seed"]))
    host.kill()


def _heal(network: Network, parameters: Parameters) -> None:
    power_on(network.host(parameters["host"]))


FAULT = Fault(
    name="torn-write",
    title="power off a store host in the middle of a write; a part of it is on the disk",
    group=Group.DISK,
    strikes=Strikes.DISK,
    parameters={
        "host": Host("the store host"),
        "torn_seed": Integer("decides where the write is torn", default=0),
    },
    draw=_draw,
    inject=_inject,
    heal=_heal,
    describe=lambda parameters: f"power off {parameters['host']} in the middle of a write",
)
