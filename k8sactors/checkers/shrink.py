"""From a history that no order explains to the few answers that contradict each other.

A history of 10,000 operations shows nothing. What can be taken away without making it right was
not the reason (delta debugging, Zeller and Hildebrandt 2002). Only what weakens a history may be
taken away, or the rest would be wrong for another reason:

- an operation that changed nothing can be left out;
- the answer of one that did can be forgotten: it may then have taken effect at any time from its
  call, or never, and even without its conditions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import attrs

from k8sactors.checkers.kv_history import ActionKind, Operation
from k8sactors.checkers.kv_model import only_reads
from k8sactors.checkers.kv_partition import Part
from k8sactors.checkers.search import Verdict, search

MAX_SEARCHES = 600
# Per attempt: one that takes longer counts as no violation.
MAX_CONFIGURATIONS = 20_000
MAX_CONFIGURATIONS_IN_ALL = 200_000


@attrs.frozen
class Core:
    """The answers that contradict each other."""

    # They, in order of call.
    operations: tuple[Operation, ...]
    # The one of them that returned last.
    culprit: Operation
    # Operations whose answers do not matter, but whose values are seen in those.
    perhaps: tuple[Operation, ...] = ()
    # How many more there were up to the last answer.
    others: int = 0


def first_impossible(part: Part, max_configurations: int) -> Operation:
    """The first answer of a history without an order that no order explains."""
    answered = [each for each in part.operations if each.return_order is not None]
    answered.sort(key=lambda operation: operation.return_order or 0)
    good, bad = -1, len(answered) - 1
    while bad - good > 1:
        middle = (good + bad) // 2
        known = prefix(part.operations, answered[middle].return_order or 0)
        result = search(attrs.evolve(part, operations=tuple(known)), max_configurations)
        if result.verdict is Verdict.VIOLATED:
            bad = middle
        else:
            good = middle
    return answered[bad]


def shrink(part: Part, culprit: Operation) -> Core:
    """Find a minimal reason why no order explains the history up to the culprit's return."""
    assert culprit.return_order is not None, "the culprit has an answer"
    known = prefix(part.operations, culprit.return_order)
    original = dict(zip(map(_identity, known), part.operations, strict=False))
    attempts = _Attempts(part)
    # The newest operations are the likeliest reason: try to do without the old ones first.
    reads = [each for each in known if only_reads(each)]
    rest = [each for each in known if not only_reads(each)]
    reads = _reduce(reads, lambda kept: attempts.fails([*rest, *kept]))

    def without_answers(kept: Sequence[Operation]) -> list[Operation]:
        answered = dict.fromkeys(map(_identity, kept))
        return [each if _identity(each) in answered else _weakened(each) for each in rest]

    writes = [each for each in rest if not each.is_unknown]
    writes = _reduce(writes, lambda kept: attempts.fails([*without_answers(kept), *reads]))
    core = sorted([*reads, *writes], key=lambda operation: operation.call_order)
    last = max(core, key=lambda operation: operation.return_order or 0)
    chosen = dict.fromkeys(map(_identity, core))
    seen = dict.fromkeys(value for each in core for value in _values_told(each))
    perhaps = tuple(
        _forgotten(each)
        for each in rest
        if _identity(each) not in chosen and any(value in seen for value in _values_written(each))
    )
    restored = tuple(original[_identity(each)] for each in core)
    return Core(
        restored,
        original[_identity(last)],
        perhaps,
        len(known) - len(core) - len(perhaps),
    )


class _Attempts:
    """Searches in weakened histories, up to a limit."""

    def __init__(self, part: Part) -> None:
        self._part = part
        self._left = MAX_SEARCHES
        self._configurations_left = MAX_CONFIGURATIONS_IN_ALL

    def fails(self, operations: Sequence[Operation]) -> bool:
        """Whether still no order explains these."""
        if not self._left or self._configurations_left < 0:
            return False
        self._left -= 1
        ordered = tuple(sorted(operations, key=lambda operation: operation.call_order))
        result = search(attrs.evolve(self._part, operations=ordered), MAX_CONFIGURATIONS)
        self._configurations_left -= result.tried
        return result.verdict is Verdict.VIOLATED


def _reduce(items: list[Operation], fails: Callable[[list[Operation]], bool]) -> list[Operation]:
    """Leave out as many as possible, in ever smaller pieces, the oldest first."""
    size = len(items)
    while size:
        start = 0
        while start < len(items):
            kept = items[:start] + items[start + size :]
            if fails(kept):
                items = kept
            else:
                start += size
        size //= 2
    return items


def prefix(operations: Sequence[Operation], last_order: int) -> list[Operation]:
    """The history as it looked right after `last_order`: later answers are not known yet."""
    return [
        operation
        if operation.return_order is not None and operation.return_order <= last_order
        else _forgotten(operation)
        for operation in operations
        if operation.call_order <= last_order
    ]


def _forgotten(operation: Operation) -> Operation:
    return attrs.evolve(operation, return_order=None, returned_ns=None, outcome=None)


def _weakened(operation: Operation) -> Operation:
    """May do what it was asked to, at any time from its call, whatever the state, or nothing."""
    forgotten = _forgotten(operation)
    if operation.request.failure:
        return forgotten
    return attrs.evolve(forgotten, request=attrs.evolve(operation.request, compares=()))


def _identity(operation: Operation) -> int:
    return operation.call_order


def _values_told(operation: Operation) -> list[bytes]:
    outcome = operation.outcome
    assert outcome is not None, "the core has answers"
    found: list[bytes] = []
    for result in outcome.results:
        if isinstance(result, bytes):
            found.append(result)
        elif isinstance(result, tuple):
            found += [value for _, value in result]
    return found + [each.value for each in operation.request.compares if each.value is not None]


def _values_written(operation: Operation) -> list[bytes]:
    actions = operation.request.actions
    return [action.value for action in actions if action.kind is ActionKind.PUT]
