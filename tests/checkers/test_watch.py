"""Each watch check accepts a faithful stream and fails on the one defect that it is there for."""

from collections.abc import Callable

import pytest

from k8sactors.checkers.findings import Finding
from k8sactors.checkers.watch import (
    Batch,
    Change,
    Stream,
    WatchHistory,
    check_atomic,
    check_bookmarkable,
    check_filtered,
    check_ordered,
    check_reliable,
    check_resumable,
    check_truthful,
    check_unique,
    check_watch,
)

A2 = Change(2, "/a/1", value=b"one")
A3 = Change(3, "/a/1", value=b"two", previous=b"one")
A3B = Change(3, "/a/2", value=b"both")
B4 = Change(4, "/b/1", value=b"other")
A5 = Change(5, "/a/1", "DELETE", previous=b"two")
LOG = [A2, A3, A3B, B4, A5]


def history(
    *batches: tuple[Change, ...], start: int = 2, bookmark: int | None = None
) -> WatchHistory:
    stream = Stream("w", start, "/a/", with_previous=True)
    stream.batches = [Batch(10 * n, changes) for n, changes in enumerate(batches, 1)]
    if bookmark is not None:
        stream.batches.append(Batch(10 * len(batches) + 10, bookmark=bookmark))
    return WatchHistory(LOG, [stream])


def test_a_faithful_stream_passes_every_check() -> None:
    assert check_watch(history((A2,), (A3, A3B), (A5,), bookmark=5)) == []


def test_a_stream_may_start_late_and_end_early() -> None:
    assert check_watch(history((A3, A3B), start=3)) == []


def test_a_bookmark_alone_is_a_faithful_stream_when_nothing_happened() -> None:
    assert check_watch(history(bookmark=9, start=6)) == []


@pytest.mark.parametrize(
    ("check", "bad", "name"),
    [
        (check_filtered, history((A2,), (B4,)), "watch-filtered"),
        (check_ordered, history((A3, A3B), (A2,)), "watch-ordered"),
        (check_unique, history((A2,), (A2,)), "watch-unique"),
        (check_atomic, history((A2,), (A3,), (A3B,)), "watch-atomic"),
        (check_reliable, history((A2,), (A5,)), "watch-reliable"),
        (check_reliable, history((A2,), bookmark=3), "watch-reliable"),
        (check_resumable, history((A2,), start=3), "watch-resumable"),
        (check_truthful, history((Change(9, "/a/9", value=b"x"),)), "watch-truthful"),
        (check_truthful, history((Change(2, "/a/1", value=b"wrong"),)), "watch-truthful"),
        (
            check_truthful,
            history((Change(5, "/a/1", "DELETE", previous=b"one"),)),
            "watch-truthful",
        ),
    ],
)
def test_each_check_fails_on_its_defect(
    check: Callable[[WatchHistory], list[Finding]], bad: WatchHistory, name: str
) -> None:
    found = check(bad)
    assert found
    assert {finding.check for finding in found} == {name}
    assert all(finding.time_ns > 0 for finding in found)


def test_a_change_at_or_before_a_bookmark_is_caught() -> None:
    stream = Stream("w", 2, "/a/")
    stream.batches = [Batch(10, (A2,)), Batch(20, bookmark=3), Batch(30, (A3, A3B))]
    found = check_bookmarkable(WatchHistory(LOG, [stream]))
    assert [finding.time_ns for finding in found] == [30, 30]


def test_a_missing_event_names_the_key_and_the_revision() -> None:
    found = check_reliable(history((A2,), (A5,)))
    assert "'/a/1' at revision 3 was never delivered" in found[0].message
    assert "reached revision 5" in found[0].message
