"""A power failure that hits several store hosts at once: a rack, a room, a data centre."""

from k8sactors.fabric import Network
from k8sactors.faults.fault import Parameters, Targets
from k8sactors.simulation import Random


class PowerCut:
    """Cut the power of several store hosts at once: what none of them synced is lost for good."""

    kind = "power-cut"

    def draw(self, random: Random, targets: Targets) -> Parameters:
        """Half of the members or more."""
        hosts = targets.store_hosts
        count = random.randint((len(hosts) + 1) // 2, len(hosts))
        return {"hosts": random.sample(hosts, count)}

    def inject(self, network: Network, parameters: Parameters) -> None:
        """Power off."""
        for name in parameters["hosts"]:
            network.host(name).kill()

    def undo(self, network: Network, parameters: Parameters) -> None:
        """Power on whoever is not."""
        for name in parameters["hosts"]:
            host = network.host(name)
            if not host.up:
                host.restart()

    def describe(self, parameters: Parameters) -> str:
        """One line for timelines."""
        return f"power off {','.join(parameters['hosts'])}"
