"""How fast nodes may be tainted for eviction, zone by zone.

When few nodes of a zone are gone, they are probably broken, and their pods are moved, one node per
ten seconds. When most of a zone is gone, it is rather the network: eviction slows down, or stops in
a small cluster. When every node of every zone is gone, the controller takes itself to be cut
off and evicts no pod. (Kubernetes documentation: "Rate limits on eviction".)
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import Enum

import attrs

from k8sactors.simulation import SECOND

# With fewer unready nodes than this a zone is never called disrupted in part.
MIN_UNREADY = 3

Zone = tuple[str, str]


class ZoneState(Enum):
    """How many of a zone's nodes are ready."""

    INITIAL = "Initial"
    NORMAL = "Normal"
    PARTIAL = "PartialDisruption"
    FULL = "FullDisruption"


def zone_state(ready: int, unready: int, threshold: float) -> ZoneState:
    """The state of a zone with so many nodes."""
    if ready == 0 and unready > 0:
        return ZoneState.FULL
    if unready >= MIN_UNREADY and unready / (ready + unready) >= threshold:
        return ZoneState.PARTIAL
    return ZoneState.NORMAL


def all_full(states: Iterable[ZoneState]) -> bool:
    """Whether no node of any zone is ready (and there is a zone at all)."""
    known = list(states)
    return bool(known) and all(state is ZoneState.FULL for state in known)


@attrs.define
class RateLimitedNodes:
    """Nodes that wait to be tainted: a queue with a token bucket of burst 1."""

    rate: float
    at_ns: int
    tokens: float = attrs.field(default=1.0, init=False)
    waiting: dict[str, None] = attrs.field(factory=dict, init=False)

    def set_rate(self, rate: float, now_ns: int) -> None:
        """Change how many nodes per second may go."""
        if rate != self.rate:
            self._refill(now_ns)
            if self.rate == 0:
                self.tokens = 1.0
            self.rate = rate

    def take(self, now_ns: int) -> str | None:
        """The next node, if one waits and the rate allows it."""
        self._refill(now_ns)
        if not self.waiting or self.rate <= 0 or self.tokens < 1:
            return None
        self.tokens -= 1
        name = next(iter(self.waiting))
        del self.waiting[name]
        return name

    def next_token_ns(self) -> int | None:
        """How long until the rate allows another node; None when none waits or the rate is 0."""
        if not self.waiting or self.rate <= 0:
            return None
        # Rounded up, or the timer would fire a nanosecond before the token is whole.
        return max(1, int((1 - self.tokens) / self.rate * SECOND) + 1)

    def _refill(self, now_ns: int) -> None:
        self.tokens = min(1.0, self.tokens + (now_ns - self.at_ns) * self.rate / SECOND)
        self.at_ns = now_ns


def rate_for(state: ZoneState, nodes: int, rates: Mapping[str, float], large_cluster: int) -> float:
    """Nodes per second that a zone of this size may lose in this state."""
    if state is ZoneState.PARTIAL:
        return rates["secondary"] if nodes > large_cluster else 0.0
    return rates["primary"]
