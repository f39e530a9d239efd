"""What the answers tell of keys and leases, by the revision at which they tell it.

It shows which step is likely to have taken a revision that no answer claims for itself.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence

import attrs

from k8sactors.checkers.kv_history import ActionKind, Refusal
from k8sactors.checkers.kv_model import GONE, LIVES, Layout, Step

# No answer tells what the key held before: it was written without a look.
OVERWRITTEN = object()


@attrs.frozen
class Unlike:
    """The key holds anything but this."""

    value: object


@attrs.frozen
class Revoked:
    """The key is gone after this if it was attached to the lease."""

    lease: int


@attrs.frozen
class Observation:
    """What a slot holds at a revision: a value, `Unlike` one, `Revoked`, or OVERWRITTEN."""

    revision: int
    content: object


# By slot, in order of revision.
Observations = dict[int, list[Observation]]


def observations_from(
    observations: Observations, slot: int, revision: int
) -> Iterator[Observation]:
    """The observations of a slot from a revision on."""
    seen = observations.get(slot, [])
    for place in range(bisect_left(seen, revision, key=_revision), len(seen)):
        yield seen[place]


def observations_of_leases(layout: Layout, answers: Sequence[tuple[int, Step]]) -> Observations:
    """Those of the slots of leases: that one lives at a revision, or is gone by then."""
    observations: Observations = {}
    for revision, step in answers:
        for slot, content in _observed_of_leases(layout, step):
            observations.setdefault(slot, []).append(Observation(revision, content))
    for seen in observations.values():
        seen.sort(key=_revision)
    return observations


def _observed_of_leases(layout: Layout, step: Step) -> Iterator[tuple[int, int]]:
    operation = step.operation
    if operation is None or operation.outcome is None:
        return
    refusal = operation.outcome.refusal
    for action in operation.done if refusal is None else operation.request.actions:
        if not action.lease:
            continue
        if refusal is Refusal.LEASE_NOT_FOUND:
            yield layout.lease_slots[action.lease], GONE
        elif refusal is None and action.kind is not ActionKind.GRANT:
            yield layout.lease_slots[action.lease], LIVES


def agrees(content: object, value: object) -> bool:
    """Whether a slot that holds this value agrees with what was observed of it."""
    if isinstance(content, Unlike):
        return content.value != value
    return content == value


def _revision(observation: Observation) -> int:
    return observation.revision


def observations_of(layout: Layout, step: Step) -> Iterator[tuple[int, object]]:
    """What an answer tells of the state before it, the first part of it for each key."""
    operation = step.operation
    assert operation is not None, "expiries are not answered"
    assert operation.outcome is not None, "it was answered"
    outcome, seen = operation.outcome, dict[int, object]()
    compares = operation.request.compares
    if outcome.refusal is None and (outcome.succeeded or len(compares) == 1):
        for compare in compares:
            holds = compare.value if outcome.succeeded else Unlike(compare.value)
            seen[layout.key_slots[compare.key]] = holds
    for action, result in zip(operation.done, outcome.results, strict=False):
        if action.kind is ActionKind.GET:
            seen.setdefault(layout.key_slots[action.key], result)
        elif action.kind is ActionKind.PUT:
            seen.setdefault(layout.key_slots[action.key], OVERWRITTEN)
        elif action.kind is ActionKind.DELETE:
            content = Unlike(None) if result else None
            seen.setdefault(layout.key_slots[action.key], content)
        elif isinstance(result, tuple):
            found = dict(result)
            for slot in layout.covered(action):
                seen.setdefault(slot, found.get(layout.keys[slot]))
        elif action.kind is ActionKind.DELETE_RANGE:
            for slot in layout.covered(action):
                seen.setdefault(slot, OVERWRITTEN if result else None)
        elif action.kind is ActionKind.REVOKE:
            for slot in layout.attachable[action.lease]:
                seen.setdefault(slot, Revoked(action.lease))
    yield from seen.items()
