"""The state of the way from one host to another, one object per direction.

A path without a fault costs its user one attribute test. Connections cross a lossy path with
retransmission delays; datagrams are dropped, doubled or delayed. A cut path holds the frames of
connections until it is healed or the connection times out.
"""

import attrs

from k8sactors.simulation import MILLISECOND

# What a lost segment costs a connection: the minimum retransmission timeout (RFC 6298 in practice).
RETRANSMISSION_NS = 200 * MILLISECOND


@attrs.define
class Path:
    """One direction between two hosts. Change it through `Network` so that `plain` stays true."""

    source: str
    target: str
    latency_ns: int = 0
    jitter_ns: int = 0
    loss: float = 0.0
    duplicate: float = 0.0
    reorder: float = 0.0
    cut: bool = False
    cut_generation: int = 0
    plain: bool = True
    steady: bool = True
    last_arrival_ns: int = 0
    held: list[tuple[int, str, bytes]] = attrs.field(factory=list)

    def update(self, now_ns: int) -> None:
        """Recompute `plain` and `steady` after a change.

        `steady`: every frame takes exactly the latency. `plain`: and that is 0, so frames may be
        handed over at once; not while slower ones are under way, or they would be overtaken.
        """
        faulty = self.cut or self.jitter_ns or self.loss or self.duplicate or self.reorder
        self.steady = not faulty
        self.plain = not (faulty or self.latency_ns or self.last_arrival_ns > now_ns)
