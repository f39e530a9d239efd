"""What a store should answer: the smallest store that does it right.

It shares no code with the store that it judges. Everything it knows it keeps as whole states, one
dictionary per revision; so reading the past is a look into an old dictionary, and there is nothing
to get wrong about compaction but which revisions may be asked for. The rules are those of etcd's
API documentation ("KV API guarantees") and of its `applier`.

Requests and answers have the form of the store's wire: positional lists (`raftstore.wire`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import attrs

from k8sactors.checkers.watch import Change
from raftstore.errors import (
    COMPACTED,
    FUTURE_REVISION,
    KEY_NOT_FOUND,
    LEASE_EXISTS,
    LEASE_NOT_FOUND,
    NO_SPACE,
    Status,
)
from raftstore.wire import (
    COMPARE_CREATE,
    COMPARE_LEASE,
    COMPARE_MOD,
    COMPARE_VALUE,
    COMPARE_VERSION,
    EQUAL,
    GREATER,
    LESS,
    NOT_EQUAL,
    OP_DELETE_RANGE,
    OP_PUT,
    OP_RANGE,
    OP_TXN,
    SORT_CREATE,
    SORT_DESCEND,
    SORT_KEY,
    SORT_MOD,
    SORT_NONE,
    SORT_VALUE,
    SORT_VERSION,
)

# The revision of a store that was never written to.
EMPTY_REVISION = 1
# Leases that are asked to live for less live so long (etcd: what an election may take).
SHORTEST_TTL_S = 2


class Version(NamedTuple):
    """What a key holds."""

    key: bytes
    create_revision: int
    mod_revision: int
    version: int
    value: bytes
    lease: int


State = dict[bytes, Version]

# A key that does not exist compares like this.
_ABSENT = Version(b"", 0, 0, 0, b"", 0)

_TARGETS: dict[int, Callable[[Version], Any]] = {
    COMPARE_VERSION: lambda each: each.version,
    COMPARE_CREATE: lambda each: each.create_revision,
    COMPARE_MOD: lambda each: each.mod_revision,
    COMPARE_VALUE: lambda each: each.value,
    COMPARE_LEASE: lambda each: each.lease,
}
_RELATIONS: dict[int, Callable[[Any, Any], bool]] = {
    EQUAL: lambda one, other: one == other,
    GREATER: lambda one, other: one > other,
    LESS: lambda one, other: one < other,
    NOT_EQUAL: lambda one, other: one != other,
}
_SORT_KEYS: dict[int, Callable[[Version], Any]] = {
    SORT_KEY: lambda each: each.key,
    SORT_VERSION: lambda each: each.version,
    SORT_CREATE: lambda each: each.create_revision,
    SORT_MOD: lambda each: each.mod_revision,
    SORT_VALUE: lambda each: each.value,
}


RAISE = 1
# Numbers of etcd's AlarmRequest.
NO_SPACE_ALARM = 1


class RefusedError(Exception):
    """The request is answered by a status; nothing was done."""

    def __init__(self, status: Status) -> None:
        super().__init__(status.message)
        self.status = status


class Reply(NamedTuple):
    """What the store should answer."""

    # In the header; None for a refusal, which has no header.
    revision: int | None
    # The fields behind the header.
    fields: list[Any]
    # Why nothing was done.
    refusal: Status | None = None


@attrs.define
class ReferenceStore:
    """Applies requests in order, and remembers all states."""

    # By revision.
    states: dict[int, State] = attrs.field(factory=lambda: {EMPTY_REVISION: {}})
    revision: int = EMPTY_REVISION
    # Every change of a key, in order.
    changes: list[Change] = attrs.field(factory=list)
    # The time to live of those that live, by id.
    leases: dict[int, int] = attrs.field(factory=dict)
    # The oldest revision that may be read, if it was ever compacted.
    compacted: int = 0
    # Who has raised the alarm that there is no room, and has not cleared it.
    full: set[int] = attrs.field(factory=set)

    @property
    def now(self) -> State:
        """The newest state."""
        return self.states[self.revision]

    def apply(self, op: str, fields: Sequence[Any]) -> Reply | None:
        """Carry out a request that stands in the log; None: it has nothing to do with keys."""
        carry_out = {
            "put": self._put_alone,
            "delete_range": self._delete_alone,
            "txn": self._txn_alone,
            "compact": self._compact,
            "lease_grant": self._grant,
            "lease_revoke": self._revoke,
        }.get(op)
        if carry_out is None:
            if op == "alarm_set":
                self._note_alarm(fields)
            return None
        if self.full and _needs_room(op, fields):
            return Reply(None, [], NO_SPACE)
        try:
            answer = carry_out(fields)
        except RefusedError as refused:
            return Reply(None, [], refused.status)
        return Reply(self.revision, answer)

    def read(self, fields: Sequence[Any], at: int) -> list[Any]:
        """What a range request is answered when the newest revision is `at`.

        Raises:
            RefusedError: the request names a revision later than that.
        """
        wanted = fields[3]
        if wanted > at:
            raise RefusedError(FUTURE_REVISION)
        return _read(self.states[wanted if wanted > 0 else at], fields)

    def _note_alarm(self, fields: Sequence[Any]) -> None:
        action, member, alarm = fields
        if alarm == NO_SPACE_ALARM:
            (self.full.add if action == RAISE else self.full.discard)(member)

    # -- requests -------------------------------------------------------------------------------

    def _put_alone(self, fields: Sequence[Any]) -> list[Any]:
        # The other way round than in a transaction, as in etcd.
        self._check_lease(fields)
        self._check_key(fields)
        return self._write(lambda writing: writing.put(fields))

    def _delete_alone(self, fields: Sequence[Any]) -> list[Any]:
        return self._write(lambda writing: writing.delete(fields))

    def _txn_alone(self, fields: Sequence[Any]) -> list[Any]:
        chosen = self._choose(fields)
        self._check(chosen.operations())
        return self._write(lambda writing: writing.run(chosen))

    def _compact(self, fields: Sequence[Any]) -> list[Any]:
        wanted = fields[0]
        if wanted == self.compacted == 0:
            return []
        if wanted <= self.compacted:
            raise RefusedError(COMPACTED)
        if wanted > self.revision:
            raise RefusedError(FUTURE_REVISION)
        self.compacted = wanted
        return []

    def _grant(self, fields: Sequence[Any]) -> list[Any]:
        ttl_s, lease = fields
        if lease in self.leases:
            raise RefusedError(LEASE_EXISTS)
        self.leases[lease] = max(ttl_s, SHORTEST_TTL_S)
        return [lease, self.leases[lease], ""]

    def _revoke(self, fields: Sequence[Any]) -> list[Any]:
        (lease,) = fields
        if lease not in self.leases:
            raise RefusedError(LEASE_NOT_FOUND)
        del self.leases[lease]
        self._write(lambda writing: writing.end(lease))
        return []

    # -- how ------------------------------------------------------------------------------------

    def _write(self, act: Callable[[_Writing], list[Any]]) -> list[Any]:
        """Let a request write; the store has a new revision if it did."""
        writing = _Writing(self)
        answer = act(writing)
        if writing.changes:
            self.revision += 1
            self.states[self.revision] = writing.state
            self.changes += writing.changes
        return answer

    def _choose(self, fields: Sequence[Any]) -> _Branch:
        """Which branch runs; all compares look at the state before the transaction."""
        compares, success, failure = fields
        succeeded = all(_holds(self.now, compare) for compare in compares)
        branch = success if succeeded else failure
        return _Branch(
            succeeded,
            [
                (number, self._choose(operation) if number == OP_TXN else operation)
                for number, operation in branch
            ],
        )

    def _check(self, operations: Sequence[Sequence[Any]]) -> None:
        """Refuse a transaction that cannot be done before anything is: first for its puts."""
        for number, operation in operations:
            if number == OP_PUT:
                self._check_key(operation)
                self._check_lease(operation)
        for number, operation in operations:
            if number == OP_RANGE and operation[3]:
                if operation[3] > self.revision:
                    raise RefusedError(FUTURE_REVISION)
                if operation[3] < self.compacted:
                    raise RefusedError(COMPACTED)

    def _check_lease(self, put: Sequence[Any]) -> None:
        lease = put[2]
        if lease and lease not in self.leases:
            raise RefusedError(LEASE_NOT_FOUND)

    def _check_key(self, put: Sequence[Any]) -> None:
        key, _, _, _, ignore_value, ignore_lease = put
        if (ignore_value or ignore_lease) and key not in self.now:
            raise RefusedError(KEY_NOT_FOUND)


class _Branch(NamedTuple):
    """The branch of a transaction that runs; those of inner transactions are chosen too."""

    succeeded: bool
    chosen: list[tuple[int, Any]]

    def operations(self) -> list[tuple[int, Any]]:
        """All operations, those of inner transactions in their places."""
        found: list[tuple[int, Any]] = []
        for number, operation in self.chosen:
            found += operation.operations() if number == OP_TXN else [(number, operation)]
        return found


class _Writing:
    """The state that one request makes of another, and its changes."""

    def __init__(self, store: ReferenceStore) -> None:
        self._store = store
        self._before = store.now
        self._revision = store.revision + 1
        self.state = self._before
        self.changes: list[Change] = []

    def put(self, fields: Sequence[Any]) -> list[Any]:
        key, value, lease, wants_previous, ignore_value, ignore_lease = fields
        old = self.state.get(key)
        if old is None:
            new = Version(key, self._revision, self._revision, 1, value, lease)
        else:
            new = Version(
                key,
                old.create_revision,
                self._revision,
                old.version + 1,
                old.value if ignore_value else value,
                old.lease if ignore_lease else lease,
            )
        self._changed(key, new)
        return [old if wants_previous else None]

    def delete(self, fields: Sequence[Any]) -> list[Any]:
        key, end, wants_previous = fields
        doomed = _select(self.state, key, end)
        for each in doomed:
            self._changed(each.key, None)
        return [len(doomed), doomed if wants_previous else []]

    def end(self, lease: int) -> list[Any]:
        """Delete the keys of a lease."""
        for key in sorted(key for key, each in self.state.items() if each.lease == lease):
            self._changed(key, None)
        return []

    def run(self, branch: _Branch) -> list[Any]:
        """Carry out a branch; each operation sees what the earlier ones wrote."""
        answers = []
        for number, operation in branch.chosen:
            if number == OP_PUT:
                answer = self.put(operation)
            elif number == OP_DELETE_RANGE:
                answer = self.delete(operation)
            elif number == OP_TXN:
                answer = self.run(operation)
            else:
                state = self._store.states[operation[3]] if operation[3] > 0 else self.state
                answer = _read(state, operation)
            revision = self._revision if self.changes else self._revision - 1
            if number == OP_TXN:
                revision = 0  # as in etcd, only the operations in it tell one
            answers.append([number, [[0, 0, revision, 0], *answer]])
        return [branch.succeeded, answers]

    def _changed(self, key: bytes, new: Version | None) -> None:
        old = self.state.get(key)
        if not self.changes:
            self.state = dict(self._before)
        if new is None:
            del self.state[key]
        else:
            self.state[key] = new
        self.changes.append(_change(key, self._revision, new, old))


def _change(key: bytes, revision: int, new: Version | None, old: Version | None) -> Change:
    name = key.decode()
    previous = None if old is None else _put(name, old)
    if new is None:
        return Change(revision, name, "DELETE", previous=previous)
    return _put(name, new, previous)


def _put(name: str, version: Version, previous: Change | None = None) -> Change:
    return Change(
        version.mod_revision,
        name,
        "PUT",
        version.value,
        version.create_revision,
        version.version,
        version.lease,
        previous,
    )


def _select(state: State, start: bytes, end: bytes) -> list[Version]:
    """What stands in [start, end) in order; no end: the one key; a zero byte: no upper bound."""
    if not end:
        return [state[start]] if start in state else []
    within = (key for key in state if start <= key and (end == b"\0" or key < end))
    return [state[key] for key in sorted(within)]


def _read(state: State, fields: Sequence[Any]) -> list[Any]:
    """Keys and values, whether the limit left some out, and how many there are."""
    key, end, limit, _, order, target, _, keys_only, count_only = fields[:9]
    min_mod, max_mod, min_create, max_create = fields[9:13]
    found = _select(state, key, end)
    count = len(found)
    if count_only:
        return [[], False, count]
    filtered = min_mod or max_mod or min_create or max_create
    if limit > 0 and order == SORT_NONE and not filtered:
        # As in etcd, a target without an order sorts what the limit has left.
        found = found[: limit + 1]
    found = [
        each
        for each in found
        if (not min_mod or each.mod_revision >= min_mod)
        and (not max_mod or each.mod_revision <= max_mod)
        and (not min_create or each.create_revision >= min_create)
        and (not max_create or each.create_revision <= max_create)
    ]
    if order != SORT_NONE or target != SORT_KEY:
        found.sort(key=_SORT_KEYS[target], reverse=order == SORT_DESCEND)
    more = 0 < limit < len(found)
    if more:
        del found[limit:]
    if keys_only:
        found = [each._replace(value=b"") for each in found]
    return [found, more, count]


def _holds(state: State, compare: Sequence[Any]) -> bool:
    """Whether all keys of the range stand in the relation; an absent value equals nothing."""
    relation, target, key, value, end = compare
    found = _select(state, key, end)
    if not found and target == COMPARE_VALUE:
        return False
    return all(_RELATIONS[relation](_TARGETS[target](each), value) for each in found or [_ABSENT])


def _needs_room(op: str, fields: Sequence[Any]) -> bool:
    """Whether a request is refused while there is no room: if any branch of it puts, or grants."""
    if op == "txn":
        return any(
            number == OP_PUT or (number == OP_TXN and _needs_room(op, operation))
            for branch in fields[1:3]
            for number, operation in branch
        )
    return op in {"put", "lease_grant"}
