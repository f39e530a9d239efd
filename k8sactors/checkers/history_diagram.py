"""A violation as a diagram: who asked what and when, and which answer cannot be explained.

Each client has a lane, and in it a bar for each of its requests, from call to return, in the order
of real time; the distances mean nothing but that order. A request of unknown outcome fades out
to the right. The answer that no order explains is red, and next to it stands what the store could
have held. The same layout serves for an SVG and for lines of text.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import attrs

from k8sactors.checkers.kv_history import Operation, show_outcome
from k8sactors.checkers.linearizability import Report

FONT_PX = 13
# Of the monospaced font; a little more than any of them takes.
CHARACTER_PX = 7.85
LINE_PX = 17
PAD_PX = 8
# Between two moments.
GAP_PX = 16
LANE_GAP_PX = 14
# Characters in a line of a bar.
MOST_LINE = 44
MOST_LINES = 7
# Operations in the diagram of an answer that only the log contradicts.
MOST_OTHERS = 12

STYLE = f"""
text {{ font: {FONT_PX}px ui-monospace, 'DejaVu Sans Mono', monospace; fill: #1f2933; }}
.title {{ font-weight: bold; font-size: 15px; }}
.dim {{ fill: #5f6c7b; }}
.lane {{ stroke: #d5dbe3; stroke-width: 1; }}
.moment {{ stroke: #e4e8ee; stroke-width: 1; stroke-dasharray: 2 3; }}
.bar {{ fill: #dcebfb; stroke: #4a7fb5; }}
.perhaps {{ fill: url(#fade); stroke: none; }}
.edge {{ stroke: #8a94a3; stroke-width: 1; stroke-dasharray: 4 3; fill: none; }}
.culprit {{ fill: #fde2e1; stroke: #c62f2d; stroke-width: 2.5; }}
.note {{ fill: #fff7e0; stroke: #c9a227; }}
.wrong {{ fill: #a31d1b; font-weight: bold; }}
"""


@attrs.frozen
class Window:
    """What a diagram shows."""

    # With answers that contradict each other, and others that help to understand.
    operations: tuple[Operation, ...]
    # The one that cannot be explained; one of them.
    culprit: Operation
    # Of the diagram, one line.
    title: str
    # What the store could have held, or did; a line each.
    notes: tuple[str, ...] = ()
    # How many more operations there were.
    others: int = 0


def window_of(report: Report) -> Window | None:
    """The shrunken window of a violation; None if there is none."""
    core, culprit = report.core, report.culprit
    if core is None or culprit is None:
        return None
    operations = (*core.operations, *core.perhaps)
    if all(each is not culprit for each in operations):
        # Of what contradicts each other the last answer is as good a suspect.
        culprit = core.culprit
    notes = [
        f"right before it the store held {'either ' * (len(report.states) > 1)}{state}"
        if not number
        else f"or {state}"
        for number, state in enumerate(report.states)
    ]
    return Window(
        operations,
        culprit,
        f"no order explains: {culprit}",
        tuple(notes) or ("no state of the store explains the answers before it either",),
        core.others,
    )


def window_around(operations: Sequence[Operation], culprit: Operation, problem: str) -> Window:
    """An answer that the log contradicts, and the newest before it that touch the same keys."""
    keys = frozenset(culprit.request.keys)
    leases = frozenset(action.lease for action in culprit.request.actions if action.lease)
    end = culprit.return_order or culprit.call_order

    def touches(other: Operation) -> bool:
        theirs = frozenset(other.request.keys)
        return (
            not keys.isdisjoint(theirs)
            or any(action.lease in leases for action in other.request.actions)
            or any(action.covers(key) for action in other.request.actions for key in keys)
            or any(action.covers(key) for action in culprit.request.actions for key in theirs)
        )

    near = [
        each
        for each in operations
        if each is not culprit and each.call_order < end and touches(each)
    ]
    near.sort(key=lambda each: each.return_order or each.call_order)
    shown = sorted([*near[-MOST_OTHERS:], culprit], key=lambda each: each.call_order)
    return Window(
        tuple(shown),
        culprit,
        f"the log contradicts: {culprit}",
        (problem,),
        len(operations) - len(shown),
    )


# -- the layout ---------------------------------------------------------------------------------


@attrs.define
class _Bar:
    """One operation in its place; x in whatever unit the lines are measured in."""

    operation: Operation
    lines: list[str]
    row: int
    first: int
    last: int
    x: float = 0
    end: float = 0
    y: float = 0


@attrs.define
class _Lane:
    client: str
    bars: list[_Bar]
    rows: int


def _lines(operation: Operation) -> list[str]:
    """The request and what was answered, broken into lines."""
    request = str(operation.request)
    for word in (" then ", " else "):
        request = request.replace(word, f"\n{word.strip()} ")
    request = request.replace("; ", ";\n  ")
    told = f"-> {show_outcome(operation)}"
    lines = [piece for line in [*request.split("\n"), told] for piece in _wrapped(line)]
    if len(lines) > MOST_LINES:
        lines = [*lines[: MOST_LINES - 2], "...", lines[-1]]
    return lines


def _wrapped(line: str) -> list[str]:
    pieces = []
    while len(line) > MOST_LINE:
        cut = line.rfind(" ", MOST_LINE // 2, MOST_LINE)
        cut = cut if cut > 0 else MOST_LINE
        pieces.append(line[:cut])
        line = "    " + line[cut:].lstrip()
    return [*pieces, line]


def _lanes(operations: Sequence[Operation]) -> tuple[list[_Lane], list[int]]:
    """The bars by client, each in a row of its own as long as others of the client last."""
    moments = sorted(
        {each.call_order for each in operations}
        | {each.return_order for each in operations if each.return_order is not None}
    )
    place = {order: number for number, order in enumerate(moments)}
    lanes: dict[str, _Lane] = {}
    for each in sorted(operations, key=lambda operation: operation.call_order):
        lane = lanes.setdefault(each.client, _Lane(each.client, [], 0))
        first = place[each.call_order]
        last = len(moments) if each.return_order is None else place[each.return_order]
        busy = {bar.row for bar in lane.bars if bar.last > first}
        row = next(number for number in range(len(lane.bars) + 1) if number not in busy)
        lane.bars.append(_Bar(each, _lines(each), row, first, last))
        lane.rows = max(lane.rows, row + 1)
    return list(lanes.values()), moments


def _spread(bars: Sequence[_Bar], moments: int, gap: float, width_of: dict[int, float]) -> float:
    """Give every moment the smallest x that leaves each bar the width that its text takes."""
    xs: list[float] = []
    for moment in range(moments + 1):
        x = xs[-1] + gap if xs else 0.0
        for bar in bars:
            if bar.last == moment:
                x = max(x, xs[bar.first] + width_of[id(bar)])
        xs.append(x)
    for bar in bars:
        bar.x, bar.end = xs[bar.first], xs[bar.last]
    return xs[-1]


# -- SVG ----------------------------------------------------------------------------------------


def to_svg(window: Window) -> str:
    """The diagram as a file that browsers and editors show."""
    lanes, moments = _lanes(window.operations)
    bars = [bar for lane in lanes for bar in lane.bars]
    widths = {
        id(bar): max(map(len, bar.lines)) * CHARACTER_PX + 2 * PAD_PX + GAP_PX / 2 for bar in bars
    }
    length = _spread(bars, len(moments), GAP_PX, widths)
    left = max(len(lane.client) for lane in lanes) * CHARACTER_PX + 3 * PAD_PX
    head = [window.title, *window.notes]
    head = [piece for line in head for piece in split_line(line, 110)]
    top = PAD_PX + len(head) * LINE_PX + 3 * PAD_PX + LINE_PX
    parts: list[str] = []
    y = float(top)
    for lane in lanes:
        y = _draw_lane(parts, lane, window.culprit, left, y, left + length)
    foot = y + LINE_PX
    # The last moment has its time next to it.
    width = max(
        left + length + 12 * CHARACTER_PX, max(map(len, head)) * (CHARACTER_PX + 1.3) + 3 * PAD_PX
    )
    grid = _grid(bars, moments, left, top, y)
    texts = _head(head, len(split_line(window.title, 110)), width)
    if window.others:
        text = _left_out(window)
        texts.append(f'<text class="dim" x="{PAD_PX}" y="{foot:.0f}">{text}</text>')
    body = "\n".join([*grid, *parts, *texts])
    height = foot + PAD_PX
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}"'
        f' viewBox="0 0 {width:.0f} {height:.0f}">\n<style>{STYLE}</style>\n'
        '<defs><linearGradient id="fade"><stop offset="0" stop-color="#e6e9ee"/>'
        '<stop offset="1" stop-color="#e6e9ee" stop-opacity="0"/></linearGradient></defs>\n'
        '<rect width="100%" height="100%" fill="white"/>\n'
        f"{body}\n</svg>\n"
    )


def _left_out(window: Window) -> str:
    count = "1 operation is" if window.others == 1 else f"{window.others} operations are"
    return f"{count} left out: not needed to see it"


def split_line(line: str, width: int) -> list[str]:
    """The line in pieces that are no wider, broken at spaces where there are any."""
    pieces = []
    while len(line) > width:
        cut = line.rfind(" ", width // 2, width)
        cut = cut if cut > 0 else width
        pieces.append(line[:cut])
        line = "    " + line[cut:].lstrip()
    return [*pieces, line]


def _head(lines: Sequence[str], titles: int, width: float) -> list[str]:
    """The title, and below it in a box what was possible."""
    found = []
    notes = len(lines) - titles
    if notes:
        y = PAD_PX + titles * LINE_PX + 6
        found.append(
            f'<rect class="note" x="{PAD_PX}" y="{y:.0f}" rx="3" width="{width - 2 * PAD_PX:.0f}"'
            f' height="{notes * LINE_PX + PAD_PX:.0f}"/>'
        )
    for number, line in enumerate(lines):
        kind = "title wrong" if number < titles else ""
        y = PAD_PX + (number + 1) * LINE_PX - 4 + (8 if number >= titles else 0)
        x = PAD_PX if number < titles else 2 * PAD_PX
        found.append(
            f'<text class="{kind}" x="{x}" y="{y:.0f}" xml:space="preserve">{escape(line)}</text>'
        )
    return found


def _grid(
    bars: Sequence[_Bar],
    moments: Sequence[int],
    left: float,
    top: float,
    bottom: float,
) -> list[str]:
    """A thin line at every moment, and the time where there is room for it."""
    places: dict[float, int] = {}
    for bar in bars:
        places[bar.x] = bar.operation.called_ns
        if bar.operation.returned_ns is not None and bar.last < len(moments):
            places[bar.end] = bar.operation.returned_ns
    found, free = [], 0.0
    for x, time_ns in sorted(places.items()):
        at = left + x
        found.append(
            f'<line class="moment" x1="{at:.0f}" x2="{at:.0f}" y1="{top - 6:.0f}"'
            f' y2="{bottom - LANE_GAP_PX / 2:.0f}"/>'
        )
        text = f"{time_ns / 1e9:.3f} s"
        if x >= free:
            found.append(f'<text class="dim" x="{at:.0f}" y="{top - 12:.0f}">{text}</text>')
            free = x + (len(text) + 2) * CHARACTER_PX
    return found


def _draw_lane(
    parts: list[str], lane: _Lane, culprit: Operation, left: float, top: float, right: float
) -> float:
    """One client; returns where the next one begins."""
    heights = [0.0] * lane.rows
    for bar in lane.bars:
        heights[bar.row] = max(heights[bar.row], len(bar.lines) * LINE_PX + 10)
    y = top
    starts = []
    for height in heights:
        starts.append(y)
        y += height + 5
    middle = top + heights[0] / 2 + 4
    parts.append(f'<text x="{PAD_PX}" y="{middle:.0f}">{escape(lane.client)}</text>')
    for bar in lane.bars:
        _draw_bar(parts, bar, culprit, left, starts[bar.row])
    bottom = y + LANE_GAP_PX / 2 - 5
    parts.append(
        f'<line class="lane" x1="{PAD_PX}" x2="{right:.0f}" y1="{bottom:.0f}" y2="{bottom:.0f}"/>'
    )
    return y - 5 + LANE_GAP_PX


def _draw_bar(parts: list[str], bar: _Bar, culprit: Operation, left: float, top: float) -> None:
    operation = bar.operation
    x, width = left + bar.x, bar.end - bar.x
    height = len(bar.lines) * LINE_PX + 8
    wrong = operation is culprit
    kind = "culprit" if wrong else "perhaps" if operation.is_unknown else "bar"
    times = f"{operation.called_ns / 1e9:.6f} s"
    if operation.returned_ns is not None:
        times += f" to {operation.returned_ns / 1e9:.6f} s"
    parts.append(
        f"<g><title>{escape(f'{operation} ({times})')}</title>"
        f'<rect class="{kind}" x="{x:.0f}" y="{top:.0f}" rx="3" width="{width:.0f}"'
        f' height="{height:.0f}"/>'
    )
    if operation.is_unknown:
        parts.append(
            f'<path class="edge" d="M{x + width:.0f} {top:.0f} H{x:.0f} v{height:.0f}'
            f' H{x + width:.0f}"/>'
        )
    for number, line in enumerate(bar.lines):
        y = top + (number + 1) * LINE_PX - 1
        weight = ' class="wrong"' if wrong and number == len(bar.lines) - 1 else ""
        parts.append(
            f'<text{weight} x="{x + PAD_PX:.0f}" y="{y:.0f}" xml:space="preserve">'
            f"{escape(line)}</text>"
        )
    parts.append("</g>")


# -- text ---------------------------------------------------------------------------------------


def to_text(window: Window) -> str:
    """The diagram for a terminal: bars with numbers, and what they stand for below."""
    lanes, moments = _lanes(window.operations)
    bars = sorted((bar for lane in lanes for bar in lane.bars), key=lambda bar: bar.first)
    numbers = {id(bar): str(number) for number, bar in enumerate(bars, 1)}
    widths = {id(bar): len(numbers[id(bar)]) + 3.0 for bar in bars}
    length = int(_spread(bars, len(moments), 2, widths)) + 1
    margin = max(len(lane.client) for lane in lanes) + 2
    lines = [window.title, *(f"  {note}" for note in window.notes), ""]
    for lane in lanes:
        for row in range(lane.rows):
            cells = [" "] * (length + 1)
            for bar in lane.bars:
                if bar.row == row:
                    wrong = bar.operation is window.culprit
                    _draw_text(cells, bar, numbers[id(bar)], wrong=wrong)
            name = lane.client if not row else ""
            lines.append(f"{name:<{margin}}{''.join(cells)}".rstrip())
    lines.append("")
    for bar in bars:
        mark = "!" if bar.operation is window.culprit else " "
        lines.append(f"{mark}{numbers[id(bar)]:>3}  {bar.operation}")
    if window.others:
        lines.append(f"({_left_out(window)})")
    return "\n".join(lines)


def _draw_text(cells: list[str], bar: _Bar, number: str, *, wrong: bool) -> None:
    first, last = int(bar.x), int(bar.end)
    open_end = bar.operation.is_unknown
    fill = "." if open_end else "=" if wrong else "-"
    for place in range(first, last + 1):
        cells[place] = fill
    cells[first] = "["
    cells[last] = ">" if open_end else "]"
    for offset, character in enumerate(number):
        cells[first + 1 + offset] = character
