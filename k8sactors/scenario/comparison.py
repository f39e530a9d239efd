"""Numbers within bounds: what several conditions share."""

from __future__ import annotations

from typing import Protocol


class Bounds(Protocol):
    """What a number is compared with."""

    at_least: int | None
    at_most: int | None


def out_of_bounds(number: float, wanted: Bounds) -> str | None:
    """How a number misses its bounds."""
    if wanted.at_least is not None and number < wanted.at_least:
        return f"{number}, expected at least {wanted.at_least}"
    if wanted.at_most is not None and number > wanted.at_most:
        return f"{number}, expected at most {wanted.at_most}"
    return None
