"""Rolling restart: every member is restarted in turn, as in an upgrade, patiently or not."""

from __future__ import annotations

from collections.abc import Iterator

from k8sactors.faults.fault import STORE_ACTOR, Fault, Group, Part, Strikes, Targets
from k8sactors.faults.parameters import Hosts, Parameters
from k8sactors.observe.text import few
from k8sactors.simulation import Random


def _draw(random: Random, targets: Targets) -> Parameters:
    """All store hosts in some order."""
    return {"hosts": random.sample(targets.store_hosts, len(targets.store_hosts))}


def _unfold(
    random: Random, _targets: Targets, parameters: Parameters, at_ms: int, duration_ms: int
) -> Iterator[Part]:
    hosts = parameters["hosts"]
    step_ms = max(1, duration_ms // len(hosts))
    for number, host in enumerate(hosts):
        down_ms = random.randint(1, max(1, step_ms // 2))
        actor = {"host": host, "actor": STORE_ACTOR}
        yield Part(at_ms + number * step_ms, down_ms, "kill-actor", actor)


FAULT = Fault(
    name="rolling-restart",
    title="restart store members one after the other",
    group=Group.PROCESS,
    strikes=Strikes.ACTOR,
    parameters={"hosts": Hosts("their hosts, in order")},
    draw=_draw,
    unfold=_unfold,
    describe=lambda parameters: f"restart {few(parameters['hosts'])} in turn",
)
