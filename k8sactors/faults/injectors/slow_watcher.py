"""Slow watcher: it takes nothing for a while, then all that it was sent at once."""

from __future__ import annotations

from k8sactors.fabric import Network
from k8sactors.faults.fault import WATCHER_HOST, Fault, Group, Need, Strikes, Targets
from k8sactors.faults.parameters import Host, Parameters
from k8sactors.simulation import Random


def _draw(random: Random, targets: Targets) -> Parameters:
    """The events of one member, to the watchers of a store campaign."""
    return {"host": random.choice(targets.store_hosts), "watcher": WATCHER_HOST}


def _inject(network: Network, parameters: Parameters) -> None:
    """Keep back what the member sends to the watcher."""
    if parameters["watcher"] in network.hosts:
        network.hold(parameters["host"], parameters["watcher"], one_way=True)


def _heal(network: Network, parameters: Parameters) -> None:
    """Let everything through."""
    if parameters["watcher"] in network.hosts:
        network.release(parameters["host"], parameters["watcher"])


FAULT = Fault(
    name="slow-watcher",
    title="keep back what a store member sends to the machine of a watcher, such as an API server",
    group=Group.STORE,
    strikes=Strikes.LINK,
    parameters={
        "host": Host("the member's host"),
        "watcher": Host("the machine of the watcher", default=WATCHER_HOST),
    },
    draw=_draw,
    inject=_inject,
    heal=_heal,
    describe=lambda parameters: (
        f"slow the watchers of {parameters['host']} on {parameters['watcher']}"
    ),
    needs=(Need.EXTERNAL_STORE,),
)
