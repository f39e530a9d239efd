"""What the answers say of keys and leases, by the revision at which they say it.

It tells which step is likely to have taken a revision that no answer claims for itself.
"""

from bisect import bisect_left
from collections.abc import Iterator, Sequence

from attrs import frozen

from k8sactors.checkers.kv_history import ActionKind, Refusal
from k8sactors.checkers.kv_model import GONE, LIVES, Layout, Step

OVERWRITTEN = object()
"""Nobody can tell what the key held before: it was written without a look."""


@frozen
class Unlike:
    """The key holds anything but this."""

    value: object


@frozen
class Revoked:
    """The key is gone after this if it was attached to the lease."""

    lease: int


@frozen
class Evidence:
    """At this revision something is said of a key: its value, what it is not, or OVERWRITTEN."""

    revision: int
    says: object


Words = dict[int, list[Evidence]]
"""By slot, in order of revision."""


def words_from(words: Words, slot: int, revision: int) -> Iterator[Evidence]:
    """What is said of a slot from a revision on."""
    said = words.get(slot, [])
    for place in range(bisect_left(said, revision, key=_revision), len(said)):
        yield said[place]


def words_of_leases(layout: Layout, answers: Sequence[tuple[int, Step]]) -> Words:
    """What answers say of the slots of leases: that one lives at a revision, or is gone by then."""
    words: Words = {}
    for revision, step in answers:
        for slot, says in _said_of_leases(layout, step):
            words.setdefault(slot, []).append(Evidence(revision, says))
    for said in words.values():
        said.sort(key=_revision)
    return words


def _said_of_leases(layout: Layout, step: Step) -> Iterator[tuple[int, int]]:
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


def fits(says: object, value: object) -> bool:
    """Whether a slot that holds this value agrees with what is said of it."""
    if isinstance(says, Unlike):
        return says.value != value
    return says == value


def _revision(said: Evidence) -> int:
    return said.revision


def evidence(layout: Layout, step: Step) -> Iterator[tuple[int, object]]:
    """What an answer says of the state before it, first word first for each key."""
    operation = step.operation
    assert operation is not None, "expiries are not answered"
    assert operation.outcome is not None, "it was answered"
    outcome, said = operation.outcome, dict[int, object]()
    compares = operation.request.compares
    if outcome.refusal is None and (outcome.succeeded or len(compares) == 1):
        for compare in compares:
            holds = compare.value if outcome.succeeded else Unlike(compare.value)
            said[layout.key_slots[compare.key]] = holds
    for action, result in zip(operation.done, outcome.results, strict=False):
        if action.kind is ActionKind.GET:
            said.setdefault(layout.key_slots[action.key], result)
        elif action.kind is ActionKind.PUT:
            said.setdefault(layout.key_slots[action.key], OVERWRITTEN)
        elif action.kind is ActionKind.DELETE:
            says = Unlike(None) if result else None
            said.setdefault(layout.key_slots[action.key], says)
        elif isinstance(result, tuple):
            found = dict(result)
            for slot in layout.covered(action):
                said.setdefault(slot, found.get(layout.keys[slot]))
        elif action.kind is ActionKind.DELETE_RANGE:
            for slot in layout.covered(action):
                said.setdefault(slot, OVERWRITTEN if result else None)
        elif action.kind is ActionKind.REVOKE:
            for slot in layout.attachable[action.lease]:
                said.setdefault(slot, Revoked(action.lease))
    yield from said.items()
