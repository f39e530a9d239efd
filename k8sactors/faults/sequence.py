"""Faults that are a sequence of simpler ones: each part can be shortened or left out by itself."""

from collections.abc import Iterator
from typing import Protocol

import attrs

from k8sactors.faults.crash_point import STEPS
from k8sactors.faults.fault import STORE_ACTOR, Parameters, Targets
from k8sactors.faults.orders import MemberAdd, MemberRemoval, MemberReplacement
from k8sactors.simulation import Random

SHORTEST_LAG_MS = 5_000
"""A member that lags behind for less rarely lacks more than the log still holds."""

SHORTEST_CHANGE_MS = 3_000
"""What an order may take to become an entry of the log."""


@attrs.frozen
class Part:
    """One fault of a sequence: when it begins and how long it lasts, in milliseconds."""

    at_ms: int
    duration_ms: int
    kind: str
    parameters: Parameters


class FaultSequence(Protocol):
    """A kind of fault that unfolds into several."""

    kind: str

    def unfold(
        self, random: Random, targets: Targets, at_ms: int, duration_ms: int
    ) -> Iterator[Part]:
        """The parts; their kinds stand in the catalogue."""


class CrashLoop:
    """A process that dies again and again, sometimes before it has done anything."""

    kind = "crash-loop"

    def unfold(
        self, random: Random, targets: Targets, at_ms: int, duration_ms: int
    ) -> Iterator[Part]:
        """Short lives and short deaths."""
        parameters = {"host": random.choice(targets.store_hosts), "actor": STORE_ACTOR}
        end_ms = at_ms + duration_ms
        while at_ms < end_ms:
            dead_ms = random.randint(1, 300)
            yield Part(at_ms, dead_ms, "kill-actor", parameters)
            at_ms += dead_ms + random.choice((random.randint(1, 100), random.randint(100, 2_000)))


class RollingRestart:
    """Every member is restarted in turn, as in an upgrade; whoever does it may be impatient."""

    kind = "rolling-restart"

    def unfold(
        self, random: Random, targets: Targets, at_ms: int, duration_ms: int
    ) -> Iterator[Part]:
        """All store hosts in some order."""
        hosts = random.sample(targets.store_hosts, len(targets.store_hosts))
        step_ms = max(1, duration_ms // len(hosts))
        for number, host in enumerate(hosts):
            down_ms = random.randint(1, max(1, step_ms // 2))
            parameters = {"host": host, "actor": STORE_ACTOR}
            yield Part(at_ms + number * step_ms, down_ms, "kill-actor", parameters)


class SwizzleClog:
    """Clog some hosts one after the other, and let them go in another order (FoundationDB's)."""

    kind = "swizzle-clog"

    def unfold(
        self, random: Random, targets: Targets, at_ms: int, duration_ms: int
    ) -> Iterator[Part]:
        """Begin each in the first half, end each in the second."""
        hosts = random.sample(targets.hosts, random.randint(2, len(targets.hosts)))
        half_ms = max(1, duration_ms // 2)
        for host in hosts:
            start_ms = at_ms + random.randrange(half_ms)
            end_ms = at_ms + half_ms + random.randrange(half_ms)
            others = [other for other in targets.hosts if other != host]
            yield Part(start_ms, end_ms - start_ms, "clog", {"host": host, "others": others})


class InterruptedInstall:
    """A member falls so far behind that it needs a snapshot, and crashes while it installs it."""

    kind = "interrupt-install"

    def unfold(
        self, random: Random, targets: Targets, at_ms: int, duration_ms: int
    ) -> Iterator[Part]:
        """Cut it off for the first half; lie in wait for the second."""
        host = random.choice(targets.store_hosts)
        others = [other for other in targets.hosts if other != host]
        half_ms = max(SHORTEST_LAG_MS, duration_ms // 2)
        cut = {"a": [host], "b": others, "one_way": False}
        yield Part(at_ms, half_ms, "partition", cut)
        trap = {
            "host": host,
            "step": random.choice(STEPS),
            "of": "an installed snapshot",
            "passed": 0,
            "power": random.choice((False, True)),
        }
        yield Part(at_ms + half_ms, half_ms, "crash-at", trap)


class InterruptedChange:
    """The members change, and one of them crashes at some step of writing that down."""

    kind = "interrupt-change"

    def unfold(
        self, random: Random, targets: Targets, at_ms: int, duration_ms: int
    ) -> Iterator[Part]:
        """Lie in wait, then give the order."""
        host = random.choice(targets.store_hosts)
        trap = {
            "host": host,
            "step": random.choice(STEPS),
            "of": "a change of members",
            "passed": random.choice((0, 0, 1)),
            "power": random.choice((False, True)),
        }
        yield Part(at_ms, max(SHORTEST_CHANGE_MS, duration_ms), "crash-at", trap)
        order = random.choice((MemberAdd(), MemberRemoval(), MemberReplacement()))
        yield Part(at_ms + 1, 1, order.kind, order.draw(random, targets))
