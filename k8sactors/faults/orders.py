"""What is done to a cluster on purpose, and comes at a bad time: orders to its operator.

An order takes a while and may fail; the operator, an actor on a machine that faults do not reach,
goes on trying while the next faults strike.
"""

from typing import Protocol, cast

from k8sactors.fabric import Network
from k8sactors.faults.fault import Parameters, Targets
from k8sactors.simulation import Random

OPERATOR_HOST = "console"
OPERATOR = "operator"


class Operator(Protocol):
    """Whoever carries out orders."""

    def order(self, kind: str, parameters: Parameters) -> None:
        """Take an order; carry it out when those before it are done."""


class LeaderTransfer:
    """Hand the leadership to another member, in the middle of everything."""

    kind = "transfer-leader"
    verb = "transfer the leadership to"

    def draw(self, random: Random, targets: Targets) -> Parameters:
        """Any member, be it up or down."""
        return {"host": random.choice(targets.store_hosts)}

    def inject(self, network: Network, parameters: Parameters) -> None:
        """Give the order, if there is somebody to take it."""
        machine = network.hosts.get(OPERATOR_HOST)
        operator = machine.actor(OPERATOR) if machine is not None else None
        if operator is not None:
            cast("Operator", operator).order(self.kind, parameters)

    def undo(self, network: Network, parameters: Parameters) -> None:
        """Nothing: what is done is done."""

    def describe(self, parameters: Parameters) -> str:
        """One line for timelines."""
        return f"{self.verb} {parameters['host']}"
