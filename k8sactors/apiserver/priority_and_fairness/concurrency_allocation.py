"""How the seats of a server are divided among its priority levels.

Each level has its nominal share, lends some of it and may borrow some. Source: KEP-1040,
"Dispatching" (borrowing between priority levels).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import attrs

_TARGET_MIN: Final = 0.001


@attrs.frozen
class Claim:
    """What one level needs: `lower` <= `target`, and `lower` <= `upper`; all in seats."""

    target: float
    lower: float
    upper: float

    def given(self, fraction: float) -> float:
        """Its part when each level gets this fraction of its target, within its bounds."""
        return max(self.lower, min(self.upper, fraction * max(self.target, _TARGET_MIN)))


def allocate(seats: int, claims: Sequence[Claim]) -> tuple[list[float], float]:
    """Divide `seats` so that all levels get the same fraction of their targets, within bounds.

    Returns the seats of each, and the fraction.

    What the bounds do not allow is not done: more is given when the lower bounds add up to more,
    and less when the upper bounds add up to less.
    """
    # The sum grows with the fraction, and is linear between the fractions where a bound is met.
    edges = {0.0}
    for claim in claims:
        target = max(claim.target, _TARGET_MIN)
        edges |= {claim.lower / target, claim.upper / target}
    before = 0.0
    for edge in sorted(edges):
        reached = _total(claims, edge)
        if reached >= seats:
            start = _total(claims, before)
            part = (seats - start) / (reached - start) if reached > start else 0.0
            before += max(0.0, part) * (edge - before)
            break
        before = edge
    return [claim.given(before) for claim in claims], before


def _total(claims: Sequence[Claim], fraction: float) -> float:
    return sum(claim.given(fraction) for claim in claims)
