"""Looks for an order of a history's operations that explains every answer.

Theory of operation. The returns of the history are gone through in order of time. At each one the
store is in some *configuration*: a state, and which of the operations still open (called, not
returned) have taken effect. To get past a return its operation must have taken effect, or do so
now, perhaps after some other open operations ("just-in-time linearization", Lowe 2017; the
specification of correctness is Wing and Gong's, 1993). The search goes depth first and never visits
the same configuration twice at the same return. The first return that no configuration gets past
is the answer that no order explains.

What keeps the number of configurations small, none of it at the price of exactness:

- An operation that changes nothing is taken as soon as it fits: that never hurts later.
- Before a return only operations are tried that share a key, or a chain of keys, with it; the
  others commute with it and can wait.
- An operation of unknown outcome stays open forever. Of two configurations that differ only in
  which of those they have used up, one that used fewer can do all that the other can.
- Of several open operations with the same effect the one that must return first goes first.
- A value that no step reads or compares any more is as good as any other such value.
- A value that was written once must not be overwritten while a step is still to read it.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum

import attrs

from k8sactors.checkers.kv_history import Operation
from k8sactors.checkers.kv_model import Layout, State
from k8sactors.checkers.kv_partition import Part
from k8sactors.checkers.search_plan import Plan, Probe, Return, make_plan

# How many configurations are tried per part of a history before the search gives up.
MAX_CONFIGURATIONS = 200_000

MAX_DESCRIBED_STATES = 8


class Verdict(Enum):
    """The answer for one history."""

    LINEARIZABLE = "linearizable"
    VIOLATED = "not linearizable"
    UNDECIDED = "undecided: too many possible orders"


@attrs.frozen
class Result:
    """What the search found; `tried` is the number of configurations that were tried."""

    verdict: Verdict
    tried: int


def search(part: Part, max_configurations: int = MAX_CONFIGURATIONS) -> Result:
    """Find out whether an order explains this part of a history."""
    return _Search(make_plan(part), max_configurations).run()


def possible_states(part: Part, operation: Operation, max_configurations: int) -> list[str]:
    """In words, the states in which an operation of the part could have run, some at most."""
    found: dict[State, None] = {}

    def record(state: State) -> None:
        found[state] = None

    plan = make_plan(part, Probe(operation, record))
    _Search(plan, max_configurations).run()
    described = dict.fromkeys(describe(plan.layout, state) for state in found)
    return list(described)[:MAX_DESCRIBED_STATES]


@attrs.define
class _Configuration:
    """What the store may be like."""

    # Of all keys and leases.
    state: State
    # Bits of the open operations that have taken effect, of those that must.
    done: int
    # The same of those of unknown outcome, and of expiries.
    used: int


@attrs.define
class _Visited:
    """Configurations seen at one return: the smallest sets of optional steps of each."""

    sets: dict[tuple[State, int], list[int]] = attrs.field(factory=dict)

    def add(self, configuration: _Configuration) -> bool:
        """False if this one, or one that can do all that it can, was here."""
        key, used = (configuration.state, configuration.done), configuration.used
        known = self.sets.get(key)
        if known is None:
            self.sets[key] = [used]
            return True
        if any(each & used == each for each in known):
            return False
        known.append(used)
        return True


class _Search:
    """One run over one part."""

    def __init__(self, plan: Plan, limit: int) -> None:
        self.plan = plan
        self.limit = limit
        self.tried = 0

    def run(self) -> Result:
        returns = self.plan.returns
        if not returns:
            return Result(Verdict.LINEARIZABLE, 0)
        visited = [_Visited() for _ in returns]
        start = _Configuration(self.plan.layout.initial(), 0, 0)
        visited[0].add(start)
        stack = [self._past(returns[0], start)]
        while stack:
            following = next(stack[-1], None)
            if self.tried > self.limit:
                return Result(Verdict.UNDECIDED, self.tried)
            if following is None:
                stack.pop()
                continue
            at = len(stack)
            if at == len(returns):
                return Result(Verdict.LINEARIZABLE, self.tried)
            if visited[at].add(following):
                stack.append(self._past(returns[at], following))
        return Result(Verdict.VIOLATED, self.tried)

    def _past(self, event: Return, before: _Configuration) -> Iterator[_Configuration]:
        """The configurations right after a return, the ones that did least first."""
        done = event.with_reads(before.state, before.done)
        own = event.bit
        if done & own:
            yield _Configuration(event.forget(before.state), done ^ own, before.used)
            return
        pending = [(before.state, done, before.used)]
        seen = set(pending)
        for state, mask, used in pending:
            self.tried += 1
            if self.tried > self.limit:
                return
            reached = event.apply(state) if mask & event.needs == event.needs else None
            if reached is not None and not self._loses(event, state, reached):
                now_mask = event.with_reads(reached, mask | own)
                yield _Configuration(event.forget(reached), now_mask ^ own, used)
            # Of equal steps the first goes first, and none before the one that returns.
            equal = {event.signature}
            for other in event.others:
                if (used if other.optional else mask) & other.bit or other.signature in equal:
                    continue
                equal.add(other.signature)
                reached = other.apply(state) if mask & other.needs == other.needs else None
                if reached is None or (other.optional and reached == state):
                    continue
                if self._loses(event, state, reached):
                    continue
                now_used = used | other.bit if other.optional else used
                now_mask = mask if other.optional else mask | other.bit
                now_mask = event.with_reads(reached, now_mask)
                if now_mask & own:
                    yield _Configuration(event.forget(reached), now_mask ^ own, now_used)
                elif (reached, now_mask, now_used) not in seen:
                    seen.add((reached, now_mask, now_used))
                    pending.append((reached, now_mask, now_used))

    def _loses(self, event: Return, before: State, after: State) -> bool:
        """Whether a value vanishes for good that a step is still to see."""
        last_call = self.plan.last_observer_call
        for slot, value in enumerate(before):
            if value is not after[slot] and last_call.get((slot, value), -1) > event.order:
                return value != after[slot]
        return False


def describe(layout: Layout, state: State) -> str:
    """The keys of a state with their values, and the leases that live."""
    shown = [f"{key}={layout.show(state[slot])}" for key, slot in layout.key_slots.items()]
    shown += [f"lease {lease:x}" for lease in layout.living(state)]
    return ", ".join(shown)
