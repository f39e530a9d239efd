"""Schedules of CronJobs: five fields, a named one such as `@daily`, or `@every 1h30m`.

The grammar, the error texts and the meaning are those of the parser that the real server and its
controller use (robfig/cron v3, "standard" form), which differs from other crons: Sunday is 0 and
never 7, `?` means `*`, and of two restricted day fields either is enough. A local time that a
change of the clocks skips does not happen; one that happens twice happens twice.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Final, Protocol
from zoneinfo import ZoneInfo

import attrs

from k8sactors.api.errors import CronError

MINUTE_S: Final = 60
HOUR_S: Final = 3600
# A schedule that does not fire within so many years (30 February) never does.
_YEARS_MAX: Final = 5
_FIELDS: Final = 5
_STAR: Final = frozenset({"*", "?"})
_DURATION: Final = re.compile(r"[+]?(?:(?:\d+\.?\d*|\.\d+)(?:ns|us|µs|ms|s|m|h))+")
_DURATION_PART: Final = re.compile(r"(\d+\.?\d*|\.\d+)(ns|us|µs|ms|s|m|h)")
_UNIT_S: Final = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1, "m": 60, "h": 3600}
_NAMED: Final = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}


class Schedule(Protocol):
    """When something happens."""

    def next_after(self, second: int, zone: ZoneInfo) -> int | None:
        """The first time after a second of the Unix epoch; None: never."""


@attrs.frozen
class _Bounds:
    lowest: int
    highest: int
    names: tuple[str, ...] = ()

    def number(self, text: str) -> int:
        """A number, or a name that stands for one."""
        if text.lower() in self.names:
            return self.lowest + self.names.index(text.lower())
        return _integer(text)


_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_BOUNDS: Final = (
    _Bounds(0, 59),
    _Bounds(0, 23),
    _Bounds(1, 31),
    _Bounds(1, 12, _MONTHS),
    _Bounds(0, 6, _DAYS),
)


@attrs.frozen
class _Field:
    values: frozenset[int]
    # Whether it says `*`: then the other day field alone decides.
    is_any: bool


@attrs.frozen
class Fields:
    """Five fields: minute, hour, day of the month, month, day of the week."""

    minute: _Field
    hour: _Field
    day: _Field
    month: _Field
    weekday: _Field

    def next_after(self, second: int, zone: ZoneInfo) -> int | None:
        """The first matching minute after `second`, by the clocks of `zone`."""
        at = second - second % MINUTE_S + MINUTE_S
        last_year = datetime.fromtimestamp(at, zone).year + _YEARS_MAX
        while True:
            local = datetime.fromtimestamp(at, zone)
            if local.year > last_year:
                return None
            if local.month not in self.month.values:
                first = local.replace(day=1) + timedelta(days=32)
                at = _midnight(first.year, first.month, 1, zone)
            elif not self._is_day(local):
                tomorrow = local + timedelta(days=1)
                at = _midnight(tomorrow.year, tomorrow.month, tomorrow.day, zone)
            elif local.hour not in self.hour.values:
                at += HOUR_S - local.minute * MINUTE_S - local.second
            elif local.minute not in self.minute.values:
                at += MINUTE_S
            else:
                return at

    def _is_day(self, local: datetime) -> bool:
        day = local.day in self.day.values
        weekday = local.isoweekday() % 7 in self.weekday.values
        if self.day.is_any or self.weekday.is_any:
            return day and weekday
        return day or weekday


@attrs.frozen
class Every:
    """A fixed delay from one time to the next."""

    delay_s: int

    def next_after(self, second: int, zone: ZoneInfo) -> int | None:
        """`delay_s` after `second`."""
        del zone
        return second + self.delay_s


def _midnight(year: int, month: int, day: int, zone: ZoneInfo) -> int:
    return int(datetime(year, month, day, tzinfo=zone).timestamp())


@lru_cache(maxsize=512)
def parse(text: str) -> Schedule:
    """The schedule that a text stands for.

    Raises:
        CronError: the text is no schedule; says why in the words of the real parser.
    """
    if not text:
        raise CronError("empty spec string")
    if text.startswith(("TZ=", "CRON_TZ=")):
        text = text.partition(" ")[2].strip()
    if text.startswith("@every "):
        return _every(text.removeprefix("@every "))
    if text.startswith("@"):
        if text not in _NAMED:
            raise CronError(f"unrecognized descriptor: {text}")
        text = _NAMED[text]
    words = text.split()
    if len(words) != _FIELDS:
        listed = " ".join(words)
        raise CronError(f"expected exactly {_FIELDS} fields, found {len(words)}: [{listed}]")
    return Fields(*(_field(word, bounds) for word, bounds in zip(words, _BOUNDS, strict=True)))


def zone_of(name: str | None) -> ZoneInfo:
    """The time zone of that name; UTC, which is that of the controller, without a name.

    Raises:
        CronError: there is no time zone of that name.
    """
    try:
        return ZoneInfo(name or "UTC")
    # A directory of zones is no zone (OSError), and some texts can be no name (ValueError).
    except (KeyError, OSError, ValueError) as error:
        raise CronError(f"unknown time zone {name}") from error


def _every(text: str) -> Every:
    if not _DURATION.fullmatch(text):
        reason = f'time: invalid duration "{text}"'
        raise CronError(f"failed to parse duration @every {text}: {reason}")
    parts = _DURATION_PART.findall(text)
    return Every(max(1, int(sum(float(amount) * _UNIT_S[unit] for amount, unit in parts))))


def _field(text: str, bounds: _Bounds) -> _Field:
    values: set[int] = set()
    is_any = False
    for part in text.split(","):
        if part:
            found, star = _range(part, bounds)
            values.update(found)
            is_any = is_any or star
    return _Field(frozenset(values), is_any)


def _range(text: str, bounds: _Bounds) -> tuple[range, bool]:
    """The values of `*`, `2`, `2-5`, each with a step or not; whether it means all."""
    span, *steps = text.split("/")
    first, *others = span.split("-")
    is_any = first in _STAR
    if is_any:
        start, end = bounds.lowest, bounds.highest
    else:
        start = end = bounds.number(first)
        if len(others) > 1:
            raise CronError(f"too many hyphens: {text}")
        if others:
            end = bounds.number(others[0])
    step = 1
    if len(steps) > 1:
        raise CronError(f"too many slashes: {text}")
    if steps:
        step = _integer(steps[0])
        if not others:
            end = bounds.highest
        is_any = is_any and step <= 1
    if start < bounds.lowest:
        raise CronError(f"beginning of range ({start}) below minimum ({bounds.lowest}): {text}")
    if end > bounds.highest:
        raise CronError(f"end of range ({end}) above maximum ({bounds.highest}): {text}")
    if start > end:
        raise CronError(f"beginning of range ({start}) beyond end of range ({end}): {text}")
    if step == 0:
        raise CronError(f"step of range should be a positive number: {text}")
    return range(start, end + 1, step), is_any


def _integer(text: str) -> int:
    if not re.fullmatch(r"[+-]?[0-9]+", text):
        reason = f'strconv.Atoi: parsing "{text}": invalid syntax'
        raise CronError(f"failed to parse int from {text}: {reason}")
    number = int(text)
    if number < 0:
        raise CronError(f"negative number ({number}) not allowed: {text}")
    return number
