"""What injectors of disks share.

What a disk can suffer is defined by the disk; here its faults are known by name only. A host has
its disk from its first boot on: before that there is nothing to break.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from k8sactors.fabric import Network
from k8sactors.faults.fault import Fault, Group, Strikes, Targets
from k8sactors.faults.parameters import Host, Parameter, Parameters
from k8sactors.faults.processes import start_store
from k8sactors.simulation import Random

DISK = "/var/lib/etcd"
DISK_FAILED = "DiskFailedError"
"""How a member tells that its disk failed: it must stop."""
DISK_ROTTEN = "CorruptWalError"
"""How a member tells that its disk has changed: it must not start."""


def disk_of(network: Network, name: str) -> Any:
    """The disk of a host, None before its first use."""
    return network.host(name).disk.get(DISK)


def draw_store_host(random: Random, targets: Targets) -> Parameters:
    """Any store host."""
    return {"host": random.choice(targets.store_hosts)}


def disk_fault(
    name: str,
    title: str,
    field: str,
    verb: str,
    value: Callable[[Parameters], Any],
    *,
    draw: Callable[[Random, Targets], Parameters] = draw_store_host,
    severity: dict[str, Parameter] | None = None,
    describe: Callable[[Parameters], str] | None = None,
) -> Fault:
    """A fault that sets one field of the disk for a while; a member that stopped starts again.

    Args:
        name: the fault's.
        title: what happens.
        field: of the disk's faults.
        verb: for timelines, before the host.
        value: what the field is set to.
        draw: chooses the disk and the severity.
        severity: parameters next to the host.
        describe: one line for timelines, if the verb and the host are not enough.
    """
    return Fault(
        name=name,
        title=title,
        group=Group.DISK,
        strikes=Strikes.DISK,
        parameters={"host": Host("the store host"), **(severity or {})},
        draw=draw,
        inject=partial(_break, field, value),
        heal=partial(_mend, field, value),
        describe=describe or partial(_describe, verb),
        crash_causes=(DISK_FAILED,),
    )


def _break(
    field: str, value: Callable[[Parameters], Any], network: Network, parameters: Parameters
) -> None:
    disk = disk_of(network, parameters["host"])
    if disk is not None:
        disk.inject(**{field: value(parameters)})


def _mend(
    field: str, value: Callable[[Parameters], Any], network: Network, parameters: Parameters
) -> None:
    host = network.host(parameters["host"])
    disk = disk_of(network, host.name)
    if disk is not None:
        disk.inject(**{field: type(value(parameters))()})
        start_store(host)


def _describe(verb: str, parameters: Parameters) -> str:
    return f"{verb} {parameters['host']}"
