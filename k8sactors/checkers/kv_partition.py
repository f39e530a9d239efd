"""Splits a history into parts that can be judged one by one.

Linearizability is local (Herlihy and Wing 1990, theorem 1): a history is linearizable if and only
if the part of each object is. The objects of a key-value store are its keys, as long as nothing
touches several at once; a transaction, a range or a lease makes one object of all that it touches.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import chain

import attrs

from k8sactors.checkers.kv_history import Action, ActionKind, Operation, Request
from k8sactors.simulation import SECOND

# A key, or a lease.
Thing = str | int

# What only an observer of revisions could judge.
_NEEDS_REVISIONS = frozenset((ActionKind.COMPACT,))


@attrs.frozen
class Expiry:
    """A lease may expire once, at any time after the event of this ordinal."""

    lease: int
    after_order: int


@attrs.frozen
class Part:
    """Operations that share keys or leases with each other and with no others."""

    # In order.
    keys: tuple[str, ...]
    # In order of appearance.
    leases: tuple[int, ...]
    # In order of call.
    operations: tuple[Operation, ...]
    # What time may do meanwhile.
    expiries: tuple[Expiry, ...] = ()


class _Sets:
    """Disjoint sets (union-find); iterates in order of first appearance."""

    def __init__(self) -> None:
        self.parent: dict[Thing, Thing] = {}

    def find(self, item: Thing) -> Thing:
        parent = self.parent
        root = parent.setdefault(item, item)
        while parent[root] != root:
            root = parent[root]
        while parent[item] != root:
            parent[item], item = root, parent[item]
        return root

    def join(self, items: Sequence[Thing]) -> None:
        root = self.find(items[0])
        for other in items[1:]:
            self.parent[self.find(other)] = root


def is_judged(operation: Operation) -> bool:
    """Whether an order of operations has to explain this one, without knowing of revisions.

    Reads of the past, compactions and their refusals are statements about revisions. A lease that
    could not be kept alive may be about to expire: that says nothing of now. An unanswered read
    neither explains nor constrains anything.
    """
    request, outcome = operation.request, operation.outcome
    if request.revision or any(action.kind in _NEEDS_REVISIONS for action in request.actions):
        return False
    if outcome is None:
        return not request.is_read_only
    return not (request.success[:1] and outcome.results == (0,) and _keeps_alive(request))


def _keeps_alive(request: Request) -> bool:
    return request.success[0].kind is ActionKind.KEEP_ALIVE


def partition(operations: Sequence[Operation], *, trust_clocks: bool = True) -> Iterator[Part]:
    """The independent parts of a history; see `expiries` for `trust_clocks`."""
    judged = [operation for operation in operations if is_judged(operation)]
    universe = sorted(dict.fromkeys(chain.from_iterable(map(_named, judged))))
    sets: _Sets = _Sets()
    touched: list[tuple[Thing, ...]] = []
    for operation in judged:
        items = tuple(_touched(operation, universe))
        touched.append(items)
        if items:
            sets.join(items)
    members: dict[Thing, list[Operation]] = {}
    for operation, items in zip(judged, touched, strict=True):
        if items:
            members.setdefault(sets.find(items[0]), []).append(operation)
    objects: dict[Thing, list[Thing]] = {}
    for item in sets.parent:
        objects.setdefault(sets.find(item), []).append(item)
    expiring = expiries(operations, trust_clocks=trust_clocks)
    for root, group in members.items():
        leases = tuple(item for item in objects[root] if isinstance(item, int))
        yield Part(
            keys=tuple(sorted(item for item in objects[root] if isinstance(item, str))),
            leases=leases,
            operations=tuple(sorted(group, key=lambda operation: operation.call_order)),
            expiries=tuple(each for each in expiring if each.lease in leases),
        )


def _named(operation: Operation) -> Iterator[str]:
    yield from operation.request.keys
    # A range that holds no key of the history is judged by its first.
    yield from (action.key for action in operation.request.actions if action.end)
    outcome = operation.outcome
    for result in () if outcome is None else outcome.results:
        if isinstance(result, tuple):
            yield from (key for key, _ in result)


def _touched(operation: Operation, universe: Sequence[str]) -> Iterator[Thing]:
    """Keys and leases that decide the answer, or that it may change."""
    yield from operation.request.keys
    for action in operation.request.actions:
        if action.end:
            start = bisect_left(universe, action.key)
            yield from universe[start : bisect_left(universe, action.end)]
        elif action.lease:
            yield action.lease


def expiries(operations: Sequence[Operation], *, trust_clocks: bool = True) -> list[Expiry]:
    """When each lease may expire: its time to live after it was last known to be renewed.

    A renewal starts the time again at some point after its call, so the lease lives for at least as
    long from there. Where the clocks of the members cannot be trusted, a lease may expire at any
    time after it was asked for.
    """
    earliest = expiries_ns(operations)
    if not trust_clocks:
        return [Expiry(lease, order) for lease, (order, _) in earliest.items()]
    events = sorted(chain.from_iterable(map(_times, operations)))
    times_ns = [time_ns for _, time_ns in events]
    found = []
    for lease, (order, until_ns) in earliest.items():
        place = bisect_left(times_ns, until_ns)
        found.append(Expiry(lease, max(order, events[place - 1][0] if place else 0)))
    return found


def expiries_ns(operations: Sequence[Operation]) -> dict[int, tuple[int, int]]:
    """For each lease the ordinal of its first call, and the time until which it has to live."""
    earliest: dict[int, tuple[int, int]] = {}
    for operation in operations:
        for action in operation.request.success:
            if action.kind is ActionKind.GRANT:
                lives_until_ns = operation.called_ns + action.ttl_s * SECOND
            elif (seconds := _renewed_s(operation, action)) > 0:
                lives_until_ns = operation.called_ns + seconds * SECOND
            else:
                continue
            order, until_ns = earliest.get(action.lease, (operation.call_order, 0))
            earliest[action.lease] = (
                min(order, operation.call_order),
                max(until_ns, lives_until_ns),
            )
    return earliest


def _renewed_s(operation: Operation, action: Action) -> int:
    if action.kind is not ActionKind.KEEP_ALIVE or operation.outcome is None:
        return 0
    result = operation.outcome.results[0] if operation.outcome.results else 0
    return result if isinstance(result, int) else 0


def _times(operation: Operation) -> Iterator[tuple[int, int]]:
    yield operation.call_order, operation.called_ns
    if operation.return_order is not None:
        yield operation.return_order, operation.returned_ns or 0
