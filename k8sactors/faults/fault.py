"""What a fault is: something to do to the network at one instant and to undo at a later one."""

from typing import Any, Protocol

import attrs

from k8sactors.fabric import Network
from k8sactors.simulation import Random

Parameters = dict[str, Any]


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
