"""Loss, delay, duplication and reordering on some links."""

from __future__ import annotations

from itertools import combinations

from k8sactors.fabric import Network
from k8sactors.faults.fault import Fault, Group, Strikes, Targets
from k8sactors.faults.parameters import Hosts, Milliseconds, Parameters, Share
from k8sactors.observe.text import few
from k8sactors.simulation import MILLISECOND, Random


def _draw(random: Random, targets: Targets) -> Parameters:
    """Two or more hosts; severity from barely noticeable to hardly usable."""
    hosts = random.sample(targets.hosts, random.randint(2, max(2, len(targets.hosts) // 2)))
    severity = random.random()
    return {
        "hosts": hosts,
        "delay_ms": round(200 * severity * random.random()),
        "jitter_ms": round(100 * severity * random.random()),
        "loss": round(0.4 * severity * random.random(), 3),
        "duplicate": round(0.3 * severity * random.random(), 3),
        "reorder": round(0.5 * severity * random.random(), 3),
    }


def _inject(network: Network, parameters: Parameters) -> None:
    for a, b in combinations(parameters["hosts"], 2):
        network.degrade(
            a,
            b,
            delay_ns=parameters["delay_ms"] * MILLISECOND,
            jitter_ns=parameters["jitter_ms"] * MILLISECOND,
            loss=parameters["loss"],
            duplicate=parameters["duplicate"],
            reorder=parameters["reorder"],
        )


def _heal(network: Network, parameters: Parameters) -> None:
    """Back to the links' own latency."""
    for a, b in combinations(parameters["hosts"], 2):
        network.degrade(a, b)


def _describe(parameters: Parameters) -> str:
    return (
        f"degrade {few(parameters['hosts'], ',')}: loss {parameters['loss']:.0%}, "
        f"delay {parameters['delay_ms']}+{parameters['jitter_ms']} ms"
    )


FAULT = Fault(
    name="degrade",
    title="make the links among some hosts slow and lossy",
    group=Group.NETWORK,
    strikes=Strikes.LINK,
    parameters={
        "hosts": Hosts("two hosts or more"),
        "delay_ms": Milliseconds("added to the latency", default=0),
        "jitter_ms": Milliseconds("random part of the delay", default=0),
        "loss": Share("share of datagrams lost", default=0.0),
        "duplicate": Share("share of datagrams doubled", default=0.0),
        "reorder": Share("share of datagrams delayed past others", default=0.0),
    },
    draw=_draw,
    inject=_inject,
    heal=_heal,
    describe=_describe,
    common=True,
)
