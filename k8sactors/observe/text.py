"""Long lists in messages: the first few, and how many there are besides."""

from __future__ import annotations

from collections.abc import Iterable

MOST_NAMED = 12


def few(names: Iterable[str], separator: str = ", ") -> str:
    """The names; of many the first ones and a count of the others."""
    listed = list(names)
    if len(listed) <= MOST_NAMED:
        return separator.join(listed)
    return f"{separator.join(listed[:MOST_NAMED])} and {len(listed) - MOST_NAMED} more"


def few_lines(lines: Iterable[str]) -> list[str]:
    """The lines; of many the first ones and a count of the others."""
    listed = list(lines)
    if len(listed) <= MOST_NAMED:
        return listed
    return [*listed[:MOST_NAMED], f"and {len(listed) - MOST_NAMED} more"]
