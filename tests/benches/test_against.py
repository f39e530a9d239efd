"""A bench of two checkouts, compared."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from benches import against
from benches.against import main, numbers

# Answers with what stands in `figures`, and appends a letter to a file that both checkouts share.
BENCH = """
import json, pathlib, sys
turns = pathlib.Path({turns!r})
before = turns.read_text() if turns.exists() else ""
turns.write_text(before + {letter!r})
figures = json.loads({figures!r})
assert sys.argv[-1] == "--json"
if "--strict" in sys.argv:
    print("no such option", file=sys.stderr)
    sys.exit(2)
if "--verbose" in sys.argv:
    print("begin")
print(json.dumps(figures[before.count({letter!r})]))
"""


def checkout(root: Path, letter: str, figures: list[object]) -> Path:
    path = root / letter
    (path / "benches").mkdir(parents=True)
    turns = str(root / "turns")
    source = BENCH.format(turns=turns, letter=letter, figures=json.dumps(figures))
    (path / "benches" / "sample.py").write_text(source)
    (path / ".venv" / "bin").mkdir(parents=True)
    (path / ".venv" / "bin" / "python").symlink_to(sys.executable)
    return path


@pytest.fixture
def checkouts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    here = [{"per_second": rate, "mode": "put", "p": {"p50": 2}} for rate in (90, 10, 100)]
    base = [{"per_second": rate, "mode": "put", "p": {"p50": 0}, "old": 1} for rate in (90, 9, 300)]
    monkeypatch.setattr(against, "HERE", checkout(tmp_path, "h", here))
    checkout(tmp_path, "b", base)
    return tmp_path


def test_medians_of_the_figures_that_both_have_are_compared(checkouts: Path) -> None:
    outcome = CliRunner().invoke(main, ["sample", "--base", str(checkouts / "b"), "--json"])
    assert outcome.exit_code == 0, outcome.output
    assert json.loads(outcome.stdout) == {
        "bench": "sample",
        "rounds": 3,
        "measures": {
            "per_second": {"here": 90, "base": 90, "ratio": 1.0},
            "p p50": {"here": 2, "base": 0, "ratio": None},
        },
    }
    assert (checkouts / "turns").read_text() == "bhhbbh"


def test_a_rate_below_the_bar_fails(checkouts: Path) -> None:
    arguments = ["sample", "--base", str(checkouts / "b"), "--at-least", "1.01"]
    outcome = CliRunner().invoke(main, arguments)
    assert outcome.exit_code == 1
    assert "below 1.01 of the other checkout: per_second 1.000" in outcome.output
    assert "here / base" in outcome.output


def test_arguments_go_to_both_or_to_one(checkouts: Path) -> None:
    base = str(checkouts / "b")
    both = CliRunner().invoke(main, ["sample", "--base", base, "--", "--strict"])
    one = CliRunner().invoke(main, ["sample", "--base", base, "--here-argument=--strict"])
    for outcome, directory in ((both, "b"), (one, "h")):
        assert outcome.exit_code == 1
        assert f"in {checkouts / directory} ended with 2:\nno such option" in outcome.output


def test_a_bench_that_prints_something_else_is_shown(checkouts: Path) -> None:
    arguments = ["sample", "--base", str(checkouts / "b"), "--", "--verbose"]
    outcome = CliRunner().invoke(main, arguments)
    assert outcome.exit_code == 1
    assert "ended with 0:\nbegin\n{" in outcome.output


def test_a_checkout_without_an_interpreter_is_refused(tmp_path: Path) -> None:
    outcome = CliRunner().invoke(main, ["sample", "--base", str(tmp_path)])
    assert outcome.exit_code == 2
    assert "has no interpreter of its own" in outcome.output


def test_runs_of_a_bench_are_told_apart_by_what_they_do() -> None:
    runs = {"runs": [{"mode": "put", "clients": 10, "per_second": 5}, {"seconds": 1.5}]}
    named = {"runs put 10 clients": 10, "runs put 10 per_second": 5, "runs 2 seconds": 1.5}
    assert dict(numbers(runs)) == named
