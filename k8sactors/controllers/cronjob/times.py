"""Which scheduled time a CronJob is to be started for now, and when to look at it next.

Only the most recent missed time is started, however many were missed (KEP-19). How many those are
is estimated from the distance of the first two, as the real controller does.
"""

from __future__ import annotations

from typing import Any, Final
from zoneinfo import ZoneInfo

import attrs

from k8sactors.api.cron import Schedule
from k8sactors.api.meta import parse_time
from k8sactors.simulation import MILLISECOND, SECOND

Object = dict[str, Any]

# More missed times than these are worth a warning: the clock may be wrong.
MANY_MISSED: Final = 100
# Added to the next time, so that it has surely come when the controller looks.
NEXT_DELTA_NS: Final = 100 * MILLISECOND


@attrs.frozen
class Due:
    """What is due."""

    # From where the search began (seconds of the Unix epoch).
    earliest: int
    # The last time that has come since; None: none has.
    latest: int | None
    # About how many times have come since.
    missed: int = 0


def due(
    cron_job: Object, schedule: Schedule, zone: ZoneInfo, now: int, *, within_deadline: bool
) -> Due:
    """What is due at `now` (seconds of the Unix epoch).

    With `within_deadline`, times older than `startingDeadlineSeconds` do not count.
    """
    status, spec = cron_job.get("status") or {}, cron_job["spec"]
    since = status.get("lastScheduleTime") or cron_job["metadata"]["creationTimestamp"]
    earliest = parse_time(since) // SECOND
    deadline = spec.get("startingDeadlineSeconds")
    if within_deadline and deadline is not None:
        earliest = max(earliest, now - deadline)
    first = schedule.next_after(earliest, zone)
    if first is None or now < first:
        return Due(earliest, None)
    second = schedule.next_after(first, zone)
    if second is None or now < second:
        return Due(earliest, first)
    distance = second - first
    missed = (now - first) // distance + 1
    # One step back more than the estimate: schedules need not be regular.
    at = schedule.next_after(first + (missed - 2) * distance, zone)
    latest: int | None = None
    while at is not None and at <= now:
        latest = at
        at = schedule.next_after(at, zone)
    return Due(earliest, latest, missed)


def until_next_ns(cron_job: Object, schedule: Schedule, zone: ZoneInfo, wall_ns: int) -> int | None:
    """How long until the next scheduled time; None: there is none."""
    now = wall_ns // SECOND
    found = due(cron_job, schedule, zone, now, within_deadline=False)
    base = found.latest
    if base is None:
        base = now if found.missed else found.earliest
    following = schedule.next_after(base, zone)
    if following is None:
        return None
    return max(0, following * SECOND + NEXT_DELTA_NS - wall_ns)
