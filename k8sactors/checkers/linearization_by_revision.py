"""Tries the order that the answers themselves suggest, before all orders are searched.

Every answer of the store names a revision, and every effective write took one. If the store is
right, the order of revisions explains everything. So the answers are put in that order; where a
revision belongs to no answered write, some request of unknown outcome, or the end of a lease, must
have taken it, and what is read later tells which. The order that comes out is then checked step by
step against the sequential specification and against real time: it convinces or it does not, and
the store's word for its revisions is not believed. A refusal names no revision: it stands where it
fits, between what returned before its call and what was called after its return. That costs about
as much as reading the history.

If no order is found this way the question is open: `search` looks at all of them.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate

import attrs

from k8sactors.checkers.kv_history import ActionKind, Operation, Refusal
from k8sactors.checkers.kv_model import GONE, LIVES, Compiler, Layout, State, Step
from k8sactors.checkers.kv_partition import Expiry, Part, is_judged
from k8sactors.checkers.observations import (
    OVERWRITTEN,
    Observation,
    Observations,
    Revoked,
    agrees,
    observations_from,
    observations_of,
    observations_of_leases,
)

FIRST_REVISION = 1
NEVER = 1 << 62

# How likely it is that a step took a revision: something is observed next that only it explains;
# nothing is said; something else is seen.
NEEDED, FREE, CONTRADICTED = range(3)

# How often a choice may turn out wrong, before the search may do better.
TRIES_PER_OPERATION = 2


def explains(operations: Sequence[Operation], expiries: Sequence[Expiry]) -> bool:
    """Whether an order by revisions explains all answers; False: that is not known."""
    judged = [operation for operation in operations if is_judged(operation)]
    return _Linearization(judged, expiries).run()


def _whole(operations: Sequence[Operation], expiries: Sequence[Expiry]) -> Part:
    """All operations as one part."""
    keys: dict[str, None] = {}
    leases: dict[int, None] = {}
    for operation in operations:
        keys.update(dict.fromkeys(operation.request.keys))
        for action in operation.request.actions:
            if action.lease:
                leases[action.lease] = None
            if action.end:
                keys[action.key] = None
        for result in () if operation.outcome is None else operation.outcome.results:
            if isinstance(result, tuple):
                keys.update((key, None) for key, _ in result)
    wanted = tuple(each for each in expiries if each.lease in leases)
    return Part(tuple(sorted(keys)), tuple(leases), tuple(operations), wanted)


@attrs.define
class Group:
    """What was answered with one revision: the write that took it, if known, and the rest."""

    revision: int
    writer: Step | None = None
    others: list[Step] = attrs.field(factory=list)
    # Those that may stand in it or right before it.
    refusals: list[Step] = attrs.field(factory=list)

    @property
    def steps(self) -> list[Step]:
        """What must stand in it."""
        return self.others if self.writer is None else [self.writer, *self.others]


@attrs.define(eq=False)
class _Point:
    """Where the order stands: what a choice goes back to."""

    group: int
    state: State
    revision: int
    used: frozenset[Step]
    latest_call: int
    choices: Iterator[_Point]


class _Linearization:
    def __init__(self, operations: Sequence[Operation], expiries: Sequence[Expiry]) -> None:
        part = _whole(operations, expiries)
        compiler = Compiler(part, keeps_values=True)
        self.layout: Layout = compiler.layout
        steps = [compiler.step(operation) for operation in part.operations]
        self.unknown = [step for step in steps if step.optional]
        self.unknown += [compiler.expiry(each.lease, each.after_order) for each in part.expiries]
        self.enders: dict[int, list[Step]] = {}
        self.granters: dict[int, list[Step]] = {}
        for step in self.unknown:
            if step.ends_lease:
                self.enders.setdefault(step.ends_lease, []).append(step)
            elif step.operation is not None:
                for action in step.operation.request.success:
                    if action.kind is ActionKind.GRANT:
                        self.granters.setdefault(action.lease, []).append(step)
        answered = [step for step in steps if not step.optional]
        self.groups = _grouped([step for step in answered if not _is_refused(step)])
        refusals = [step for step in answered if _is_refused(step)]
        # Behind the last answer, what is left of them.
        self.groups.append(Group(self.groups[-1].revision if self.groups else FIRST_REVISION))
        last = _place_refusals(self.groups, refusals)
        self.observations: Observations = {}
        for group in self.groups:
            for answer in group.steps:
                self._note(group.revision, answer)
        answers = [(group.revision, step) for group in self.groups for step in group.steps]
        answers += [(revision, step) for step, revision in last.items()]
        self.lease_observations = observations_of_leases(self.layout, answers)
        self.tries = TRIES_PER_OPERATION * len(steps) + 1

    def _note(self, revision: int, step: Step) -> None:
        for slot, content in observations_of(self.layout, step):
            self.observations.setdefault(slot, []).append(Observation(revision, content))

    # -- the order ------------------------------------------------------------------------------

    def run(self) -> bool:
        """Follow the revisions; where several steps may have taken one, try them in turn."""
        start = _Point(0, self.layout.initial(), FIRST_REVISION, frozenset(), 0, iter(()))
        stack: list[_Point] = []
        at: _Point | None = start
        while True:
            while at is not None and at.group < len(self.groups):
                if self._gap(at):
                    at.choices = iter(self._candidates(at))
                    stack.append(at)
                    at = None
                else:
                    at = self._follow(at)
            if at is not None:
                return True
            while stack and at is None:
                choice = next(stack[-1].choices, None)
                if choice is None:
                    stack.pop()
                    continue
                self.tries -= 1
                if self.tries < 0:
                    return False
                group = self.groups[choice.group]
                fitting = self._refused(
                    group,
                    choice.state,
                    choice.used,
                    choice.latest_call,
                    0,
                    self._last_end(choice.group),
                )
                if fitting is not None:
                    choice.state, choice.used, choice.latest_call = fitting
                    at = choice
            if at is None:
                return False

    def _gap(self, at: _Point) -> bool:
        """Whether another client took a revision before the next group."""
        group = self.groups[at.group]
        missing = group.revision - at.revision
        if missing <= 0:
            return False
        if group.writer is not None or self._ending(group, at) is not None:
            missing -= 1
        return missing > 0

    def _ending(self, group: Group, at: _Point) -> Step | None:
        """A revocation in the group that deletes keys, and so is the one that took its revision."""
        for step in group.others if group.writer is None else ():
            assert step.operation is not None, "it was answered"
            for action in () if step.reads else step.operation.request.success:
                revokes = action.kind is ActionKind.REVOKE
                if revokes and self._has_keys(at.state, action.lease):
                    return step
        return None

    def _has_keys(self, state: State, lease: int) -> bool:
        attached = self.layout.attached_slots
        return any(state[attached[slot]] == lease for slot in self.layout.attachable[lease])

    def _follow(self, at: _Point) -> _Point | None:
        """Go through the answers of a group."""
        group, state, used, latest = self.groups[at.group], at.state, at.used, at.latest_call
        steps = list(group.others)
        writer = group.writer
        if writer is None and at.revision < group.revision:
            writer = self._ending(group, at)
            if writer is None:
                return None
            steps.remove(writer)
        ordered = [writer, *steps] if writer is not None else steps
        lefts = list(accumulate((step.end for step in reversed(ordered)), min))
        for step, left in zip(ordered, reversed(lefts), strict=True):
            before = self._refused(group, state, used, latest, step.call, left)
            if before is None:
                return None
            state, used, latest = before
            taken = self._taken(step, state, used) if latest <= step.end else None
            if taken is None:
                return None
            state, used, call = taken
            latest = max(latest, call)
            if latest > step.end:
                return None
            latest = max(latest, step.call)
        last = self._refused(group, state, used, latest, 0 if ordered else NEVER, NEVER)
        if last is None:
            return None
        state, used, latest = last
        return _Point(at.group + 1, state, max(at.revision, group.revision), used, latest, iter(()))

    def _refused(
        self, group: Group, state: State, used: frozenset[Step], latest: int, call: int, left: int
    ) -> tuple[State, frozenset[Step], int] | None:
        """Place the refusals that fit, and those that returned before a call in any case.

        But first come those, and steps of the group, that returned before one was called: `left` is
        the first return of a step that is left.
        """
        for step in group.refusals:
            if step in used:
                continue
            must = step.end < call
            if step.call > left and not must:
                continue
            helped = 0
            if step.apply(state) is None:
                taken = self._taken(step, state, used) if must else None
                if taken is None:
                    if must:
                        return None
                    left = min(left, step.end)
                    continue
                state, used, helped = taken
            latest = max(latest, helped)
            if latest > step.end:
                return None
            used, latest = used | {step}, max(latest, step.call)
        return state, used, latest

    def _taken(
        self, step: Step, state: State, used: frozenset[Step]
    ) -> tuple[State, frozenset[Step], int] | None:
        """The state after a step, who was needed for it, and the latest call of those.

        Leases come and go without a revision: they do, where an answer says that they did.
        """
        reached = step.apply(state)
        if reached is not None:
            return reached, used, 0
        call = 0
        for helper in self._helpers(step, state):
            apply = helper.idle or helper.apply
            helped = apply(state) if helper not in used else None
            if helped is not None:
                state, used, call = helped, used | {helper}, max(call, helper.call)
        reached = step.apply(state)
        return None if reached is None else (reached, used, call)

    def _helpers(self, step: Step, state: State) -> Iterator[Step]:
        """Steps of unknown outcome that begin or end the leases of a step, as it needs them."""
        operation = step.operation
        for action in () if operation is None else operation.request.actions:
            if not action.lease:
                continue
            outcome = None if operation is None else operation.outcome
            gone = outcome is not None and outcome.refusal is Refusal.LEASE_NOT_FOUND
            lives = state[self.layout.lease_slots[action.lease]] == LIVES
            if gone or action.kind is ActionKind.GRANT:
                if lives and not self._has_keys(state, action.lease):
                    yield from self.enders.get(action.lease, ())
            elif not lives:
                yield from self.granters.get(action.lease, ())

    # -- who took a revision --------------------------------------------------------------------

    def _candidates(self, at: _Point) -> list[_Point]:
        """Where the order may continue if a step takes the next revision, the likeliest first."""
        limit, revision = self._last_end(at.group), at.revision + 1
        group = self.groups[at.group]
        ranked: list[tuple[int, int, int, _Point]] = []
        for number, step in enumerate(self.unknown):
            if step.call > limit or step in at.used:
                continue
            before = self._refused(group, at.state, at.used, at.latest_call, step.call, limit)
            if before is None:
                continue
            state, used, latest = before
            taken = self._taken(step, state, used)
            if taken is None or not self._writes(step, state, taken[0]):
                continue
            reached, used, call = taken
            latest = max(latest, call, step.call)
            point = _Point(at.group, reached, revision, used | {step}, latest, iter(()))
            ranked.append((*self._rank(state, reached, revision), number, point))
        ranked.sort(key=lambda each: each[:3])
        return [point for *_, point in ranked]

    def _last_end(self, group: int) -> int:
        """What begins after this cannot come before the group."""
        return min([step.end for step in self.groups[group].steps], default=NEVER)

    def _writes(self, step: Step, before: State, after: State) -> bool:
        """Whether it takes a revision: a put always does, and so does any other change of a key."""
        keys = len(self.layout.keys)
        if before[:keys] != after[:keys]:
            return True
        return bool(step.writes) and step.only_puts

    def _rank(self, before: State, after: State, revision: int) -> tuple[int, int]:
        """How well a change fits with what is observed next of the keys.

        And the revision by which it is needed; or from which on no answer can tell: what no client
        has seen was most likely overwritten soon.
        """
        needed, deadline, unseen_from = False, NEVER, 0
        for slot in self.layout.lease_slots.values():
            seen = next(observations_from(self.lease_observations, slot, revision), None)
            if before[slot] == after[slot] or after[slot] != GONE or seen is None:
                continue
            if seen.content == LIVES:
                return CONTRADICTED, seen.revision
            needed, deadline = True, seen.revision
        for slot in range(len(self.layout.keys)):
            if before[slot] is after[slot]:
                continue
            overwritten = NEVER
            for seen in observations_from(self.observations, slot, revision):
                if seen.content is OVERWRITTEN:
                    overwritten = seen.revision
                    break
                if isinstance(seen.content, Revoked):
                    if self._is_attached(after, slot, seen.content.lease):
                        overwritten = seen.revision
                        break
                    continue
                if not agrees(seen.content, after[slot]):
                    return CONTRADICTED, seen.revision
                if not agrees(seen.content, before[slot]):
                    needed, deadline = True, min(deadline, seen.revision)
                    break
            unseen_from = max(unseen_from, overwritten)
        return (NEEDED, deadline) if needed else (FREE, unseen_from)

    def _is_attached(self, state: State, slot: int, lease: int) -> bool:
        attached = self.layout.attached_slots.get(slot)
        return attached is not None and state[attached] == lease


def _is_refused(step: Step) -> bool:
    """Whether it was answered without a word about revisions, and changed nothing."""
    operation = step.operation
    assert operation is not None, "expiries are not answered"
    assert operation.outcome is not None, "it was answered"
    return step.reads and operation.outcome.revision is None


def _place_refusals(groups: Sequence[Group], refusals: Sequence[Step]) -> dict[Step, int]:
    """Hand each refusal to the groups in which it may stand; by which revision it must be placed.

    All that returned before its call comes before it, all that was called after its return behind.
    """
    ends = sorted((step.end, at) for at, group in enumerate(groups) for step in group.steps)
    calls = sorted((step.call, at) for at, group in enumerate(groups) for step in group.steps)
    last_before = list(accumulate((at for _, at in ends), max))
    first_behind = list(accumulate((at for _, at in reversed(calls)), min))
    latest: dict[Step, int] = {}
    for step in sorted(refusals, key=lambda each: each.end):
        past = bisect_left(ends, (step.call,))
        to_come = len(calls) - bisect_right(calls, (step.end, NEVER))
        closes = first_behind[to_come - 1] if to_come else len(groups) - 1
        opens = min(closes, last_before[past - 1] if past else 0)
        for at in range(opens, closes + 1):
            groups[at].refusals.append(step)
        latest[step] = groups[closes].revision
    return latest


def _grouped(steps: Sequence[Step]) -> list[Group]:
    """The answered steps by the revisions that they were told, each group in order of time."""
    groups: dict[int, Group] = {}
    newest = FIRST_REVISION
    for step in sorted(steps, key=lambda each: each.end):
        operation = step.operation
        assert operation is not None, "expiries are not answered"
        assert operation.outcome is not None, "it was answered"
        revision = operation.outcome.revision
        if revision is None:
            revision = newest
        elif not operation.request.serializable:
            newest = max(newest, revision)
        group = groups.setdefault(revision, Group(revision))
        if _takes_revision(operation) and group.writer is None:
            group.writer = step
        else:
            group.others.append(step)
    return [groups[revision] for revision in sorted(groups)]


def _takes_revision(operation: Operation) -> bool:
    """Whether it surely wrote a key."""
    outcome = operation.outcome
    for action, result in zip(operation.done, outcome.results if outcome else (), strict=False):
        if action.kind is ActionKind.PUT:
            return True
        if action.kind in (ActionKind.DELETE, ActionKind.DELETE_RANGE) and result:
            return True
    return False
