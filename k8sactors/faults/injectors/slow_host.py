"""A slow host: starved of processor time, it runs in bursts."""

from __future__ import annotations

from k8sactors.fabric import Network
from k8sactors.faults.fault import Fault, Group, Strikes, Targets
from k8sactors.faults.parameters import Host, Milliseconds, Parameters
from k8sactors.simulation import MILLISECOND, Random


def _draw(random: Random, targets: Targets) -> Parameters:
    """From barely noticeable to hardly alive."""
    run_ms = random.randint(1, 50)
    stall_ms = random.randint(10, 600)
    return {"host": random.choice(targets.hosts), "run_ms": run_ms, "stall_ms": stall_ms}


def _inject(network: Network, parameters: Parameters) -> None:
    run_ns, stall_ns = (parameters[key] * MILLISECOND for key in ("run_ms", "stall_ms"))
    network.host(parameters["host"]).stutter(run_ns, stall_ns)


def _heal(network: Network, parameters: Parameters) -> None:
    network.host(parameters["host"]).run_smoothly()


def _describe(parameters: Parameters) -> str:
    run_ms, stall_ms = parameters["run_ms"], parameters["stall_ms"]
    return f"slow {parameters['host']}: runs {run_ms} ms, stalls {stall_ms} ms"


FAULT = Fault(
    name="slow-host",
    title="let a host run for a moment, stand still for a longer one, and so on",
    group=Group.PROCESS,
    strikes=Strikes.HOST,
    parameters={
        "host": Host("the host"),
        "run_ms": Milliseconds("how long it runs", least=1, default=10),
        "stall_ms": Milliseconds("how long it then stands still", least=1, default=200),
    },
    draw=_draw,
    inject=_inject,
    heal=_heal,
    describe=_describe,
)
