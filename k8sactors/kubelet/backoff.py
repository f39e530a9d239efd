"""Restart back-off, as the kubelet counts it.

The first restart is immediate; each further one waits twice as long as the one before, counted from
the moment the container ended, from 10 s up to 5 min. A container that has behaved for twice the
limit starts over.
"""

from __future__ import annotations

import attrs

from k8sactors.simulation import SECOND

INITIAL_NS = 10 * SECOND
LIMIT_NS = 300 * SECOND


@attrs.define
class Backoff:
    """The history of one key: a container's restarts or an image's pulls."""

    initial_ns: int = INITIAL_NS
    limit_ns: int = LIMIT_NS
    delay_ns: int = 0
    last_ns: int = 0

    def wait_until_ns(self, failed_at_ns: int, now_ns: int) -> int:
        """The earliest moment for the next attempt after a failure; not later than now if free."""
        if now_ns - self.last_ns > 2 * self.limit_ns:
            return now_ns
        return failed_at_ns + self.delay_ns

    def attempt(self, now_ns: int) -> None:
        """An attempt is made: the next one waits longer."""
        if not self.delay_ns or now_ns - self.last_ns > 2 * self.limit_ns:
            self.delay_ns = self.initial_ns
        else:
            self.delay_ns = min(2 * self.delay_ns, self.limit_ns)
        self.last_ns = now_ns
