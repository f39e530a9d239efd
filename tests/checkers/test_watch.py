"""Each watch check accepts faithful streams and fails on the one defect that it is there for."""

from __future__ import annotations

from collections.abc import Callable

import attrs
import pytest

from k8sactors.checkers.findings import Finding
from k8sactors.checkers.watch import (
    CHECKS,
    Batch,
    Change,
    Compaction,
    Stream,
    WatchHistory,
    check_atomic,
    check_bookmarkable,
    check_filtered,
    check_is_create,
    check_ordered,
    check_previous,
    check_reliable,
    check_resumable,
    check_truthful,
    check_unique,
    check_watch,
)
from k8sactors.checkers.watch_exact import check_watch_exactly

A2 = Change(2, "/a/1", "PUT", b"one", 2, 1)
A3 = Change(3, "/a/1", "PUT", b"two", 2, 2, previous=A2)
A3B = Change(3, "/a/2", "PUT", b"both", 3, 1, lease=7)
B4 = Change(4, "/b/1", "PUT", b"other", 4, 1)
A5 = Change(5, "/a/1", "DELETE", previous=attrs.evolve(A3, previous=None))
A6 = Change(6, "/a/1", "PUT", b"again", 6, 1)
LOG = [A2, A3, A3B, B4, A5, A6]
TIMES_NS = {change.revision: change.revision for change in LOG}
LATE_NS = 1_000


def history(
    *batches: tuple[Change, ...],
    start: int = 2,
    bookmark: int | None = None,
    compacted: int | None = None,
    due: int = 0,
    without: tuple[str, ...] = (),
    compactions: tuple[Compaction, ...] = (),
) -> WatchHistory:
    stream = Stream("w", start, "/a/", with_previous=True, due=due, without=without)
    stream.batches = [Batch(10 * n, changes) for n, changes in enumerate(batches, 1)]
    if bookmark is not None:
        stream.batches.append(Batch(LATE_NS, bookmark=bookmark))
    if compacted is not None:
        stream.batches.append(Batch(LATE_NS + 1, compacted=compacted))
    return WatchHistory(LOG, [stream], list(compactions))


def exact(bad: WatchHistory) -> list[Finding]:
    return check_watch_exactly(bad, TIMES_NS)


SOUND = {
    "whole": history((A2,), (A3, A3B), (A5,), (A6,), bookmark=6),
    "in one batch": history((A2, A3, A3B, A5, A6)),
    "starts late and ends early": history((A3, A3B), start=3),
    "nothing happened": history(bookmark=9, start=7),
    "nothing was said yet": history(start=3),
    "all that was due": history((A2, A3, A3B), due=4),
    "without deletions": history((A2,), (A3, A3B), (A6,), without=("DELETE",), due=6),
    "without puts": history((A5,), bookmark=6, without=("PUT",)),
    "history is gone": history((A2,), compacted=4, due=6, compactions=(Compaction(LATE_NS, 4),)),
    "the state before is gone": history(
        (attrs.evolve(A3, previous=None), A3B), start=3, compactions=(Compaction(5, 3),)
    ),
}


@pytest.mark.parametrize("name", SOUND)
def test_a_faithful_stream_passes_every_check(name: str) -> None:
    assert check_watch(SOUND[name]) == []
    assert exact(SOUND[name]) == []


Check = Callable[[WatchHistory], list[Finding]]
DEFECTS: dict[str, tuple[Check, WatchHistory]] = {
    "a key that was not asked for": (check_filtered, history((A2,), (A3, A3B), (B4,))),
    "a type that was not asked for": (
        check_filtered,
        history((A2,), (A3, A3B), (A5,), without=("DELETE",)),
    ),
    "revisions fall": (check_ordered, history((A3, A3B), (A2,))),
    "a change twice": (check_unique, history((A2,), (A2,))),
    "a change twice in a batch": (check_unique, history((A2, A2))),
    "a revision is split": (check_atomic, history((A2,), (A3,), (A3B,))),
    "a gap": (check_reliable, history((A2,), (A5,))),
    "half a revision": (check_reliable, history((A2,), (A3,), (A5,))),
    "a gap before a bookmark": (check_reliable, history((A2,), bookmark=3)),
    "the first changes are missing": (check_reliable, history((A5,))),
    "older than asked for": (check_resumable, history((A2,), (A3, A3B), start=3)),
    "silence": (check_resumable, history((A2,), due=3)),
    "silence from the start": (check_resumable, history(due=3)),
    "a compaction that never was": (check_resumable, history((A2,), compacted=4)),
    "a compaction that does not matter": (
        check_resumable,
        history((A2,), (A3, A3B), compacted=4, compactions=(Compaction(20, 4),)),
    ),
    "a change that never was": (check_truthful, history((attrs.evolve(A2, key="/a/9"),))),
    "a wrong value": (check_truthful, history((attrs.evolve(A2, value=b"wrong"),))),
    "a wrong type": (check_truthful, history((Change(2, "/a/1", "DELETE"),))),
    "a wrong lease": (check_truthful, history((A2,), (A3, attrs.evolve(A3B, lease=8)))),
    "a wrong state before": (
        check_previous,
        history((A2,), (attrs.evolve(A3, previous=attrs.evolve(A2, value=b"x")), A3B)),
    ),
    "an old state before": (
        check_previous,
        history((A2, A3, A3B), (attrs.evolve(A5, previous=A2),)),
    ),
    "no state before": (check_previous, history((A2,), (attrs.evolve(A3, previous=None), A3B))),
    "a state before a creation": (check_previous, history((attrs.evolve(A2, previous=B4),))),
    "no state before, long after the compaction": (
        check_previous,
        history((attrs.evolve(A3, previous=None), A3B), start=3, compactions=(Compaction(5, 2),)),
    ),
    "a change called a creation": (
        check_is_create,
        history((A2,), (attrs.evolve(A3, created=3, version=1), A3B)),
    ),
    "a creation called a change": (
        check_is_create,
        history((attrs.evolve(A2, created=1, version=2),)),
    ),
    "a wrong version": (check_is_create, history((A2,), (attrs.evolve(A3, version=3), A3B))),
}


@pytest.mark.parametrize("name", DEFECTS)
def test_each_check_fails_on_its_defect(name: str) -> None:
    check, bad = DEFECTS[name]
    found = check(bad)
    assert found
    assert len({finding.check for finding in found}) == 1
    assert all(finding.message.startswith("watcher w: ") for finding in found)
    # The exact check sees everything that any of them sees.
    assert [finding.check for finding in exact(bad)] == ["exact-watch"]


def test_every_check_has_a_defect_that_it_was_seen_to_find() -> None:
    bookmark = {check_bookmarkable}
    assert {check for check, _ in DEFECTS.values()} | bookmark == set(CHECKS)


def test_most_defects_are_seen_by_their_check_alone() -> None:
    """A check that fails whenever another does would be of no use."""
    for check in CHECKS:
        mine = [bad for own, bad in DEFECTS.values() if own is check]
        others = [c for c in CHECKS if c is not check]
        alone = [bad for bad in mine if not any(other(bad) for other in others)]
        assert alone or check in {check_bookmarkable, check_unique}, check


def test_a_change_at_or_before_a_bookmark_is_caught() -> None:
    stream = Stream("w", 2, "/a/", with_previous=True)
    stream.batches = [Batch(10, (A2,)), Batch(20, bookmark=3), Batch(30, (A3, A3B))]
    bad = WatchHistory(LOG, [stream])
    assert [finding.time_ns for finding in check_bookmarkable(bad)] == [30, 30]
    assert [finding.time_ns for finding in exact(bad)] == [20]


def test_a_missing_event_names_the_key_and_the_revision() -> None:
    bad = history((A2,), (A5,))
    assert "'/a/1' at revision 3 was never delivered" in check_reliable(bad)[0].message
    assert "reached revision 5" in check_reliable(bad)[0].message
    assert "where PUT '/a/1' at revision 3 (b'two', version 2" in exact(bad)[0].message


def test_a_change_that_is_told_before_it_happened_is_seen_by_the_exact_check() -> None:
    found = check_watch_exactly(history((A2,)), {2: 11})
    assert "before it had happened" in found[0].message


def test_a_stream_continues_where_it_was_across_connections() -> None:
    stream = Stream("w", 2, "/a/", with_previous=True)
    stream.batches = [Batch(10, (A2,), 2), Batch(20, (A3, A3B), 4), Batch(30, (), 4)]
    sound = WatchHistory(LOG, [stream])
    assert check_watch(sound) + exact(sound) == []
    stream.batches.append(Batch(40, (A3, A3B)))
    assert {finding.check for finding in check_watch(sound)} >= {"watch-unique"}
    assert exact(sound)
