"""Node-poweroff and node-restart: a host stops without a word, and boots later."""

from k8sactors.fabric import Network
from k8sactors.faults.fault import Parameters, Targets
from k8sactors.simulation import Random


class HostKill:
    """Cut the power of one host; unsynced writes are gone when it boots again."""

    kind = "kill-host"

    def draw(self, random: Random, targets: Targets) -> Parameters:
        """Any host."""
        return {"host": random.choice(targets.hosts)}

    def inject(self, network: Network, parameters: Parameters) -> None:
        """Power off."""
        network.host(parameters["host"]).kill()

    def undo(self, network: Network, parameters: Parameters) -> None:
        """Power on, unless somebody has."""
        host = network.host(parameters["host"])
        if not host.up:
            host.restart()

    def describe(self, parameters: Parameters) -> str:
        """One line for timelines."""
        return f"power off {parameters['host']}"
