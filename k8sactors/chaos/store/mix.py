"""What the clients of a campaign ask for: drawn request by request, written as the checks have it.

Every value is written once only, so that a lost or repeated write shows; so is every lease id.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import attrs

from k8sactors.checkers.kv_history import (
    Action,
    ActionKind,
    Compare,
    History,
    Operation,
    Request,
    Value,
    compact,
    compare_and_set,
    delete,
    delete_range,
    get,
    get_range,
    grant,
    keep_alive,
    put,
    revoke,
)
from k8sactors.simulation import Random

KEYS = ("x", "y", "z")
BEHIND_KEYS = "~"

TRANSACTIONS = "transactions"
RANGES = "ranges"
LEASES = "leases"
PAST = "past"
SERIALIZABLE = "serializable"
COMPACTION = "compaction"
FEATURES = (TRANSACTIONS, RANGES, LEASES, PAST, SERIALIZABLE, COMPACTION)
"""What a load may ask for next to reads and writes of single keys."""

# What part of its requests a client reads with; one that writes soon hangs at a cut-off leader, so
# some must only look.
READ_SHARES = (0.3, 0.5, 1.0)
# Of the writes; the rest deletes.
PUT_SHARE = 0.5
COMPARE_AND_SET_SHARE = 0.35
# Of all requests, those that use a feature if there are any.
FEATURE_SHARE = 0.5

SHORTEST_TTL_S, LONGEST_TTL_S = 2, 8
LEASE_BITS = 48
RECENT = 50
MOST_LEASES = 3
# How far behind the newest revision a compaction may keep history, and how rarely it is asked for.
KEPT_REVISIONS = (0, 1, 5, 20)
COMPACTION_SHARE = 0.15
FUTURE_SHARE = 0.05


@attrs.define
class RequestMix:
    """One client's source of requests; `draw` looks at what all clients were told so far."""

    name: str
    history: History
    features: Sequence[str] = ()
    read_share: float = 0.5
    keys: Sequence[str] = KEYS
    values: int = 0
    leases: list[int] = attrs.field(factory=list)
    revoked: list[int] = attrs.field(factory=list)

    def draw(self, random: Random) -> Request:
        """The next request."""
        if self.features and random.random() < FEATURE_SHARE:
            return self._draws()[random.choice(self.features)](random)
        key = random.choice(self.keys)
        if random.random() < self.read_share:
            return get(key)
        kind = random.random()
        if kind < PUT_SHARE:
            return put(key, self._value())
        if kind < PUT_SHARE + COMPARE_AND_SET_SHARE:
            return compare_and_set(key, self.last_seen(key), self._value())
        return delete(key)

    def _draws(self) -> dict[str, Callable[[Random], Request]]:
        return {
            TRANSACTIONS: self._transaction,
            RANGES: self._range,
            LEASES: self._lease,
            PAST: self._past,
            SERIALIZABLE: self._serializable,
            COMPACTION: self._compaction,
        }

    def _value(self) -> bytes:
        self.values += 1
        return f"{self.name}-{self.values}".encode()

    def _transaction(self, random: Random) -> Request:
        """Two keys written together if a third holds what it did, else all of them read."""
        first, second, third = random.sample(self.keys, 3)
        compares = (Compare(third, self.last_seen(third)),)
        reads = tuple(Action(ActionKind.GET, key) for key in (first, second, third))
        if random.random() < self.read_share:
            return Request(reads)
        writes = (
            Action(ActionKind.PUT, first, self._value()),
            random.choice(
                (
                    Action(ActionKind.PUT, second, self._value()),
                    Action(ActionKind.DELETE, second),
                )
            ),
            Action(ActionKind.GET, third),
        )
        return Request(writes, compares, reads)

    def _range(self, random: Random) -> Request:
        start = random.choice(self.keys)
        if random.random() < max(self.read_share, 0.5):
            return get_range(start, BEHIND_KEYS)
        return delete_range(start, BEHIND_KEYS)

    def _lease(self, random: Random) -> Request:
        """A lease is granted, used, kept alive for a while, and revoked or left to expire."""
        if not self.leases:
            lease = random.getrandbits(LEASE_BITS) + 1
            self.leases.append(lease)
            return grant(lease, random.randint(SHORTEST_TTL_S, LONGEST_TTL_S))
        lease = random.choice(self.leases)
        match random.randrange(6):
            case 0 if len(self.leases) < MOST_LEASES:
                lease = random.getrandbits(LEASE_BITS) + 1
                self.leases.append(lease)
                return grant(lease, random.randint(SHORTEST_TTL_S, LONGEST_TTL_S))
            case 1:
                self.leases.remove(lease)
                self.revoked.append(lease)
                return revoke(lease)
            case 2 | 3:
                return keep_alive(lease)
            case _:
                return put(random.choice(self.keys), self._value(), lease=lease)

    def lost(self, lease: int) -> None:
        """The store says that a lease is gone."""
        if lease in self.leases:
            self.leases.remove(lease)

    def _past(self, random: Random) -> Request:
        revision = random.randint(1, max(1, self.newest_revision()))
        if random.random() < FUTURE_SHARE:
            revision += 1_000_000
        if random.random() < 0.5:  # noqa: PLR2004 - one key or all of them
            return get(random.choice(self.keys), revision=revision)
        return get_range(self.keys[0], BEHIND_KEYS, revision=revision)

    def _serializable(self, random: Random) -> Request:
        if random.random() < 0.5:  # noqa: PLR2004 - one key or all of them
            return get(random.choice(self.keys), serializable=True)
        return get_range(self.keys[0], BEHIND_KEYS, serializable=True)

    def _compaction(self, random: Random) -> Request:
        if random.random() >= COMPACTION_SHARE:
            return get(random.choice(self.keys))
        return compact(max(1, self.newest_revision() - random.choice(KEPT_REVISIONS)))

    def recent(self) -> list[Operation]:
        """The newest operations, newest first."""
        return self.history.operations[: -RECENT - 1 : -1]

    def newest_revision(self) -> int:
        """The newest revision that any client was told lately."""
        revisions = [each.outcome.revision or 0 for each in self.recent() if each.outcome]
        return max(revisions, default=1)

    def last_seen(self, key: str) -> Value:
        """The value of the newest completed operation on the key: a fair guess for a compare."""
        for operation in self.recent():
            if operation.outcome is None or operation.request.revision:
                continue
            for action, result in zip(operation.done, operation.outcome.results, strict=True):
                if action.key != key or action.end:
                    continue
                if action.kind is ActionKind.PUT:
                    return action.value
                if action.kind is ActionKind.GET:
                    assert not isinstance(result, int | tuple), "a get answers with a value"
                    return result
        return None
