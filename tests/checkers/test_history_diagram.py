"""The diagram of a violation shows all of its window, readable, with the culprit marked."""

from __future__ import annotations

import re
from itertools import combinations
from xml.etree import ElementTree as ET

import pytest

from k8sactors.checkers.history_diagram import (
    CHARACTER_PX,
    Window,
    to_svg,
    to_text,
    window_around,
    window_of,
)
from k8sactors.checkers.kv_history import (
    Action,
    ActionKind,
    Compare,
    Operation,
    Outcome,
    Request,
    get,
    put,
)
from k8sactors.checkers.linearizability import check_linearizable


def op(
    client: str, request: Request, call: int, end: int | None, *results: bytes | None
) -> Operation:
    outcome = None if end is None else Outcome(True, results or (None,))
    returned = None if end is None else end * 1_000_000
    return Operation(client, request, call, call * 1_000_000, end, returned, outcome)


LONG = Request(
    (Action(ActionKind.PUT, "a-long-key", b"<a & long value>" * 3), Action(ActionKind.DELETE, "x")),
    (Compare("y", b"what was seen"),),
    (Action(ActionKind.GET, "x"),),
)
HISTORY = [
    op("ann", put("x", b"1"), 1, 4),
    op("bob", put("x", b"2"), 2, None),
    op("bob", get("x"), 5, 8, b"2"),
    op("bob", LONG, 6, None),
    op("carl", get("x"), 9, 10, b"1"),
]


@pytest.fixture
def window() -> Window:
    found = window_of(check_linearizable(HISTORY))
    assert found is not None
    return found


SVG = "{http://www.w3.org/2000/svg}"
Box = tuple[float, float, float, float]


def boxes(svg: str) -> list[tuple[Box, list[str]]]:
    """Place of each bar, and its lines."""
    found = []
    for group in ET.fromstring(svg).iter(f"{SVG}g"):  # noqa: S314 - made here
        rect = group.find(f"{SVG}rect")
        assert rect is not None
        x, y, width, height = (float(rect.attrib[n]) for n in ("x", "y", "width", "height"))
        lines = [text.text or "" for text in group.iter(f"{SVG}text")]
        found.append(((x, y, x + width, y + height), lines))
    return found


def overlap(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def test_a_stale_read_is_drawn_with_what_contradicts_it(window: Window) -> None:
    assert window.culprit is HISTORY[-1]
    assert set(map(str, window.operations)) <= {str(each) for each in HISTORY}
    svg = to_svg(window)
    assert svg.count('class="culprit"') == 1
    assert "no order explains: carl: get x -&gt; 1" in svg
    assert "right before it the store held a-long-key=(absent), x=2" in svg
    for client in ("bob", "carl"):
        assert f">{client}</text>" in svg


def test_bars_never_overlap_and_hold_their_text() -> None:
    everything = Window(tuple(HISTORY), HISTORY[-1], "title", ("note",), 3)
    svg = to_svg(everything)
    drawn = boxes(svg)
    assert len(drawn) == len(HISTORY)
    assert not any(overlap(one, other) for (one, _), (other, _) in combinations(drawn, 2))
    size = re.search(r'width="(\d+)" height="(\d+)"', svg)
    assert size is not None
    for (left, top, right, bottom), lines in drawn:
        assert right - left >= max(map(len, lines)) * CHARACTER_PX
        assert bottom - top >= 17 * len(lines)
        assert 0 <= left < right <= float(size[1])
        assert 0 <= top < bottom <= float(size[2])


def test_real_time_runs_from_left_to_right() -> None:
    everything = Window(tuple(HISTORY), HISTORY[-1], "title")
    place = {lines[0]: box for box, lines in boxes(to_svg(everything))}
    assert place["put x=1"][0] < place["put x=2"][0] < place["put x=1"][2]
    assert place["put x=1"][2] < min(box[0] for line, box in place.items() if line == "get x")


def test_the_text_form_has_lanes_and_a_legend(window: Window) -> None:
    text = to_text(Window(tuple(HISTORY), HISTORY[-1], window.title, window.notes, 7))
    lines = text.split("\n")
    assert lines[0] == "no order explains: carl: get x -> 1"
    (carl,) = (line for line in lines if line.startswith("carl "))
    assert re.search(r"\[5=*\]$", carl)
    assert any(re.fullmatch(r"bob +\[2\.*>", line) for line in lines)
    assert "!  5  carl: get x -> 1" in lines
    assert lines[-1] == "(7 operations are left out: not needed to see it)"


def test_a_sound_history_has_no_diagram() -> None:
    assert window_of(check_linearizable(HISTORY[:1])) is None


def test_an_answer_that_the_log_contradicts_is_drawn_among_its_neighbours() -> None:
    other = op("dora", get("unrelated"), 3, 7, None)
    found = window_around([*HISTORY, other], HISTORY[-1], "the log says 2")
    assert found.culprit is HISTORY[-1]
    assert other not in found.operations
    assert HISTORY[0] in found.operations
    assert "the log says 2" in to_svg(found)
