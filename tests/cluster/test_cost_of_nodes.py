"""What a node costs does not grow with the number of nodes: no message goes from each to each."""

from __future__ import annotations

import attrs
import trio

from k8sactors import simulation
from k8sactors.cluster import Cluster, ClusterSpec

IDLE_S = 60
# Growth of the nodes is sixfold; a message from each to each would make this six.
GROWTH_LIMIT = 1.5


@attrs.define
class Traffic:
    frames: int = 0
    size_bytes: int = 0

    def count(self, now_ns: int, frame: bytes) -> None:
        del now_ns
        self.frames += 1
        self.size_bytes += len(frame)

    def per_node(self, nodes: int) -> tuple[float, float]:
        return self.frames / nodes, self.size_bytes / nodes


async def traffic_of(nodes: int) -> tuple[Traffic, Traffic]:
    """Frames and bytes of the start, and of an idle minute."""
    trace = simulation.current().trace
    start, idle = Traffic(), Traffic()
    trace.listeners.append(start.count)
    async with Cluster(ClusterSpec(topology="single", workers=nodes - 1)):
        trace.listeners.remove(start.count)
        await trio.sleep(30)
        trace.listeners.append(idle.count)
        await trio.sleep(IDLE_S)
        trace.listeners.remove(idle.count)
    return start, idle


def test_frames_and_bytes_per_node_are_the_same_in_a_small_and_a_large_cluster() -> None:
    few, many = 40, 240
    small = simulation.run(traffic_of, few)
    large = simulation.run(traffic_of, many)
    for before, after in zip(small, large, strict=True):
        frames, size_bytes = before.per_node(few)
        assert after.per_node(many)[0] < GROWTH_LIMIT * frames
        assert after.per_node(many)[1] < GROWTH_LIMIT * size_bytes
