"""The diagram of a broken watch: what is missing on the left, what is wrong on the right."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import attrs

from k8sactors.checkers.watch import Batch, Change, Stream, WatchHistory, check_watch
from k8sactors.checkers.watch_diagram import WatchWindow, watch_svg, watch_window

LOG = [
    Change(number, "a", value=b"v%d" % number, created=2, version=number - 1)
    for number in range(2, 30)
]
TIMES_NS = {change.revision: change.revision * 10**9 for change in LOG}


def one_by_one(*revisions: int) -> list[Batch]:
    return [
        Batch(10**9 * (30 + number), (LOG[revision - 2],))
        for number, revision in enumerate(revisions)
    ]


def window_of(batches: list[Batch], due: int = 0) -> WatchWindow | None:
    stream = Stream("w", 2, "a", batches=batches, due=due)
    return watch_window(WatchHistory(LOG, [Stream("fine", 2, "a"), stream]), TIMES_NS)


def missing(window: WatchWindow | None) -> list[int]:
    assert window is not None
    return [change.revision for _, change, lost in window.expected if lost]


def wrong(window: WatchWindow | None) -> list[str]:
    assert window is not None
    return [line.text for each in window.responses for line in each.lines if line.wrong]


def drawn(window: WatchWindow | None) -> list[str]:
    """All texts of the diagram, which is well-formed."""
    assert window is not None
    tree = ET.fromstring(watch_svg(window))  # noqa: S314 - our own
    return [each.text for each in tree.iter() if each.text]


def test_a_sound_watch_has_no_diagram() -> None:
    assert window_of(one_by_one(*range(2, 12))) is None


def test_what_was_skipped_is_red_on_the_left() -> None:
    window = window_of(one_by_one(*range(2, 12), *range(14, 20)))
    assert missing(window) == [12, 13]
    assert wrong(window) == []
    assert "12  put a=v12" in drawn(window)
    assert any("watch-reliable" in text for text in drawn(window))


def test_what_came_twice_is_red_on_the_right_with_what_was_around_it() -> None:
    window = window_of(one_by_one(*range(2, 12), 7, *range(12, 20)))
    assert wrong(window) == ["7  put a=v7"]
    assert missing(window) == []
    assert window is not None
    assert [each.lines[0].text[:2].strip() for each in window.responses] == [
        "9",
        "10",
        "11",
        "7",
        "12",
        "13",
    ]


def test_what_is_not_true_is_red_on_the_right() -> None:
    batches = one_by_one(2, 3, 4)
    batches[1] = attrs.evolve(batches[1], changes=(attrs.evolve(LOG[1], value=b"lie <&>"),))
    window = window_of(batches)
    assert wrong(window) == ["3  put a=lie <&>"]
    assert "3  put a=lie <&>" in drawn(window)


def test_silence_is_what_was_due_in_the_end() -> None:
    assert missing(window_of(one_by_one(2, 3), due=5)) == [4, 5]
    assert missing(window_of([], due=3)) == [2, 3]


def test_a_long_replay_is_cut() -> None:
    replay = Batch(10**11, tuple(LOG[:20]))
    window = window_of([*one_by_one(*range(2, 25)), replay])
    assert len(wrong(window)) == 8
    assert "(12 more)" in drawn(window)


def test_words_about_progress_and_compaction_are_shown() -> None:
    batches = [*one_by_one(2), Batch(10**11, bookmark=9), Batch(2 * 10**11, compacted=12)]
    window = window_of(batches)
    assert missing(window) == [3, 4, 5, 6, 7, 8, 9]
    texts = drawn(window)
    assert "progress: all up to 9 was sent" in texts
    assert "cancelled: history before 12 is gone" in texts


def test_every_broken_stream_of_any_kind_can_be_drawn() -> None:
    """A split revision, a change of another key, a bookmark that was passed: none is left out."""
    pair = [
        Change(2, "a", value=b"1", created=2, version=1),
        Change(2, "ab", value=b"1", created=2, version=1),
    ]
    split = [Batch(3, (pair[0],)), Batch(4, (pair[1],))]
    foreign = [Batch(3, (Change(2, "x", value=b"1", created=2, version=1),))]
    early = [Batch(3, bookmark=2), Batch(4, tuple(pair))]
    for batches in (split, foreign, early):
        stream = Stream("w", 2, "a", batches=batches)
        history = WatchHistory([*pair, Change(2, "x", value=b"1", created=2, version=1)], [stream])
        assert check_watch(history)
        window = watch_window(history, {2: 1})
        assert wrong(window)
        assert drawn(window)
