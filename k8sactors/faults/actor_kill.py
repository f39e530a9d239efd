"""Crash-restart of one process: its connections are reset, its memory is gone."""

from k8sactors.fabric import Network
from k8sactors.faults.fault import Parameters, Targets
from k8sactors.simulation import Random


class ActorKill:
    """Kill one actor and start it again later."""

    kind = "kill-actor"

    def draw(self, random: Random, targets: Targets) -> Parameters:
        """Any actor of any host."""
        host, actor = random.choice(targets.actors)
        return {"host": host, "actor": actor}

    def inject(self, network: Network, parameters: Parameters) -> None:
        """Kill the process."""
        host = network.host(parameters["host"])
        if parameters["actor"] in host.slots:
            host.kill_actor(parameters["actor"])

    def undo(self, network: Network, parameters: Parameters) -> None:
        """Start it again, unless the host is down (its boot will), somebody has, or it moved."""
        host = network.host(parameters["host"])
        if (
            host.up
            and parameters["actor"] in host.slots
            and host.actor(parameters["actor"]) is None
        ):
            host.restart_actor(parameters["actor"])

    def describe(self, parameters: Parameters) -> str:
        """One line for timelines."""
        return f"kill {parameters['host']}/{parameters['actor']}"


class ActorRestart(ActorKill):
    """A process that crashes and is started again by its supervisor at once."""

    kind = "restart-actor"

    def inject(self, network: Network, parameters: Parameters) -> None:
        """Kill and start again, unless the host is down."""
        super().inject(network, parameters)
        self.undo(network, parameters)

    def describe(self, parameters: Parameters) -> str:
        """One line for timelines."""
        return f"restart {parameters['host']}/{parameters['actor']}"
