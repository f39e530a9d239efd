"""The sequential specification of a key-value store, as steps between immutable states.

A state is a tuple of slots: the value of each key (None: absent), for each key that is ever put
with a lease the lease it is attached to (0: none), and for each lease whether it lives. An
operation becomes a `Step` that gives the state after it, or None where what the client was told
cannot be. So the search for an order only calls `Step.apply`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import chain

import attrs

from k8sactors.checkers.kv_history import (
    READS,
    Action,
    ActionKind,
    Operation,
    Outcome,
    Refusal,
    Request,
    Result,
    Value,
    show,
)
from k8sactors.checkers.kv_partition import Part

State = tuple[Value | int, ...]
# A slot and a value that it may hold.
Names = tuple[int, Value]

# What a lease's slot holds.
NEVER_GRANTED, LIVES, GONE = 0, 1, 2

FOREVER = 1 << 62
# Stands for every value that no read and no compare still to be explained tells apart.
JUNK = b"\0no step names this value"

_WRITES = frozenset((ActionKind.PUT, ActionKind.DELETE, ActionKind.DELETE_RANGE))


@attrs.frozen
class Layout:
    """Where in a state everything stands."""

    keys: tuple[str, ...]
    key_slots: dict[str, int]
    lease_slots: dict[int, int]
    # Slot of a key's lease by the slot of the key.
    attached_slots: dict[int, int]
    # By lease: the slots of the keys that it may ever hold.
    attachable: dict[int, tuple[int, ...]]

    @classmethod
    def of(cls, part: Part) -> Layout:
        """The layout of the states of one part of a history."""
        key_slots = {key: slot for slot, key in enumerate(part.keys)}
        lease_slots = {lease: len(key_slots) + at for at, lease in enumerate(part.leases)}
        behind = len(key_slots) + len(lease_slots)
        attachable: dict[int, dict[int, None]] = {lease: {} for lease in part.leases}
        for action in chain.from_iterable(op.request.actions for op in part.operations):
            if action.kind is ActionKind.PUT and action.lease:
                attachable[action.lease][key_slots[action.key]] = None
        leased = dict.fromkeys(chain.from_iterable(attachable.values()))
        attached = {slot: behind + at for at, slot in enumerate(leased)}
        holds = {lease: tuple(slots) for lease, slots in attachable.items()}
        return cls(part.keys, key_slots, lease_slots, attached, holds)

    def initial(self) -> State:
        """An empty store."""
        values: tuple[Value | int, ...] = (None,) * len(self.key_slots)
        return values + (0,) * (len(self.lease_slots) + len(self.attached_slots))

    def living(self, state: State) -> list[int]:
        """The leases that live."""
        return [lease for lease, slot in self.lease_slots.items() if state[slot] == LIVES]

    def show(self, value: Value | int) -> str:
        """What a key's slot holds, as a report prints it."""
        assert not isinstance(value, int), "the slot of a key holds a value"
        return "some value" if value == JUNK else show(value)

    def covered(self, action: Action) -> tuple[int, ...]:
        """Slots of the keys of a range, in order of the keys."""
        return tuple(self.key_slots[key] for key in self.keys if action.covers(key))


@attrs.define(eq=False)
class Step:
    """One operation, or the expiry of a lease, as the search handles it."""

    # None for an expiry.
    operation: Operation | None
    # The ordinal from which on it may take effect.
    call: int
    # The ordinal at which it must have taken effect; FOREVER: perhaps never.
    end: int
    # Bits of the slots that it reads or writes.
    touches: int = 0
    # Bits of the slots that it may write.
    written: int = 0
    # Whether it surely changes nothing, so that it may be taken as soon as it fits.
    reads: bool = False
    # Slots and values that it was told of: it cannot go where these do not hold.
    observes: tuple[Names, ...] = ()
    # Slots that it compares.
    compares: tuple[int, ...] = ()
    # Slots and values that it tells from others, whatever it was told.
    names: tuple[Names, ...] = ()
    # Slots and values that it may put.
    writes: tuple[Names, ...] = ()
    # Slots that it surely wrote.
    changes: tuple[int, ...] = ()
    # The slot and value if that is all it does.
    put: Names | None = None
    # Whether it can do nothing but put, and looks at nothing else than it puts.
    only_puts: bool = False
    # Steps of equal signature have the same effect and fit in the same states.
    signature: object = None
    # The lease that it may end; 0: none.
    ends_lease: int = 0
    # What it does where ending the lease deletes nothing, but a step waits for its end.
    idle: Callable[[State], State | None] | None = None
    # Its place in the sets of steps done.
    bit: int = 0
    apply: Callable[[State], State | None] = attrs.field(default=lambda state: state)

    @property
    def optional(self) -> bool:
        """Whether it may never take effect."""
        return self.end == FOREVER

    @property
    def is_wide(self) -> bool:
        """Whether it touches several slots."""
        return bool(self.touches & (self.touches - 1))


class Compiler:
    """Makes the steps of one part; `layout` is that of its states.

    Values that no step names become JUNK, unless it `keeps_values`.
    """

    def __init__(self, part: Part, *, keeps_values: bool = False) -> None:
        self._keeps_values = keeps_values
        self.layout = Layout.of(part)
        self._named: dict[Names, None] = {}
        for operation in part.operations:
            named = (*self._observed(operation), *self._compared(operation))
            self._named.update(dict.fromkeys(named))

    def step(self, operation: Operation) -> Step:
        """The step of an operation."""
        end = operation.return_order
        early = operation.request.serializable
        step = Step(
            operation, 0 if early else operation.call_order, FOREVER if end is None else end
        )
        step.touches, step.written = self._touches(operation)
        step.reads = only_reads(operation)
        if step.reads:
            step.written = 0
        step.observes = tuple(self._observed(operation))
        step.compares = tuple(
            self.layout.key_slots[compare.key] for compare in operation.request.compares
        )
        step.names = (*step.observes, *self._compared(operation))
        step.writes = tuple(
            (self.layout.key_slots[action.key], action.value)
            for action in operation.request.actions
            if action.kind is ActionKind.PUT
        )
        step.changes = tuple(self._changed(operation))
        step.only_puts = (
            step.touches == step.written
            and not operation.request.failure
            and all(action.kind is ActionKind.PUT for action in operation.request.success)
        )
        request = self._abstract(operation.request)
        outcome = operation.outcome
        told = None if outcome is None else attrs.evolve(outcome, revision=None)
        step.signature = (request, told)
        if (
            len(request.actions) == 1
            and not request.compares
            and (told is None or not told.refusal)
        ):
            self._simple(step, request.actions[0], told)
        else:
            step.apply = self._transaction(request, told)
        return step

    def expiry(self, lease: int, after_order: int) -> Step:
        """The step of a lease's end by time: it only needs to be tried where it is of use."""
        touched = self._lease_touches(lease)
        step = Step(None, after_order, FOREVER, touched, touched)
        step.signature = ("expiry", lease)
        self._may_end(step, lease)
        return step

    # -- what it touches and tells --------------------------------------------------------------

    def _lease_touches(self, lease: int) -> int:
        touched = 1 << self.layout.lease_slots[lease]
        for slot in self.layout.attachable[lease]:
            touched |= 1 << slot
        return touched

    def _touches(self, operation: Operation) -> tuple[int, int]:
        """Bits of the slots that it touches at all, and of those that it may write."""
        layout, touched, written = self.layout, 0, 0
        for compare in operation.request.compares:
            touched |= 1 << layout.key_slots[compare.key]
        for action in operation.request.actions:
            own = 0
            if action.kind is ActionKind.REVOKE:
                own = self._lease_touches(action.lease)
            elif action.kind is ActionKind.PUT and action.lease:
                touched |= 1 << layout.lease_slots[action.lease]
            elif action.lease:
                own = 1 << layout.lease_slots[action.lease]
            if action.end:
                for slot in layout.covered(action):
                    own |= 1 << slot
            elif action.key:
                own |= 1 << layout.key_slots[action.key]
            touched |= own
            if action.kind not in READS:
                written |= own
        return touched, written

    def _observed(self, operation: Operation) -> list[Names]:
        outcome = operation.outcome
        if outcome is None or outcome.refusal is not None:
            return []
        slots = self.layout.key_slots
        found: list[Names] = []
        for action, result in zip(operation.done, outcome.results, strict=False):
            if isinstance(result, tuple):
                found += [(slots[key], value) for key, value in result]
            elif action.kind is ActionKind.GET and isinstance(result, bytes):
                found.append((slots[action.key], result))
        if outcome.succeeded:
            found += self._compared(operation)
        return found

    def _changed(self, operation: Operation) -> Iterator[int]:
        outcome = operation.outcome
        for action, result in zip(operation.done, outcome.results if outcome else (), strict=False):
            deleted = action.kind is ActionKind.DELETE and result == 1
            if action.kind is ActionKind.PUT or deleted:
                yield self.layout.key_slots[action.key]

    def _compared(self, operation: Operation) -> list[Names]:
        return [
            (self.layout.key_slots[compare.key], compare.value)
            for compare in operation.request.compares
            if compare.value is not None
        ]

    def _abstract(self, request: Request) -> Request:
        """The request with JUNK for the values that no step names."""

        def abstract(action: Action) -> Action:
            if action.kind is not ActionKind.PUT or self._keeps_values:
                return action
            named = (self.layout.key_slots[action.key], action.value) in self._named
            return action if named else attrs.evolve(action, value=JUNK)

        success, failure = (tuple(map(abstract, b)) for b in (request.success, request.failure))
        return attrs.evolve(request, success=success, failure=failure)

    # -- single actions -------------------------------------------------------------------------

    def _simple(self, step: Step, action: Action, told: Outcome | None) -> None:
        kind = action.kind
        if kind is ActionKind.PUT and not action.lease:
            slot = self.layout.key_slots[action.key]
            if slot not in self.layout.attached_slots:
                step.put = (slot, action.value)
                step.signature, step.apply = put_of(slot, action.value)
                return
        elif kind is ActionKind.GET and told is not None:
            step.apply = _fits(self.layout.key_slots[action.key], told.results[0])
            return
        elif kind is ActionKind.KEEP_ALIVE:
            step.apply = _fits(self.layout.lease_slots[action.lease], LIVES)
            return
        elif kind is ActionKind.REVOKE and told is None:
            self._may_end(step, action.lease)
            return
        step.apply = self._transaction(Request((action,)), told)

    def _may_end(self, step: Step, lease: int) -> None:
        """It need not happen, so it is tried only where an answer would show it."""
        step.ends_lease = lease
        step.apply = self._end_of_lease(lease, idle=False)
        step.idle = self._end_of_lease(lease, idle=True)

    def _end_of_lease(self, lease: int, *, idle: bool) -> Callable[[State], State | None]:
        """Ends a lease, and its keys; unless `idle`, only if it has keys."""
        slot = self.layout.lease_slots[lease]
        attached = [(at, self.layout.attached_slots[at]) for at in self.layout.attachable[lease]]

        def apply(state: State) -> State | None:
            if state[slot] != LIVES:
                return None
            doomed = [pair for pair in attached if state[pair[1]] == lease]
            if not doomed and not idle:
                return None
            values = list(state)
            values[slot] = GONE
            for key_slot, attached_slot in doomed:
                values[key_slot] = None
                values[attached_slot] = 0
            return tuple(values)

        return apply

    # -- everything else ------------------------------------------------------------------------

    def _transaction(
        self, request: Request, outcome: Outcome | None
    ) -> Callable[[State], State | None]:
        compares = [(self.layout.key_slots[each.key], each.value) for each in request.compares]
        success = [self._act(action) for action in request.success]
        failure = [self._act(action) for action in request.failure]
        refused = outcome is not None and outcome.refusal is not None

        def apply(state: State) -> State | None:
            holds = all(state[slot] == value for slot, value in compares)
            if outcome is not None and not refused and holds != outcome.succeeded:
                return None
            values = list(state)
            results: list[Result] = []
            for act in success if holds else failure:
                result = act(values)
                if isinstance(result, Refusal):
                    told = outcome is None or outcome.refusal is result
                    return state if told else None
                results.append(result)
            if outcome is not None and (refused or tuple(results) != outcome.results):
                return None
            return tuple(values)

        return apply

    def _act(self, action: Action) -> Callable[[list[Value | int]], Result | Refusal]:
        layout, kind = self.layout, action.kind
        if action.end or kind in (ActionKind.GET, ActionKind.DELETE):
            slots = layout.covered(action)
            if kind is ActionKind.RANGE:
                return _read(layout, slots)
            if kind is ActionKind.GET:
                slot = slots[0]
                return lambda values: values[slot]
            return _remove([(slot, layout.attached_slots.get(slot)) for slot in slots])
        if kind is ActionKind.PUT:
            return self._put(action)
        return self._on_lease(action)

    def _put(self, action: Action) -> Callable[[list[Value | int]], Result | Refusal]:
        slot, value, lease = self.layout.key_slots[action.key], action.value, action.lease
        attached = self.layout.attached_slots.get(slot)
        lease_slot = self.layout.lease_slots.get(lease)

        def act(values: list[Value | int]) -> Result | Refusal:
            if lease_slot is not None and values[lease_slot] != LIVES:
                return Refusal.LEASE_NOT_FOUND
            values[slot] = value
            if attached is not None:
                values[attached] = lease
            return None

        return act

    def _on_lease(self, action: Action) -> Callable[[list[Value | int]], Result | Refusal]:
        lease, kind = action.lease, action.kind
        slot = self.layout.lease_slots[lease]
        end = self._end_of_lease(lease, idle=True)

        def act(values: list[Value | int]) -> Result | Refusal:
            lives = values[slot] == LIVES
            if kind is ActionKind.GRANT:
                if lives:
                    return Refusal.LEASE_EXISTS
                values[slot] = LIVES
                return None
            if not lives:
                return Refusal.LEASE_NOT_FOUND
            if kind is ActionKind.REVOKE:
                values[:] = end(tuple(values)) or values
                return None
            return None

        return act


def put_of(slot: int, value: bytes) -> tuple[object, Callable[[State], State | None]]:
    """Signature and step of a put that always has the same effect."""

    def apply(state: State) -> State:
        return (*state[:slot], value, *state[slot + 1 :])

    return ("put", slot, value), apply


def _fits(slot: int, told: Result) -> Callable[[State], State | None]:
    def apply(state: State) -> State | None:
        return state if state[slot] == told else None

    return apply


def _read(layout: Layout, slots: Sequence[int]) -> Callable[[list[Value | int]], Result]:
    named = [(slot, layout.keys[slot]) for slot in slots]

    def act(values: list[Value | int]) -> Result:
        found = ((key, values[slot]) for slot, key in named)
        return tuple((key, value) for key, value in found if isinstance(value, bytes))

    return act


def _remove(slots: Sequence[tuple[int, int | None]]) -> Callable[[list[Value | int]], Result]:
    def act(values: list[Value | int]) -> Result:
        removed = 0
        for slot, attached in slots:
            if values[slot] is None:
                continue
            removed += 1
            values[slot] = None
            if attached is not None:
                values[attached] = 0
        return removed

    return act


def only_reads(operation: Operation) -> bool:
    """Whether it is known not to have changed anything."""
    outcome = operation.outcome
    if outcome is None:
        return False
    if outcome.refusal is not None:
        return True
    for action, result in zip(operation.done, outcome.results, strict=False):
        if action.kind in (ActionKind.GRANT, ActionKind.REVOKE, ActionKind.PUT):
            return False
        if action.kind in _WRITES and result != 0:
            return False
    return True
