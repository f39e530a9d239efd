"""Hosts, links and connections: the network that messages cross, and where it breaks."""

from __future__ import annotations

from k8sactors.fabric.errors import DuplicateNameError, FabricError, UnknownHostError
from k8sactors.fabric.host import Crash, Host
from k8sactors.fabric.link import Path
from k8sactors.fabric.network import Network, host_of, open_fabric

__all__ = [
    "Crash",
    "DuplicateNameError",
    "FabricError",
    "Host",
    "Network",
    "Path",
    "UnknownHostError",
    "host_of",
    "open_fabric",
]
