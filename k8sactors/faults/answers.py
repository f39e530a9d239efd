"""What happens on the way back from the store: answers that are lost, events that come late."""

from k8sactors.fabric import Network
from k8sactors.faults.fault import Parameters, Targets
from k8sactors.faults.orders import OPERATOR_HOST
from k8sactors.simulation import Random

AUDIENCE_HOST = "audience"
"""The machine of watchers that may be slow to take what they are sent."""


class LostAnswers:
    """Requests arrive and are carried out; the answers do not come back, and connections break.

    So clients have writes whose fate they do not know, and which were carried out all the same.
    """

    kind = "lose-answers"
    reader = OPERATOR_HOST

    def draw(self, random: Random, targets: Targets) -> Parameters:
        """One member's answers."""
        return {"host": random.choice(targets.store_hosts)}

    def inject(self, network: Network, parameters: Parameters) -> None:
        """Keep back what the host sends to the clients."""
        if self.reader in network.hosts:
            network.hold(parameters["host"], self.reader, one_way=True)

    def undo(self, network: Network, parameters: Parameters) -> None:
        """Break the connections first: what was kept back is lost with them."""
        if self.reader in network.hosts:
            network.reset_connections(parameters["host"])
            network.release(parameters["host"], self.reader)

    def describe(self, parameters: Parameters) -> str:
        """One line for timelines."""
        return f"lose the answers of {parameters['host']}"


class SlowWatcher(LostAnswers):
    """Watchers take nothing for a while; what they were sent in the meantime comes at once."""

    kind = "slow-watcher"
    reader = AUDIENCE_HOST

    def undo(self, network: Network, parameters: Parameters) -> None:
        """Let everything through."""
        if self.reader in network.hosts:
            network.release(parameters["host"], self.reader)

    def describe(self, parameters: Parameters) -> str:
        """One line for timelines."""
        return f"slow the watchers of {parameters['host']}"
