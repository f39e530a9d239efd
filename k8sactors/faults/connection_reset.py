"""Connections that break although both ends are well."""

from k8sactors.fabric import Network
from k8sactors.faults.fault import Parameters, Targets
from k8sactors.simulation import Random


class ConnectionReset:
    """Break all connections of one host: clients do not know what became of their writes."""

    kind = "reset-connections"

    def draw(self, random: Random, targets: Targets) -> Parameters:
        """Any host."""
        return {"host": random.choice(targets.hosts)}

    def inject(self, network: Network, parameters: Parameters) -> None:
        """Reset them."""
        network.reset_connections(parameters["host"])

    def undo(self, network: Network, parameters: Parameters) -> None:
        """Nothing: whoever wants to connects again."""

    def describe(self, parameters: Parameters) -> str:
        """One line for timelines."""
        return f"reset the connections of {parameters['host']}"
