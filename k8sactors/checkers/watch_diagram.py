"""A broken watch as a diagram: on the left what happened, on the right what the watcher was sent.

Lines join each change with the place at which it came. What was missing has no line and is red on
the left; what should not have come, or not there, is red on the right. Only the neighbourhood of
the first mistake is shown.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape

import attrs

from k8sactors.checkers.history_diagram import CHARACTER_PX, LINE_PX, PAD_PX, STYLE, split_line
from k8sactors.checkers.watch import Batch, Change, Stream, WatchHistory, check_watch

# Responses shown on either side of the first mistake.
BEFORE, BEHIND = 3, 2
MOST_MISSING = 12
MOST_IN_BATCH = 8
MOST_VALUE = 20
COLUMN_GAP_PX = 110
_STYLE = """
.joined { stroke: #8a94a3; stroke-width: 1.2; fill: none; }
.astray { stroke: #c62f2d; stroke-width: 1.5; stroke-dasharray: 4 3; fill: none; }
"""


@attrs.frozen
class Shown:
    """A line on the right: a change, or a word of the server."""

    text: str
    wrong: bool
    key: tuple[int, str] | None = None


@attrs.frozen
class Response:
    """One response of the stream, as shown."""

    time_ns: int
    lines: tuple[Shown, ...]


@attrs.define
class WatchWindow:
    """What a diagram shows."""

    # What is wrong, one line.
    title: str
    # What the watcher had asked for.
    asked: str
    # The changes that it asked for, each with its time and whether it is missing.
    expected: list[tuple[int, Change, bool]] = attrs.field(factory=list)
    # What it was sent around the first mistake.
    responses: list[Response] = attrs.field(factory=list)


def watch_window(history: WatchHistory, times_ns: Mapping[int, int]) -> WatchWindow | None:
    """The first stream that breaks a guarantee; None: all keep them.

    Args:
        history: the log and the streams.
        times_ns: when each revision came to be.
    """
    for stream in history.streams:
        found = check_watch(attrs.evolve(history, streams=[stream]))
        if found:
            first = min(found, key=lambda each: each.time_ns)
            title = f"{first.check}: {first.message}"
            return _window(history, stream, times_ns, title, first.time_ns)
    return None


def _window(
    history: WatchHistory, stream: Stream, times_ns: Mapping[int, int], title: str, time_ns: int
) -> WatchWindow:
    wanted = [
        change
        for change in history.log
        if change.revision >= stream.start_revision and stream.wants(change)
    ]
    wrong = _wrong(stream, wanted)
    missing = _missing(stream, wanted)
    anchor = _anchor(stream, wrong, missing, time_ns)
    first, last = max(0, anchor - BEFORE), anchor + BEHIND + 1
    batches = stream.batches[first:last]
    responses = [
        _response(batch, {at for number, at in wrong if number == first + place})
        for place, batch in enumerate(batches)
    ]
    lost = [(change.revision, change.key) for change in missing]
    shown = {line.key for response in responses for line in response.lines}
    shown.update(lost[:MOST_MISSING])
    near = [change for change in wanted if (change.revision, change.key) in shown]
    asked = f"asked for {stream.prefix!r}* from revision {stream.start_revision or 'now'} on"
    return WatchWindow(
        title,
        asked,
        [
            (times_ns.get(change.revision, 0), change, (change.revision, change.key) in lost)
            for change in near
        ],
        responses,
    )


def _wrong(stream: Stream, wanted: Sequence[Change]) -> list[tuple[int, int]]:
    """Batch and place of what was not asked for, came twice or too late, or is not true."""
    made = {(change.revision, change.key): change for change in wanted}
    seen: set[tuple[int, str]] = set()
    batch_of: dict[int, int] = {}
    found, newest, bookmark = [], 0, 0
    for number, batch in enumerate(stream.batches):
        for at, change in enumerate(batch.changes):
            key = (change.revision, change.key)
            logged = made.get(key)
            split = batch_of.setdefault(change.revision, number) != number
            late = change.revision < newest or change.revision <= bookmark
            if logged is None or key in seen or late or split or not _agrees(change, logged):
                found.append((number, at))
            seen.add(key)
            newest = max(newest, change.revision)
        bookmark = max(bookmark, batch.bookmark or 0)
    return found


def _agrees(change: Change, logged: Change) -> bool:
    return attrs.evolve(change, previous=None) == attrs.evolve(logged, previous=None) and (
        change.previous is None or change.previous == logged.previous
    )


def _missing(stream: Stream, wanted: Sequence[Change]) -> list[Change]:
    """What never came, though the stream went past it or had the time to tell it."""
    got = {(change.revision, change.key) for _, _, change in stream.changes()}
    told = [change.revision for _, _, change in stream.changes()]
    told += [batch.bookmark or 0 for batch in stream.batches]
    ended = any(batch.compacted is not None for batch in stream.batches)
    due = 0 if ended or not stream.start_revision else stream.due
    reach = max([*told, due])
    return [
        change
        for change in wanted
        if change.revision <= reach and (change.revision, change.key) not in got
    ]


def _anchor(
    stream: Stream, wrong: Sequence[tuple[int, int]], missing: Sequence[Change], time_ns: int
) -> int:
    """The response with the first mistake."""
    places = [number for number, _ in wrong[:1]]
    if missing:
        places += [
            number
            for number, batch in enumerate(stream.batches)
            if max([batch.bookmark or 0, *(each.revision for each in batch.changes)])
            > missing[0].revision
        ][:1]
    places += [number for number, batch in enumerate(stream.batches) if batch.time_ns == time_ns]
    return min(places, default=max(0, len(stream.batches) - 1))


def _response(batch: Batch, wrong: set[int]) -> Response:
    # What is wrong first, if not all can be shown.
    places = sorted(range(len(batch.changes)), key=lambda at: (at not in wrong, at))
    lines = [
        Shown(
            _text(batch.changes[at]),
            at in wrong,
            (batch.changes[at].revision, batch.changes[at].key),
        )
        for at in sorted(places[:MOST_IN_BATCH])
    ]
    left = len(batch.changes) - len(lines)
    if left:
        lines.append(Shown(f"({left} more)", wrong=False))
    if batch.bookmark is not None and not batch.changes:
        lines.append(Shown(f"progress: all up to {batch.bookmark} was sent", wrong=False))
    if batch.compacted is not None:
        why = f"history before {batch.compacted} is gone" if batch.compacted else "no reason given"
        lines.append(Shown(f"cancelled: {why}", wrong=False))
    return Response(batch.time_ns, tuple(lines))


def _text(change: Change) -> str:
    text = f"{change.revision}  {change.type.lower()} {change.key}"
    if change.value is not None:
        value = change.value.decode(errors="replace")
        text += f"={value if len(value) <= MOST_VALUE else value[: MOST_VALUE - 3] + '...'}"
    return text


# -- SVG ----------------------------------------------------------------------------------------


def watch_svg(window: WatchWindow) -> str:
    """The diagram as a file that browsers and editors show."""
    head = [*split_line(window.title, 100), window.asked]
    top = (len(head) + 2) * LINE_PX + PAD_PX
    left_texts = [_text(change) for _, change, _ in window.expected]
    left_width = max([16, *map(len, left_texts)]) * CHARACTER_PX + 11 * CHARACTER_PX
    right = PAD_PX + left_width + COLUMN_GAP_PX
    lines = [line for response in window.responses for line in response.lines]
    right_width = max([24, *(len(line.text) for line in lines)]) * CHARACTER_PX + 3 * PAD_PX
    parts = _left(window, left_texts, top)
    drawn, places, bottom = _right(window, top, right, right_width)
    parts += drawn
    parts += _joined(window, places, top, PAD_PX + left_width, right)
    width = max(right + right_width + PAD_PX, max(map(len, head)) * (CHARACTER_PX + 1.3) + 16)
    height = max(bottom, top + (len(window.expected) + 1) * LINE_PX) + PAD_PX
    y = top - LINE_PX
    heads = [
        _line_of_text(line, PAD_PX, (number + 1) * LINE_PX, "title wrong" if last else "dim")
        for number, line in enumerate(head)
        for last in [number < len(head) - 1]
    ]
    heads.append(_line_of_text("what happened", PAD_PX, y, "title"))
    heads.append(_line_of_text("what was sent", right, y, "title"))
    body = "\n".join([*heads, *parts])
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}"'
        f' viewBox="0 0 {width:.0f} {height:.0f}">\n<style>{STYLE}{_STYLE}</style>\n'
        f'<rect width="100%" height="100%" fill="white"/>\n{body}\n</svg>\n'
    )


def _line_of_text(text: str, x: float, y: float, kind: str = "") -> str:
    return (
        f'<text class="{kind}" x="{x:.0f}" y="{y:.0f}" xml:space="preserve">{escape(text)}</text>'
    )


def _left(window: WatchWindow, texts: Sequence[str], top: float) -> list[str]:
    parts = []
    for row, (text, (time_ns, _, missing)) in enumerate(zip(texts, window.expected, strict=True)):
        y = top + (row + 1) * LINE_PX
        parts.append(_line_of_text(f"{time_ns / 1e9:.3f} s", PAD_PX, y, "dim"))
        x = PAD_PX + 11 * CHARACTER_PX
        parts.append(_line_of_text(text, x, y, "wrong" if missing else ""))
    return parts


Places = list[tuple[tuple[int, str], float, bool]]


def _right(
    window: WatchWindow, top: float, x: float, width: float
) -> tuple[list[str], Places, float]:
    """The responses from top to bottom; where each change stands, and where they end."""
    parts: list[str] = []
    places: Places = []
    y = top
    for response in window.responses:
        wrong = any(line.wrong for line in response.lines)
        height = (len(response.lines) + 1) * LINE_PX + 6
        parts.append(
            f'<rect class="{"culprit" if wrong else "bar"}" x="{x:.0f}" y="{y:.0f}" rx="3"'
            f' width="{width:.0f}" height="{height:.0f}"/>'
        )
        parts.append(
            _line_of_text(f"{response.time_ns / 1e9:.3f} s", x + PAD_PX, y + LINE_PX - 2, "dim")
        )
        for number, line in enumerate(response.lines, 2):
            at = y + number * LINE_PX - 2
            parts.append(_line_of_text(line.text, x + PAD_PX, at, "wrong" if line.wrong else ""))
            if line.key is not None:
                places.append((line.key, at, line.wrong))
        y += height + PAD_PX
    return parts, places, y


def _joined(
    window: WatchWindow, places: Places, top: float, left: float, right: float
) -> Iterator[str]:
    rows = {
        (change.revision, change.key): top + (row + 1) * LINE_PX - 4
        for row, (_, change, _) in enumerate(window.expected)
    }
    for key, y, wrong in places:
        if key in rows:
            middle = (left + right) / 2
            kind = "astray" if wrong else "joined"
            yield (
                f'<path class="{kind}" d="M{left:.0f} {rows[key]:.0f} C{middle:.0f}'
                f' {rows[key]:.0f} {middle:.0f} {y - 4:.0f} {right:.0f} {y - 4:.0f}"/>'
            )
