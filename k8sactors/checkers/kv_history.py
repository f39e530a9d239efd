"""A record of what the clients of a key-value store asked for, and what they were told.

The recorder gives every call and every return an ordinal. In a single-process simulation the order
in which events are recorded *is* real time, and ordinals, unlike virtual nanoseconds, never tie.

Every request is a transaction in etcd's sense (compare, then, else); put, get, delete and
compare-and-set are short forms of it. Three things can happen to a request:

- it completes: the outcome must be explained by the point in time at which it took effect;
- it fails with the certainty that it had no effect: it is dropped from the history;
- its outcome is unknown (time-out, broken connection): it may take effect once, at any time after
  the call, or never.
"""

from enum import Enum

from attrs import define, field, frozen

Value = bytes | None
"""The value of a key; None when the key does not exist."""


class ActionKind(Enum):
    """What one action of a transaction does."""

    PUT = "put"
    GET = "get"
    DELETE = "delete"


@frozen
class Action:
    """One action of a transaction. Only a put carries a value."""

    kind: ActionKind
    key: str
    value: bytes = b""

    def __str__(self) -> str:
        if self.kind is ActionKind.PUT:
            return f"put {self.key}={show(self.value)}"
        return f"{self.kind.value} {self.key}"


@frozen
class Compare:
    """A condition: the key holds exactly this value (None: it does not exist)."""

    key: str
    value: Value

    def __str__(self) -> str:
        return f"{self.key}=={show(self.value)}"


@frozen
class Request:
    """A transaction: when all compares hold, do `success`, else `failure`, atomically."""

    success: tuple[Action, ...]
    compares: tuple[Compare, ...] = ()
    failure: tuple[Action, ...] = ()

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys that it can read or write, each once, in order of appearance."""
        named = [compare.key for compare in self.compares]
        named += [action.key for action in (*self.success, *self.failure)]
        return tuple(dict.fromkeys(named))

    @property
    def is_read_only(self) -> bool:
        """Whether no branch of it writes."""
        return all(action.kind is ActionKind.GET for action in (*self.success, *self.failure))

    def __str__(self) -> str:
        then = "; ".join(map(str, self.success))
        if not self.compares:
            return then
        condition = " and ".join(map(str, self.compares))
        otherwise = "; ".join(map(str, self.failure))
        return f"if {condition} then {then or 'nothing'}" + (
            f" else {otherwise}" if otherwise else ""
        )


def put(key: str, value: bytes) -> Request:
    """Request that writes one key."""
    return Request((Action(ActionKind.PUT, key, value),))


def get(key: str) -> Request:
    """Request that reads one key."""
    return Request((Action(ActionKind.GET, key),))


def delete(key: str) -> Request:
    """Request that removes one key."""
    return Request((Action(ActionKind.DELETE, key),))


def compare_and_set(key: str, expected: Value, value: bytes) -> Request:
    """Request that writes one key if it still holds the expected value (None: is absent)."""
    return Request((Action(ActionKind.PUT, key, value),), (Compare(key, expected),))


@frozen
class Outcome:
    """What the client was told.

    Attributes:
        succeeded: which branch of the transaction ran.
        results: one item per action of that branch: the value that a get saw, the number of keys
            that a delete removed; None for a put.
        revision: the store's revision in the answer's header; None when it was not recorded.
    """

    succeeded: bool = True
    results: tuple[Value | int, ...] = ()
    revision: int | None = None


@define
class Operation:
    """One request of one client, from call to return."""

    client: str
    request: Request
    call_order: int
    called_ns: int = 0
    return_order: int | None = None
    returned_ns: int | None = None
    outcome: Outcome | None = None

    @property
    def is_unknown(self) -> bool:
        """Whether nobody knows if it took effect."""
        return self.outcome is None

    def __str__(self) -> str:
        return f"{self.client}: {self.request} -> {_show_outcome(self)}"


@define
class History:
    """Records operations while they happen."""

    operations: list[Operation] = field(factory=list)
    _next_order: int = 0

    def invoke(self, client: str, request: Request, now_ns: int) -> Operation:
        """Record that a client sends a request. The outcome is unknown until told otherwise."""
        operation = Operation(client, request, self._tick(), now_ns)
        self.operations.append(operation)
        return operation

    def complete(self, operation: Operation, outcome: Outcome, now_ns: int) -> None:
        """Record the answer to a request."""
        assert operation.outcome is None, "an operation completes once"
        operation.outcome = outcome
        operation.return_order = self._tick()
        operation.returned_ns = now_ns

    def discard(self, operation: Operation) -> None:
        """Forget a request that is known not to have had, and never to have, an effect."""
        self.operations.remove(operation)

    def _tick(self) -> int:
        self._next_order += 1
        return self._next_order


def show(value: Value) -> str:
    """A value as a report prints it."""
    if value is None:
        return "(absent)"
    return value.decode("utf-8", "backslashreplace")


def _show_outcome(operation: Operation) -> str:
    outcome = operation.outcome
    if outcome is None:
        return "outcome unknown"
    branch = operation.request.success if outcome.succeeded else operation.request.failure
    parts: list[str] = []
    if operation.request.compares:
        parts.append("succeeded" if outcome.succeeded else "compare failed")
    for action, result in zip(branch, outcome.results, strict=False):
        if action.kind is ActionKind.GET:
            assert not isinstance(result, int), "a get answers with a value"
            parts.append(show(result))
        elif action.kind is ActionKind.DELETE:
            assert isinstance(result, int), "a delete answers with a number"
            parts.append(f"{result} deleted")
    return ", ".join(parts) or "ok"
