"""What can be said of a history before the search: at each return, who is open and matters.

Everything here depends on the history alone, not on the order that is tried, so it is worked out
once.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator
from typing import TypeVar

import attrs

from k8sactors.checkers.kv_history import Operation, Refusal
from k8sactors.checkers.kv_model import JUNK, Compiler, Layout, Names, State, Step, put_of
from k8sactors.checkers.kv_partition import Part

_Key = TypeVar("_Key")

# No set of operations done holds all bits.
NEVER = -1


@attrs.define(eq=False)
class Other:
    """An open operation that may take effect before the one that returns.

    `needs` are the bits of the open operations that cannot come after it.
    """

    bit: int
    needs: int
    optional: bool
    signature: object
    apply: Callable[[State], State | None]


@attrs.define(eq=False)
class Return:
    """One return, as the search meets it."""

    # Its ordinal.
    order: int
    # Whose return it is.
    operation: Operation
    # Of that operation.
    bit: int
    # Bits of the open operations that cannot come after it; NEVER: it comes too early.
    needs: int
    # Of that operation.
    signature: object
    # That operation's step.
    apply: Callable[[State], State | None]
    # Open operations that may matter to it, in the order in which equal ones are used.
    others: tuple[Other, ...] = ()
    # Bits and steps of the open operations that change nothing.
    reads: tuple[tuple[int, Callable[[State], State | None]], ...] = ()
    # Values that no step names from here on.
    forgotten: tuple[Names, ...] = ()

    def with_reads(self, state: State, done: int) -> int:
        """The steps done, with the reads that fit in this state."""
        for bit, apply in self.reads:
            if not done & bit and apply(state) is not None:
                done |= bit
        return done

    def forget(self, state: State) -> State:
        """The state without the values that no step names any more."""
        for slot, value in self.forgotten:
            if state[slot] == value:
                state = (*state[:slot], JUNK, *state[slot + 1 :])
        return state


@attrs.define
class Plan:
    """All returns in order, and what else the search has to know."""

    layout: Layout
    returns: list[Return] = attrs.field(factory=list)
    # When the last operation is called that was shown a value which was written once only.
    last_observer_call: dict[tuple[int, object], int] = attrs.field(factory=dict)


@attrs.frozen
class Probe:
    """In the place of one operation: is shown every state in which it could have run.

    `record` answers None, so that the search continues until it has seen them all.
    """

    operation: Operation
    record: Callable[[State], State | None]


def make_plan(part: Part, probe: Probe | None = None) -> Plan:
    """Prepare the search in one part of a history; with a probe, states keep all their values."""
    return _Planner(part, probe).run()


class _Planner:
    """Goes through the calls and returns once, keeping books of what is open."""

    def __init__(self, part: Part, probe: Probe | None) -> None:
        compiler = Compiler(part, keeps_values=probe is not None)
        self.keeps_values = probe is not None
        self.plan = Plan(compiler.layout)
        self.steps = [
            _probing(compiler.step(operation), probe)
            if probe is not None and operation is probe.operation
            else compiler.step(operation)
            for operation in part.operations
        ]
        self.steps += [compiler.expiry(each.lease, each.after_order) for each in part.expiries]
        self.now = 0
        self.open_reads: dict[Step, None] = {}
        self.open_writes: dict[Step, None] = {}
        self.free_bits: list[int] = []
        self.next_bit = 1
        self.writers: dict[Names, list[Step]] = {}
        self.last_call: dict[Names, int] = {}
        self.open_observers: dict[Names, int] = {}
        self.open_compares: dict[int, int] = {}
        self.namers_left: dict[Names, int] = {}
        self.wanted: dict[int, int] = {}
        self.forgotten: dict[Names, None] = {}
        self.pending: dict[Step, None] = dict.fromkeys(self.steps)
        self.before: dict[Step, list[Step]] = {}

    def run(self) -> Plan:
        """Fill in the plan."""
        for step in self.steps:
            for name in dict.fromkeys(step.writes):
                self.writers.setdefault(name, []).append(step)
        for step in self.steps:
            self._begin_late(step)
            for name in step.names:
                _count(self.namers_left, name, 1)
            for name in step.observes:
                self.last_call[name] = max(self.last_call.get(name, -1), step.call)
        self.plan.last_observer_call.update(
            (name, call)
            for name, call in self.last_call.items()
            if len(self.writers.get(name, ())) <= 1
        )
        self._order_values()
        for order, step, is_return in self._events():
            self.now = order
            if is_return:
                self._returned(step)
            else:
                self._called(step)
        return self.plan

    def _begin_late(self, step: Step) -> None:
        """What may be of any past cannot be of one in which no client had asked for what it saw."""
        if step.operation is None or not step.operation.request.serializable:
            return
        for name in step.observes:
            calls = [writer.call for writer in self.writers.get(name, ())]
            if name[1] is not None and calls:
                step.call = min(step.end, max(step.call, min(calls)))

    def _order_values(self) -> None:
        """Work out which steps must come before a value is put.

        A value that was written once stays until the last call of those who are shown it. A step
        that returns before that, and writes the slot or is shown something else there, cannot come
        after it (the zones of Gibbons and Korach, 1997).
        """
        ends: dict[int, list[tuple[int, int, Step]]] = {}
        for number, step in enumerate(self.steps):
            if not step.optional:
                shown = [slot for slot, _ in step.observes]
                for slot in dict.fromkeys((*step.changes, *shown)):
                    ends.setdefault(slot, []).append((step.end, number, step))
        for others in ends.values():
            others.sort()
        last_call = self.plan.last_observer_call
        for step in self.steps:
            for name in step.writes:
                if (until := last_call.get(name, -1)) > step.call:
                    others = ends.get(name[0], [])
                    first = bisect_left(others, (step.call,))
                    last = bisect_left(others, (until,))
                    self.before.setdefault(step, []).extend(
                        other
                        for _, _, other in others[first:last]
                        if other is not step and name not in other.observes
                    )

    def _needs(self, step: Step) -> int:
        needs = 0
        for other in self.before.get(step, ()):
            if other in self.pending:
                return NEVER
            if other in self.open_reads or other in self.open_writes:
                needs |= other.bit
        return needs

    def _events(self) -> Iterator[tuple[int, Step, bool]]:
        events: list[tuple[int, int, int, bool]] = []
        for number, step in enumerate(self.steps):
            # At equal ordinals: a call first, so that what ties overlaps; expiries last.
            events.append((step.call, 2 if step.operation is None else 0, number, False))
            if not step.optional:
                events.append((step.end, 1, number, True))
        for order, _, number, is_return in sorted(events):
            yield order, self.steps[number], is_return

    def _called(self, step: Step) -> None:
        del self.pending[step]
        if self.free_bits:
            step.bit = self.free_bits.pop()
        else:
            step.bit = self.next_bit
            self.next_bit <<= 1
        (self.open_reads if step.reads else self.open_writes)[step] = None
        self._keep_books(step, 1)

    def _returned(self, step: Step) -> None:
        assert step.operation is not None, "an expiry does not return"
        needs = self._needs(step)
        event = Return(self.now, step.operation, step.bit, needs, step.signature, step.apply)
        event.reads = tuple((read.bit, read.apply) for read in self.open_reads)
        others = map(self._other, self._relevant(step))
        event.others = tuple(other for other in others if other.needs != NEVER)
        self.plan.returns.append(event)
        (self.open_reads if step.reads else self.open_writes).pop(step)
        self.free_bits.append(step.bit)
        self._keep_books(step, -1)
        event.forgotten = tuple(self._forgotten(step))

    def _keep_books(self, step: Step, by: int) -> None:
        for name in step.observes:
            _count(self.open_observers, name, by)
        for slot in step.compares:
            _count(self.open_compares, slot, by)
        for lease in _wants_end(step):
            _count(self.wanted, lease, by)

    def _forgotten(self, step: Step) -> Iterator[Names]:
        for name in step.names:
            _count(self.namers_left, name, -1)
            if not self.namers_left[name] and not self.keeps_values:
                self.forgotten[name] = None
                yield name

    def _other(self, step: Step) -> Other:
        apply, signature = step.apply, step.signature
        if step.put is not None and step.put in self.forgotten:
            signature, apply = put_of(step.put[0], JUNK)
        elif step.ends_lease and step.idle is not None and self.wanted.get(step.ends_lease):
            apply = step.idle
        return Other(step.bit, self._needs(step), step.optional, signature, apply)

    def _relevant(self, step: Step) -> list[Step]:
        """Open steps that can matter to this one, in the order in which equal ones are used."""
        touched, written = step.touches, step.written
        left = [other for other in self.open_writes if other is not step and self._useful(other)]
        # A read may be all that fixes the order of two writes to different keys.
        left += [read for read in self.open_reads if read.is_wide]
        found: list[Step] = []
        while True:
            near = [o for o in left if o.written & touched or o.touches & written]
            if not near:
                break
            found += [other for other in near if not other.reads]
            left = [o for o in left if not (o.written & touched or o.touches & written)]
            for other in near:
                touched |= other.touches
                written |= other.written
        found.sort(key=lambda other: (other.end, other.call))
        return found

    def _useful(self, step: Step) -> bool:
        """Whether it may take effect now, or had better wait for those who are to see it.

        What it puts must stay until they are called; until then nothing that it looks at changes.
        """
        if not step.only_puts:
            return True
        return any(
            self.open_observers.get(name)
            or self.open_compares.get(name[0])
            or self.last_call.get(name, -1) <= self.now
            or len(self.writers[name]) > 1
            for name in step.writes
        )


def _probing(step: Step, probe: Probe) -> Step:
    return Step(step.operation, step.call, step.end, step.touches, reads=True, apply=probe.record)


def _count(counts: dict[_Key, int], key: _Key, by: int) -> None:
    counts[key] = counts.get(key, 0) + by


def _wants_end(step: Step) -> Iterator[int]:
    """Leases that must not live for this step."""
    operation = step.operation
    if operation is None or operation.outcome is None:
        return
    actions = operation.request.actions
    if operation.outcome.refusal is Refusal.LEASE_NOT_FOUND:
        yield from (action.lease for action in actions if action.lease)
    elif operation.outcome.refusal is None:
        # A lease that is granted again must have ended.
        yield from (action.lease for action in actions if action.ttl_s and action.lease)
