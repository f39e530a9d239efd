"""Lists of the indexes of a Job, as they stand in its policies and in its status."""

from __future__ import annotations

import re

from k8sactors.api.validation.fields import Causes, invalid, too_long

_TEXT_MAX = 64 * 1024


class IndexesError(Exception):
    """A list of indexes that is not well-formed."""


def _number(text: str, completions: int) -> int:
    if not re.fullmatch(r"[+-]?[0-9]+", text):
        raise IndexesError(f'cannot convert string to integer for index: "{text}"')
    if int(text) >= completions:
        raise IndexesError(f'too large index: "{text}"')
    return int(text)


def parse_indexes(text: str, completions: int) -> list[tuple[int, int]]:
    """The intervals in a text such as `0,2-4`, in increasing order.

    Raises:
        IndexesError: it is not well-formed, or has an index that the Job does not have.
    """
    intervals: list[tuple[int, int]] = []
    for fragment in text.split(",") if text else ():
        limits = fragment.split("-")
        if len(limits) > 2:  # noqa: PLR2004 - first and last
            raise IndexesError(
                f'the fragment "{fragment}" violates the requirement that an index interval can '
                "have at most two parts separated by '-'"
            )
        numbers = [_number(limit, completions) for limit in limits]
        first, last = numbers[0], numbers[-1]
        if len(numbers) > 1 and first >= last:
            raise IndexesError(f"non-increasing order, previous: {first}, current: {last}")
        if intervals and intervals[-1][1] >= first:
            before = intervals[-1][1]
            raise IndexesError(f"non-increasing order, previous: {before}, current: {first}")
        intervals.append((first, last))
    return intervals


def check_indexes(text: str, completions: int, path: str, causes: Causes) -> int:
    """Checks a list of indexes; gives how many there are."""
    if len(text) > _TEXT_MAX:
        causes.append(too_long(path, _TEXT_MAX))
    try:
        intervals = parse_indexes(text, completions)
    except IndexesError as error:
        name = path.rpartition(".")[2]
        causes.append(invalid(path, text, f"error parsing {name}: {error}"))
        return 0
    return sum(last - first + 1 for first, last in intervals)
