"""Pause and resume: a frozen virtual machine or a very long garbage collection."""

from k8sactors.fabric import Network
from k8sactors.faults.fault import Parameters, Targets
from k8sactors.simulation import Random


class HostPause:
    """Freeze a host; it goes on later without knowing that time has passed."""

    kind = "pause-host"

    def draw(self, random: Random, targets: Targets) -> Parameters:
        """Any host."""
        return {"host": random.choice(targets.hosts)}

    def inject(self, network: Network, parameters: Parameters) -> None:
        """Freeze."""
        network.host(parameters["host"]).pause()

    def undo(self, network: Network, parameters: Parameters) -> None:
        """Go on."""
        network.host(parameters["host"]).resume()

    def describe(self, parameters: Parameters) -> str:
        """One line for timelines."""
        return f"pause {parameters['host']}"
