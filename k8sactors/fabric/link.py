"""The state of the way from one host to another, one object per direction.

A path without a fault costs its user one attribute test. Connections cross a lossy path with
retransmission delays; datagrams are dropped, doubled or delayed. A cut path keeps the frames of
connections until it is healed or the connection times out; a held one keeps datagrams too, until it
is released. A path of limited bandwidth sends one frame after the other.
"""

from __future__ import annotations

import attrs

from k8sactors.simulation import MILLISECOND, SECOND

# What a lost segment costs a connection: the minimum retransmission timeout (RFC 6298 in practice).
RETRANSMISSION_NS = 200 * MILLISECOND

# How long a datagram may queue for a slow link before the queue is taken for full and drops it.
LONGEST_QUEUE_NS = 1000 * MILLISECOND

# How many frames a held path keeps; what comes behind them is lost.
MAX_HELD_FRAMES = 10_000


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
    bytes_per_s: int = 0
    free_ns: int = 0
    hold: bool = False
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
        slow = self.bytes_per_s or self.jitter_ns
        faulty = self.cut or self.hold or slow or self.loss or self.duplicate or self.reorder
        self.steady = not faulty
        self.plain = not (faulty or self.latency_ns or self.last_arrival_ns > now_ns)

    def queue_ns(self, now_ns: int, size_bytes: int) -> int:
        """Take a frame's turn on a link of limited bandwidth: how long it waits and is sent."""
        self.free_ns = max(now_ns, self.free_ns) + size_bytes * SECOND // self.bytes_per_s
        return self.free_ns - now_ns
