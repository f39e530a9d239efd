"""When a schedule fires; what the real parser says of one that is wrong."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from k8sactors.api import cron
from k8sactors.api.errors import CronError

UTC_ZONE = cron.zone_of(None)


def seconds(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


def following(schedule: str, after: str, count: int = 3, zone: str | None = None) -> list[str]:
    parsed, at = cron.parse(schedule), seconds(after)
    found = []
    for _ in range(count):
        instant = parsed.next_after(at, cron.zone_of(zone))
        assert instant is not None
        at = instant
        found.append(datetime.fromtimestamp(at, UTC).strftime("%m-%d %H:%M"))
    return found


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ("* * * * *", ["01-01 00:01", "01-01 00:02", "01-01 00:03"]),
        ("*/20 3 * * *", ["01-01 03:00", "01-01 03:20", "01-01 03:40"]),
        ("5,50 22-23/1 * * ?", ["01-01 22:05", "01-01 22:50", "01-01 23:05"]),
        ("0 0 31 * *", ["01-31 00:00", "03-31 00:00", "05-31 00:00"]),
        ("0 12 * feb mon-tue", ["02-03 12:00", "02-04 12:00", "02-10 12:00"]),
        # Two restricted day fields: either is enough.
        ("0 0 10 * fri", ["01-03 00:00", "01-10 00:00", "01-17 00:00"]),
        # A step over everything restricts the field.
        ("0 0 */10 * 1", ["01-06 00:00", "01-11 00:00", "01-13 00:00"]),
        ("59/1 0 1 1 *", ["01-01 00:59", "01-01 00:59", "01-01 00:59"]),
        ("@hourly", ["01-01 01:00", "01-01 02:00", "01-01 03:00"]),
        ("@weekly", ["01-05 00:00", "01-12 00:00", "01-19 00:00"]),
        ("@every 1h30m", ["01-01 01:30", "01-01 03:00", "01-01 04:30"]),
    ],
)
def test_the_next_times(schedule: str, expected: list[str]) -> None:
    assert following(schedule, "2025-01-01 00:00") == expected


def test_a_leap_day_is_found_and_an_impossible_day_is_not() -> None:
    assert following("0 0 29 2 *", "2025-01-01 00:00", 1) == ["02-29 00:00"]
    impossible = cron.parse("0 0 30 2 *")
    assert impossible.next_after(seconds("2025-01-01 00:00"), UTC_ZONE) is None


def test_a_time_that_the_clocks_skip_does_not_happen() -> None:
    # On 2025-03-30 in Berlin, 02:00 became 03:00.
    found = following("30 2 * * *", "2025-03-29 00:00", 3, "Europe/Berlin")
    assert found == ["03-29 01:30", "03-31 00:30", "04-01 00:30"]


def test_a_time_that_comes_twice_happens_twice() -> None:
    # On 2025-10-26 in Berlin, 03:00 became 02:00.
    found = following("30 2 * * *", "2025-10-25 12:00", 3, "Europe/Berlin")
    assert found == ["10-26 00:30", "10-26 01:30", "10-27 01:30"]


@pytest.mark.parametrize(
    ("schedule", "message"),
    [
        ("", "empty spec string"),
        ("* * * *", "expected exactly 5 fields, found 4: [* * * *]"),
        ("@often", "unrecognized descriptor: @often"),
        ("@every soon", 'failed to parse duration @every soon: time: invalid duration "soon"'),
        ("60 * * * *", "end of range (60) above maximum (59): 60"),
        ("* * 0 * *", "beginning of range (0) below minimum (1): 0"),
        ("* * * * 7", "end of range (7) above maximum (6): 7"),
        ("9-5 * * * *", "beginning of range (9) beyond end of range (5): 9-5"),
        ("1-2-3 * * * *", "too many hyphens: 1-2-3"),
        ("1/2/3 * * * *", "too many slashes: 1/2/3"),
        ("*/0 * * * *", "step of range should be a positive number: */0"),
        ("x * * * *", 'failed to parse int from x: strconv.Atoi: parsing "x": invalid syntax'),
    ],
)
def test_what_is_wrong_with_a_schedule(schedule: str, message: str) -> None:
    with pytest.raises(CronError) as caught:
        cron.parse(schedule)
    assert str(caught.value) == message
