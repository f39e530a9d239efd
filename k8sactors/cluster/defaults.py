"""The sizes of a cluster that a program, file or command does not spell out, and the limits.

Every other place refers to this one. What a worker offers is the kubelet's `NodeCapacity`.
"""

from __future__ import annotations

from typing import Final, Literal

from k8sactors.apiserver.config import APIServerConfig
from k8sactors.kubelet.node_object import NodeCapacity
from k8sactors.simulation import MICROSECOND
from raftstore.server.config import DEFAULT_MEMBERS

TopologyName = Literal["single", "stacked", "external"]
TOPOLOGIES: Final[tuple[TopologyName, ...]] = ("single", "stacked", "external")

TOPOLOGY: Final[TopologyName] = "stacked"
# In every topology but `single`, which has one of each.
CONTROL_PLANES: Final = 3
STORE_MEMBERS: Final = DEFAULT_MEMBERS
WORKERS: Final = 3
ZONES: Final = 3
NODE_CAPACITY: Final = NodeCapacity()
NODE_PORTS: Final = APIServerConfig().node_ports
# Reads, and as many writes.
REQUESTS_IN_FLIGHT: Final = APIServerConfig().max_readonly_in_flight
# One way.
SAME_ZONE_LATENCY_NS: Final = 100 * MICROSECOND
CROSS_ZONE_LATENCY_NS: Final = 500 * MICROSECOND

# A scenario file describes the smallest cluster that shows something.
SCENARIO_TOPOLOGY: Final[TopologyName] = "single"
SCENARIO_ZONES: Final = 1
SCENARIO_NODE_MEMORY: Final = "16Gi"

# `k8sactors serve` runs on real time: each node costs the laptop something.
SERVED_TOPOLOGY: Final[TopologyName] = "single"
SERVED_WORKERS: Final = 2

MAX_WORKERS: Final = 20_000
MAX_CONTROL_PLANES: Final = 9
MAX_STORE_MEMBERS: Final = 9
