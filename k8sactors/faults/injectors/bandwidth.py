"""Little bandwidth: frames queue for a thin line, and datagrams that wait long are lost."""

from __future__ import annotations

import math
from itertools import combinations

from k8sactors.fabric import Network
from k8sactors.faults.fault import Fault, Group, Strikes, Targets
from k8sactors.faults.parameters import Hosts, Integer, Parameters
from k8sactors.observe.text import few
from k8sactors.simulation import Random

FEWEST_BYTES_PER_S = 1_000
RANGE = 1_000


def _draw(random: Random, targets: Targets) -> Parameters:
    """Two or more hosts, a kilobyte to a megabyte per second."""
    hosts = random.sample(targets.hosts, random.randint(2, len(targets.hosts)))
    speed = FEWEST_BYTES_PER_S * math.pow(RANGE, random.random())
    return {"hosts": hosts, "bytes_per_s": round(speed)}


def _inject(network: Network, parameters: Parameters) -> None:
    for a, b in combinations(parameters["hosts"], 2):
        network.throttle(a, b, parameters["bytes_per_s"])


def _heal(network: Network, parameters: Parameters) -> None:
    """No limit."""
    for a, b in combinations(parameters["hosts"], 2):
        network.throttle(a, b)


def _describe(parameters: Parameters) -> str:
    speed = parameters["bytes_per_s"] / 1000
    return f"limit {few(parameters['hosts'], ',')} to {speed:.1f} kB/s"


FAULT = Fault(
    name="bandwidth",
    title="limit the bandwidth among some hosts; datagrams that wait long are lost",
    group=Group.NETWORK,
    strikes=Strikes.LINK,
    parameters={
        "hosts": Hosts("two hosts or more"),
        "bytes_per_s": Integer("bytes per second on each link", least=1),
    },
    draw=_draw,
    inject=_inject,
    heal=_heal,
    describe=_describe,
)
