"""Every Python block of the documentation runs as it stands."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

# Its blocks are test modules with fixtures: see `test_fixture_examples`.
FIXTURES = "testing.md"
DOCS = Path(__file__).parents[2] / "docs"
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^## (.+)$", re.MULTILINE)


def blocks() -> Iterator[Any]:
    for file in sorted(DOCS.rglob("*.md")):
        if file.name == FIXTURES:
            continue
        text = file.read_text(encoding="utf-8")
        for match in BLOCK.finditer(text):
            headings = HEADING.findall(text[: match.start()]) or ["start"]
            title = f"{file.stem}: {headings[-1]}"
            yield pytest.param(file.name, match[1], id=title.replace(" ", "-").lower())


def cases(test: Callable[..., None]) -> list[dict[str, Any]]:
    """The arguments of a block's own test: one set per parameter, as pytest would make them."""
    marks = [mark for mark in getattr(test, "pytestmark", []) if mark.name == "parametrize"]
    if not marks:
        return [{}]
    name, values = marks[0].args
    return [{name: value} for value in values]


@pytest.mark.covers("DC-16")
@pytest.mark.parametrize(("file", "code"), list(blocks()))
def test_the_block_runs(file: str, code: str) -> None:
    names: dict[str, Any] = {"__name__": "example"}
    exec(compile(code, file, "exec"), names)  # noqa: S102 - the documentation's own words
    assert len(names) > 2, "the block defines and imports nothing"
    for name, value in names.items():
        if name.startswith("test_") and inspect.isfunction(value):
            arguments = cases(value)
            assert arguments, f"{name} has no cases"
            for each in arguments:
                value(**each)
