"""Bounded, jittered exponential back-off, as client-go's wait.Backoff."""

from __future__ import annotations

import attrs

from k8sactors.simulation import Random


@attrs.define
class Backoff:
    """Delays that double from `base_ns` up to `cap_ns`, each stretched by up to `jitter`."""

    random: Random
    base_ns: int
    cap_ns: int
    jitter: float = 0.5
    failures: int = attrs.field(default=0, init=False)

    def next_ns(self) -> int:
        """The next delay; each call counts one more failure."""
        # The exponent is bounded so that a long outage cannot grow the integer without end.
        delay_ns = min(self.cap_ns, self.base_ns << min(self.failures, 40))
        self.failures += 1
        return delay_ns + int(delay_ns * self.jitter * self.random.random())

    def reset(self) -> None:
        """Start again from the base delay."""
        self.failures = 0
