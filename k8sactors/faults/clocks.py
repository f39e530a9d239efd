"""What injectors of clocks share: the speed of all clocks of a host."""

from __future__ import annotations

from k8sactors.fabric import Network
from k8sactors.faults.parameters import Parameters


def set_drift(network: Network, parameters: Parameters) -> None:
    """Change the speed."""
    network.host(parameters["host"]).clock.drift_ppm = parameters["drift_ppm"]


def end_drift(network: Network, parameters: Parameters) -> None:
    """The right speed; what was gained or lost stays."""
    network.host(parameters["host"]).clock.drift_ppm = 0
