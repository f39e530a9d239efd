"""What injectors of hosts and processes share: kill, start, power off, power on."""

from __future__ import annotations

import math

from k8sactors.fabric import Host, Network
from k8sactors.faults.fault import STORE_ACTOR
from k8sactors.faults.parameters import Parameters
from k8sactors.simulation import Random

SHORTEST_REIGN_MS = 10
REIGN_RANGE = 200


def kill_actor(network: Network, parameters: Parameters) -> None:
    """Kill one process, if the host has it."""
    host = network.host(parameters["host"])
    if parameters["actor"] in host.slots:
        host.kill_actor(parameters["actor"])


def start_actor(network: Network, parameters: Parameters) -> None:
    """Start a process unless its host is down (the boot will), it runs, or it has moved."""
    host, actor = network.host(parameters["host"]), parameters["actor"]
    if host.up and actor in host.slots and host.actor(actor) is None:
        host.restart_actor(actor)


def start_store(host: Host) -> None:
    """Start the store's process where it stopped, unless the host is down."""
    slot = host.slots.get(STORE_ACTOR)
    if host.up and slot is not None and slot.actor is None:
        host.restart_actor(STORE_ACTOR)


def power_on(host: Host) -> None:
    """Power on, unless the host is up."""
    if not host.up:
        host.restart()


def pause(network: Network, parameters: Parameters) -> None:
    """Freeze a host."""
    network.host(parameters["host"]).pause()


def resume(network: Network, parameters: Parameters) -> None:
    """Let a host run again."""
    network.host(parameters["host"]).resume()


def draw_reign_ms(random: Random) -> int:
    """How long a new leader may lead: every order of magnitude is as likely."""
    return round(SHORTEST_REIGN_MS * math.pow(REIGN_RANGE, random.random()))
