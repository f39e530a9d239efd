"""Compaction without being asked: etcd's ``--auto-compaction-mode`` and ``-retention``.

The leader proposes compactions; the other members only keep note of the revisions of the past, so
that the next leader continues it. Modes and their rhythm are etcd's (v3compactor):

- ``periodic``: keeps the history of the last period. Once the first period is over, every period,
  or every hour if that is shorter, the revision of one period ago is compacted at; revisions are
  noted ten times as often.
- ``revision``: keeps the last so many revisions; compacts every five minutes.

Time is counted in ticks of the member.
"""

from __future__ import annotations

import re
from collections import deque
from typing import Final

import attrs

from raftstore.errors import ConfigurationError
from raftstore.units import SECOND

PERIODIC: Final = "periodic"
REVISION: Final = "revision"
MODES: Final = (PERIODIC, REVISION)
HOUR_NS: Final = 3600 * SECOND
REVISION_INTERVAL_NS: Final = 300 * SECOND
NOTES_PER_INTERVAL: Final = 10
_UNITS_NS: Final = {
    "ns": 1,
    "us": 10**3,
    "µs": 10**3,  # the micro sign, as Go takes it
    "ms": 10**6,
    "s": SECOND,
    "m": 60 * SECOND,
    "h": HOUR_NS,
}
_PART: Final = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h)")


@attrs.frozen
class Retention:
    """What is kept: `amount` nanoseconds of history, or `amount` revisions; 0: everything."""

    mode: str = PERIODIC
    amount: int = 0


KEEP_ALL: Final = Retention()


def parse_retention(mode: str, text: str) -> Retention:
    """The options as etcd reads them: a bare number counts hours, or revisions.

    A duration in the mode ``revision`` is refused; etcd takes its nanoseconds for revisions.

    Raises:
        ConfigurationError: they make no sense.
    """
    if text.isdecimal():
        return Retention(mode, int(text) * (HOUR_NS if mode == PERIODIC else 1))
    if mode == REVISION:
        raise ConfigurationError(
            f"--auto-compaction-retention {text!r} is no number of revisions, as the mode "
            f"{REVISION} needs; for a time, give --auto-compaction-mode {PERIODIC}"
        )
    parts = _PART.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ConfigurationError(
            f"--auto-compaction-retention {text!r} is neither a number of hours nor a time like "
            "5m or 1h30m"
        )
    return Retention(mode, round(sum(float(number) * _UNITS_NS[unit] for number, unit in parts)))


class AutoCompaction:
    """Of one member: when to compact, and at which revision."""

    def __init__(self, retention: Retention, tick_ns: int) -> None:
        self._amount = amount = retention.amount
        self._by_time = retention.mode == PERIODIC
        interval_ns = min(amount, HOUR_NS) if self._by_time else REVISION_INTERVAL_NS
        self._interval = max(1, interval_ns // tick_ns)
        self._due = max(1, amount // tick_ns) if self._by_time else self._interval
        self._pause = max(1, self._interval // NOTES_PER_INTERVAL)
        # What the revision was, every pause; the first one about a period ago.
        self._notes = deque[int](maxlen=amount // (self._pause * tick_ns) + 1)
        self._last = 0

    def __bool__(self) -> bool:
        """Whether there is anything to do at all."""
        return self._amount > 0

    def target(self, ticks: int, newest: int, *, leading: bool) -> int:
        """The revision to compact at now, 0 for none; to be asked at every tick.

        `newest` is the store's revision.
        """
        if not self._by_time:
            target = newest - self._amount
        elif self._notes and ticks % self._pause:
            return 0
        else:
            target = self._notes[0] if self._notes else 0
            self._notes.append(newest)
        if not leading or ticks < self._due or target <= 0 or target == self._last:
            return 0
        self._last = target
        self._due = ticks + self._interval
        return target
