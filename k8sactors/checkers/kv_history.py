"""A record of what the clients of a key-value store asked for, and what they were told.

The recorder gives every call and every return an ordinal. In a single-process simulation the order
in which events are recorded *is* real time, and ordinals, unlike virtual nanoseconds, never tie.

Every request is a transaction in etcd's sense (compare, then, else); put, get, delete and
compare-and-set are short forms of it, and so are the requests on leases and the compaction, which
stand alone. Three things can happen to a request:

- it completes: the outcome, a refusal included, must be explained by the point in time at which it
  took effect;
- it fails with the certainty that it had no effect: it is dropped from the history;
- its outcome is unknown (time-out, broken connection): it may take effect once, at any time after
  the call, or never.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import Any

import attrs

# The value of a key; None when the key does not exist.
Value = bytes | None

# Keys and values as a range read returns them, in order of the keys.
Pairs = tuple[tuple[str, bytes], ...]

# What one action answers: see `Outcome.results`.
Result = Value | int | Pairs


class ActionKind(Enum):
    """What one action of a transaction does; those on leases and the compaction stand alone."""

    PUT = "put"
    GET = "get"
    DELETE = "delete"
    RANGE = "range"
    DELETE_RANGE = "delete range"
    GRANT = "grant"
    REVOKE = "revoke"
    KEEP_ALIVE = "keep alive"
    COMPACT = "compact"


READS = frozenset((ActionKind.GET, ActionKind.RANGE, ActionKind.KEEP_ALIVE))
_RANGES = frozenset((ActionKind.RANGE, ActionKind.DELETE_RANGE))
_ON_LEASES = frozenset((ActionKind.GRANT, ActionKind.REVOKE, ActionKind.KEEP_ALIVE))


class Refusal(Enum):
    """A certain answer that nothing was done, which tells something of the store's state."""

    LEASE_NOT_FOUND = "lease not found"
    LEASE_EXISTS = "lease exists"
    COMPACTED = "revision compacted"
    FUTURE_REVISION = "future revision"


@attrs.frozen
class Action:
    """One action of a transaction."""

    # What it does.
    kind: ActionKind
    # The key, or the first of the range; empty for leases and compactions.
    key: str = ""
    # What a put writes.
    value: bytes = b""
    # The key behind the last one of a range.
    end: str = ""
    # The lease that a put attaches the key to (0: none), or that is granted, revoked or kept alive.
    # Clients choose the ids of their leases, each once only.
    lease: int = 0
    # How long a granted lease lives without a renewal, as the store granted it.
    ttl_s: int = 0
    # What a compaction keeps from.
    revision: int = 0

    def covers(self, key: str) -> bool:
        """Whether it reads or writes the key."""
        if self.kind in _RANGES:
            return self.key <= key < self.end
        return self.key == key and self.kind not in _ON_LEASES

    def __str__(self) -> str:
        name = self.kind.value
        if self.kind is ActionKind.PUT:
            attached = f" on lease {self.lease:x}" if self.lease else ""
            return f"{name} {self.key}={show(self.value)}{attached}"
        if self.kind in _RANGES:
            return f"{name} [{self.key}, {self.end})"
        if self.kind is ActionKind.GRANT:
            return f"{name} lease {self.lease:x} for {self.ttl_s} s"
        if self.kind in _ON_LEASES:
            return f"{name} lease {self.lease:x}"
        if self.kind is ActionKind.COMPACT:
            return f"{name} at {self.revision}"
        return f"{name} {self.key}"


@attrs.frozen
class Compare:
    """A condition: the key holds exactly this value (None: it does not exist)."""

    key: str
    value: Value

    def __str__(self) -> str:
        return f"{self.key}=={show(self.value)}"


@attrs.frozen
class Request:
    """A transaction: when all compares hold, do `success`, else `failure`, atomically."""

    # What to do when the compares hold.
    success: tuple[Action, ...]
    # The conditions; none: always `success`.
    compares: tuple[Compare, ...] = ()
    # What to do otherwise.
    failure: tuple[Action, ...] = ()
    # For a read alone: read the state as of this revision (0: the newest).
    revision: int = 0
    # For a read alone: any one member may answer, from a state that may be old.
    serializable: bool = False

    @property
    def actions(self) -> tuple[Action, ...]:
        """Of both branches."""
        return (*self.success, *self.failure)

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys that it names, each once, in order of appearance; not those inside ranges."""
        named = [compare.key for compare in self.compares]
        named += [action.key for action in self.actions if action.key and not action.end]
        return tuple(dict.fromkeys(named))

    @property
    def is_read_only(self) -> bool:
        """Whether no branch of it writes; keeping a lease alive changes but its time."""
        return all(action.kind in READS for action in self.actions)

    def __str__(self) -> str:
        then = "; ".join(map(str, self.success))
        if not self.compares:
            past = f" at revision {self.revision}" if self.revision else ""
            return then + past + (", serializable" if self.serializable else "")
        condition = " and ".join(map(str, self.compares))
        otherwise = "; ".join(map(str, self.failure))
        return f"if {condition} then {then or 'nothing'}" + (
            f" else {otherwise}" if otherwise else ""
        )


def put(key: str, value: bytes, *, lease: int = 0) -> Request:
    """Request that writes one key, which vanishes with its lease if it has one."""
    return Request((Action(ActionKind.PUT, key, value, lease=lease),))


def get(key: str, *, revision: int = 0, serializable: bool = False) -> Request:
    """Request that reads one key."""
    return Request((Action(ActionKind.GET, key),), revision=revision, serializable=serializable)


def get_range(key: str, end: str, *, revision: int = 0, serializable: bool = False) -> Request:
    """Request that reads all keys from `key` to before `end`."""
    action = Action(ActionKind.RANGE, key, end=end)
    return Request((action,), revision=revision, serializable=serializable)


def delete(key: str) -> Request:
    """Request that removes one key."""
    return Request((Action(ActionKind.DELETE, key),))


def delete_range(key: str, end: str) -> Request:
    """Request that removes all keys from `key` to before `end`."""
    return Request((Action(ActionKind.DELETE_RANGE, key, end=end),))


def compare_and_set(key: str, expected: Value, value: bytes) -> Request:
    """Request that writes one key if it still holds the expected value (None: is absent)."""
    return Request((Action(ActionKind.PUT, key, value),), (Compare(key, expected),))


def grant(lease: int, ttl_s: int) -> Request:
    """Request for a lease of the client's own, never used id."""
    return Request((Action(ActionKind.GRANT, lease=lease, ttl_s=ttl_s),))


def revoke(lease: int) -> Request:
    """Request that ends a lease, and its keys with it."""
    return Request((Action(ActionKind.REVOKE, lease=lease),))


def keep_alive(lease: int) -> Request:
    """Request that starts a lease's time again."""
    return Request((Action(ActionKind.KEEP_ALIVE, lease=lease),))


def compact(revision: int) -> Request:
    """Request to forget what no reader at `revision` or later can see."""
    return Request((Action(ActionKind.COMPACT, revision=revision),))


@attrs.frozen
class Outcome:
    """What the client was told."""

    # Which branch of the transaction ran.
    succeeded: bool = True
    # One item per action of that branch: the value that a get saw, the keys and values of a range,
    # the number of keys that a delete removed, the seconds that a lease which is kept alive has
    # from then on (0: it is gone); None for all others. Empty when refused.
    results: tuple[Result, ...] = ()
    # The store's revision in the answer's header; None when it was not recorded.
    revision: int | None = None
    # Why nothing was done; None when it was.
    refusal: Refusal | None = None


@attrs.define(eq=False)
class Operation:
    """One request of one client, from call to return.

    `answer` are the fields of the whole response, its header first, where they were recorded.
    """

    client: str
    request: Request
    call_order: int
    called_ns: int = 0
    return_order: int | None = None
    returned_ns: int | None = None
    outcome: Outcome | None = None
    answer: Sequence[Any] | None = None

    @property
    def is_unknown(self) -> bool:
        """Whether the client does not know if it took effect."""
        return self.outcome is None

    @property
    def done(self) -> tuple[Action, ...]:
        """The actions that it was told to have done."""
        if self.outcome is None or self.outcome.refusal is not None:
            return ()
        return self.request.success if self.outcome.succeeded else self.request.failure

    def __str__(self) -> str:
        return f"{self.client}: {self.request} -> {show_outcome(self)}"


@attrs.define
class History:
    """Records operations while they happen."""

    operations: list[Operation] = attrs.field(factory=list)
    # Requests that certainly had no effect: no order has to explain them, no log may hold them.
    discarded: list[Operation] = attrs.field(factory=list)
    _next_order: int = 0

    def invoke(self, client: str, request: Request, now_ns: int) -> Operation:
        """Record that a client sends a request. The outcome is unknown until told otherwise."""
        operation = Operation(client, request, self._tick(), now_ns)
        self.operations.append(operation)
        return operation

    def complete(
        self,
        operation: Operation,
        outcome: Outcome,
        now_ns: int,
        answer: Sequence[Any] | None = None,
    ) -> None:
        """Record the answer to a request."""
        assert operation.outcome is None, "an operation completes once"
        operation.outcome, operation.answer = outcome, answer
        operation.return_order = self._tick()
        operation.returned_ns = now_ns

    def discard(self, operation: Operation) -> None:
        """Set aside a request that is known not to have had, and never to have, an effect."""
        self.operations.remove(operation)
        self.discarded.append(operation)

    def _tick(self) -> int:
        self._next_order += 1
        return self._next_order


def show(value: Value) -> str:
    """A value as a report prints it."""
    if value is None:
        return "(absent)"
    return value.decode("utf-8", "backslashreplace")


def show_outcome(operation: Operation) -> str:
    """What the client was told, as a report prints it."""
    outcome = operation.outcome
    if outcome is None:
        return "outcome unknown"
    if outcome.refusal is not None:
        return f"refused: {outcome.refusal.value}"
    parts: list[str] = []
    if operation.request.compares:
        parts.append("succeeded" if outcome.succeeded else "compare failed")
    for action, result in zip(operation.done, outcome.results, strict=False):
        if isinstance(result, tuple):
            parts.append(", ".join(f"{key}={show(value)}" for key, value in result) or "nothing")
        elif isinstance(result, int):
            of_lease = action.kind is ActionKind.KEEP_ALIVE
            parts.append(f"{result} s" if of_lease else f"{result} deleted")
        elif action.kind is ActionKind.GET:
            parts.append(show(result))
    return ", ".join(parts) or "ok"
