"""What a fault is: something to do to the network at one instant and to undo at a later one."""

from typing import Any, Protocol

import attrs

from k8sactors.fabric import Network
from k8sactors.simulation import Random

Parameters = dict[str, Any]

# Stands for the host that leads the store when the fault begins.
LEADER = "$leader"
STORE_ACTOR = "etcd"
# The parameter of faults that wait for the next leader: how long it leads, in milliseconds.
REIGN = "reign_ms"


def resolved(parameters: Parameters, leader: str) -> Parameters:
    """The parameters with the leader's name in them."""

    def resolve(value: Any) -> Any:
        if isinstance(value, list):
            return [resolve(each) for each in value]
        return leader if value == LEADER else value

    return {name: resolve(value) for name, value in parameters.items()}


@attrs.frozen
class Targets:
    """What a campaign may break: host names, and the actors on each.

    `hosts` excludes whoever operates the cluster; `store_hosts` carry a store member.
    """

    hosts: tuple[str, ...]
    store_hosts: tuple[str, ...]
    actors: tuple[tuple[str, str], ...]


class Injector(Protocol):
    """One kind of fault. Stateless: everything it needs to undo stands in the parameters."""

    kind: str

    def draw(self, random: Random, targets: Targets) -> Parameters:
        """Choose whom to hit and how hard; plain JSON data."""

    def inject(self, network: Network, parameters: Parameters) -> None:
        """Do it."""

    def undo(self, network: Network, parameters: Parameters) -> None:
        """Take it back; harmless if the target is well again for another reason."""

    def describe(self, parameters: Parameters) -> str:
        """One line for timelines."""
