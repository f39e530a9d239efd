"""The replicated state machine: applies committed requests, straight from their positional lists.

Everything that changes state comes through `Store.apply_wire` in the order of the Raft log, and
depends on nothing else, so that all members hold the same state after the same entry. The
exception is lease time, which is no replicated state (see `raftstore.mvcc.lease`).
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from typing import Any, Final, Protocol

import attrs

from raftstore.errors import (
    INVALID_ARGUMENT,
    KEY_NOT_FOUND,
    LEASE_NOT_FOUND,
    UNKNOWN_METHOD,
    Status,
    StoreError,
)
from raftstore.mvcc.base import KV, Segment, read
from raftstore.mvcc.compare import choose_branches, holds
from raftstore.mvcc.history import version_of
from raftstore.mvcc.keyspace import LEASE, VALUE, KeySpace, upper_bound
from raftstore.mvcc.lease import Leases
from raftstore.mvcc.ranges import read_range
from raftstore.mvcc.snapshot import LoadedState, StateView, load
from raftstore.wire import OP_DELETE_RANGE, OP_PUT, OP_RANGE, OP_TXN

# Counted for a lease; etcd: leaseOverhead in ``server/storage/quota.go``.
LEASE_BYTES: Final = 64
NO_LEASE_ID: Final = Status(INVALID_ARGUMENT, "etcdserver: lease id is not provided")


# Takes a request's fields and the time in nanoseconds; answers like `Store.apply_wire`.
Applier = Callable[[list[Any], int], list[Any]]


class Section(Protocol):
    """A part of the replicated state next to the keys: users, alarms, members ...

    It changes only by its `writers`, so it is equal on all members at equal log index, and it
    travels in snapshots with the keys.
    """

    name: str
    # By the name of the request; each answers ``[0, response fields]`` or ``[code, message]``.
    writers: dict[str, Applier]

    def dump(self) -> Any:
        """The state as plain data for msgpack, independent of what is applied later."""

    def load(self, data: Any) -> None:
        """Replace the state by what `dump` gave; None: by the state of a new cluster."""


@attrs.define
class Counts:
    """What was done since the start, within transactions and without."""

    puts: int = 0
    # Of keys.
    deletes: int = 0
    ranges: int = 0
    txns: int = 0
    leases_granted: int = 0
    leases_revoked: int = 0
    leases_renewed: int = 0


class Store:
    """Revisions, keys and leases of one member."""

    def __init__(self, cluster_id: int = 0, member_id: int = 0) -> None:
        self.cluster_id = cluster_id
        self.member_id = member_id
        self.raft_term = 0
        self.space = KeySpace()
        self.leases = Leases()
        # Called before history is dropped, and before and after it is replaced: for the watches.
        self.before_compaction: list[Callable[[], None]] = []
        self.before_restore: list[Callable[[], None]] = []
        self.after_restore: list[Callable[[], None]] = []
        self.counts = Counts()
        self._sections: dict[str, Section] = {}
        self._capped: dict[str, Applier] = {}
        self._shielded: dict[str, Applier] = {}
        self._appliers: dict[str, Applier] = {
            "put": self._put,
            "txn": self._txn,
            "delete_range": self._delete_range,
            "compact": self._compact,
            "lease_grant": self._lease_grant,
            "lease_revoke": self._lease_revoke,
        }
        self._readers: dict[str, Callable[[list[Any], int], list[Any]]] = {
            "range": self._range,
            "hash_kv": self._hash_kv,
            "lease_time_to_live": self._lease_time_to_live,
            "lease_leases": self._lease_leases,
        }
        # Names of the requests that go through the log.
        self.write_ops = frozenset(self._appliers)
        # Names of the requests that `read_wire` answers.
        self.read_ops = frozenset(self._readers)
        self._rebuild()

    def _rebuild(self) -> None:
        """Stack what is in force: the appliers, over them the cap, over that the shield."""
        self._unshielded = self._appliers | self._capped
        self._writers = self._unshielded | self._shielded

    def extend(self, section: Section, internal: frozenset[str] = frozenset()) -> None:
        """Add a part of the state, with the requests that change it; before anything is applied.

        Those in `internal` are proposed by members only, and are no `write_ops`.
        """
        assert section.name not in self._sections, f"there is a section {section.name} already"
        assert not self._appliers.keys() & section.writers.keys(), "a request has one applier"
        self._sections[section.name] = section
        self._appliers |= section.writers
        self._rebuild()
        self.write_ops |= section.writers.keys() - internal

    def shield(self, ops: frozenset[str], refusal: Applier) -> None:
        """Let `refusal` answer these requests where they stand bare in the log.

        `apply_unshielded` still applies them, for a caller that has looked at them first.
        """
        self._shielded = dict.fromkeys(sorted(ops & self._appliers.keys()), refusal)
        self._rebuild()

    def unshield(self) -> None:
        """Apply all requests again."""
        self._shielded = {}
        self._rebuild()

    def cap(self, appliers: dict[str, Applier]) -> None:
        """Let these apply the requests of their names, shielded or not; none: as before."""
        self._capped = appliers
        self._rebuild()

    @property
    def applied_as_usual(self) -> dict[str, Applier]:
        """Who applies what, by name, with nothing in the way."""
        return self._appliers

    @property
    def revision(self) -> int:
        """The newest revision."""
        return self.space.revision

    @property
    def compact_revision(self) -> int:
        """The oldest revision that can still be read; 0: never compacted."""
        return self.space.compact_revision

    @property
    def in_use_bytes(self) -> int:
        """What keys and leases take, by a measure that does not depend on how they are kept."""
        return self.space.size_bytes + len(self.leases.by_id) * LEASE_BYTES

    @property
    def allocated_bytes(self) -> int:
        """The most that it was since the last defragmentation, but for leases."""
        return self.space.allocated_bytes + len(self.leases.by_id) * LEASE_BYTES

    def statistics(self) -> dict[str, int]:
        """Sizes, revisions, and what was done."""
        return {
            **attrs.asdict(self.counts),
            "revision": self.revision,
            "compact_revision": self.compact_revision,
            "keys": len(self.space.live),
            "leases": len(self.leases.by_id),
            "allocated_bytes": self.allocated_bytes,
            "in_use_bytes": self.in_use_bytes,
        }

    def header(self) -> list[int]:
        """The ResponseHeader fields of an answer given now."""
        return [self.cluster_id, self.member_id, self.space.revision, self.raft_term]

    def apply_wire(self, op: str, fields: list[Any], now_ns: int = 0) -> list[Any]:
        """Apply one committed request; answers ``[0, response fields]`` or ``[code, message]``."""
        try:
            return self._writers[op](fields, now_ns)
        except StoreError as refusal:
            return refusal.to_wire()
        except KeyError:
            if op in self._writers:
                raise
            return list(UNKNOWN_METHOD)

    def apply_unshielded(self, op: str, fields: list[Any], now_ns: int = 0) -> list[Any]:
        """Apply one request whether it is shielded or not; raises its refusal."""
        apply = self._unshielded.get(op)
        return list(UNKNOWN_METHOD) if apply is None else apply(fields, now_ns)

    def read_wire(self, op: str, fields: list[Any], now_ns: int = 0) -> list[Any]:
        """Answer a request that changes nothing, from the present state."""
        reader = self._readers.get(op)
        if reader is None:
            return list(UNKNOWN_METHOD)
        try:
            return [0, [self.header(), *reader(fields, now_ns)]]
        except StoreError as refusal:
            return refusal.to_wire()

    # Writes

    def _put(self, fields: list[Any], _now_ns: int) -> list[Any]:
        space = self.space
        key, value, lease, want_prev, ignore_value, ignore_lease = fields
        kept = space.live.get(key)
        old = read(kept, key) if isinstance(kept, Segment) else kept
        if lease and lease not in self.leases.by_id:
            return list(LEASE_NOT_FOUND)
        if ignore_value or ignore_lease:
            if old is None:
                return list(KEY_NOT_FOUND)
            value = old[VALUE] if ignore_value else value
            lease = old[LEASE] if ignore_lease else lease
        revision = space.revision + 1
        self.counts.puts += 1
        space.log.append(space.put(revision, key, value, lease, old))
        space.revision = revision
        if lease or (old is not None and old[5]):
            self.leases.move(key, 0 if old is None else old[5], lease)
        return [
            0,
            [
                [self.cluster_id, self.member_id, revision, self.raft_term],
                old if want_prev else None,
            ],
        ]

    def _delete_range(self, fields: list[Any], _now_ns: int) -> list[Any]:
        space = self.space
        revision = space.revision + 1
        written: list[KV] = []
        result = self._write_delete(fields, revision, written)
        if written:
            space.commit(revision, written)
        return [0, [self.header(), *result]]

    def _write_delete(self, fields: list[Any], revision: int, written: list[KV]) -> list[Any]:
        space = self.space
        key, range_end, want_prev = fields
        if range_end:
            doomed = list(space.select_live(key, upper_bound(range_end)))
        else:
            old = space.newest(key)
            doomed = [] if old is None else [old]
        self.counts.deletes += len(doomed)
        for old in doomed:
            written.append(space.delete(revision, old))
            if old[LEASE]:
                self.leases.move(old[0], old[LEASE], 0)
        return [len(doomed), doomed if want_prev else []]

    def _write_put(self, fields: list[Any], revision: int, written: list[KV]) -> list[Any]:
        space = self.space
        key, value, lease, want_prev, ignore_value, ignore_lease = fields
        old = space.newest(key)
        if old is not None:
            value = old[VALUE] if ignore_value else value
            lease = old[LEASE] if ignore_lease else lease
        self.counts.puts += 1
        written.append(space.put(revision, key, value, lease, old))
        if lease or (old is not None and old[LEASE]):
            self.leases.move(key, 0 if old is None else old[LEASE], lease)
        return [old if want_prev else None]

    def _compact(self, fields: list[Any], _now_ns: int) -> list[Any]:
        for notify in self.before_compaction:
            notify()
        self.space.compact(fields[0])
        return [0, [self.header()]]

    def _lease_grant(self, fields: list[Any], now_ns: int) -> list[Any]:
        ttl_s, lease_id = fields
        if not lease_id:
            return list(NO_LEASE_ID)
        lease = self.leases.grant(lease_id, ttl_s, now_ns)
        self.counts.leases_granted += 1
        return [0, [self.header(), lease_id, lease.ttl_s, ""]]

    def _lease_revoke(self, fields: list[Any], _now_ns: int) -> list[Any]:
        space = self.space
        revision = space.revision + 1
        keys = self.leases.revoke(fields[0])
        written = [space.delete(revision, version_of(key, space.live[key])) for key in keys]
        self.counts.leases_revoked += 1
        self.counts.deletes += len(written)
        if written:
            space.commit(revision, written)
        return [0, [self.header()]]

    # Transactions

    def _txn(self, fields: list[Any], _now_ns: int) -> list[Any]:
        space = self.space
        self.counts.txns += 1
        compares, success, _ = fields
        if (
            len(compares) == len(success) == 1
            and success[0][0] == OP_PUT
            and holds(space, compares[0])
        ):
            return self._guarded_put(success[0][1])
        branches: list[bool] = []
        choose_branches(space, fields, branches)
        # Nothing is undone: what could be refused is found out before the first write.
        self._check_puts(fields, iter(branches))
        self._check_ranges(fields, iter(branches))
        revision = space.revision + 1
        written: list[KV] = []
        result = self._run_branch(fields, iter(branches), revision, written)
        if written:
            space.commit(revision, written)
        return [0, [self.header(), *result]]

    def _guarded_put(self, operation: list[Any]) -> list[Any]:
        """A transaction of one put whose compare holds: most of what an API server writes."""
        self._check_put(operation)
        space = self.space
        revision = space.revision + 1
        written: list[KV] = []
        result = self._write_put(operation, revision, written)
        space.commit(revision, written)
        return [0, [self.header(), True, [[OP_PUT, [[0, 0, revision, 0], *result]]]]]

    def _check_put(self, operation: list[Any]) -> None:
        # As in etcd, the other way round than for a put by itself.
        if (operation[4] or operation[5]) and operation[0] not in self.space.live:
            raise StoreError(*KEY_NOT_FOUND)
        if operation[2] and operation[2] not in self.leases.by_id:
            raise StoreError(*LEASE_NOT_FOUND)

    def _check_puts(self, fields: list[Any], branches: Iterator[bool]) -> None:
        for number, operation in fields[1] if next(branches) else fields[2]:
            if number == OP_PUT:
                self._check_put(operation)
            elif number == OP_TXN:
                self._check_puts(operation, branches)

    def _check_ranges(self, fields: list[Any], branches: Iterator[bool]) -> None:
        for number, operation in fields[1] if next(branches) else fields[2]:
            if number == OP_RANGE:
                if operation[3]:
                    self.space.check_revision(operation[3])
            elif number == OP_TXN:
                self._check_ranges(operation, branches)

    def _run_branch(
        self, fields: list[Any], branches: Iterator[bool], revision: int, written: list[KV]
    ) -> list[Any]:
        """``[succeeded, responses]``; operations see what earlier ones of the transaction wrote."""
        succeeded = next(branches)
        responses = []
        for number, operation in fields[1] if succeeded else fields[2]:
            if number == OP_PUT:
                result = self._write_put(operation, revision, written)
            elif number == OP_RANGE:
                newest = revision if written else revision - 1
                self.counts.ranges += 1
                result = read_range(self.space, operation, newest)
            elif number == OP_DELETE_RANGE:
                result = self._write_delete(operation, revision, written)
            else:
                # As etcd's, a nested transaction tells no revision; its operations do.
                result = self._run_branch(operation, branches, revision, written)
                responses.append([number, [[0, 0, 0, 0], *result]])
                continue
            header = [0, 0, revision if written else revision - 1, 0]
            responses.append([number, [header, *result]])
        return [succeeded, responses]

    # Reads

    def _range(self, fields: list[Any], _now_ns: int) -> list[Any]:
        if fields[3] > 0:
            self.space.check_revision(fields[3])
        self.counts.ranges += 1
        return read_range(self.space, fields, self.space.revision)

    def _hash_kv(self, fields: list[Any], _now_ns: int) -> list[Any]:
        revision = fields[0] if fields[0] > 0 else self.space.revision
        # As in etcd, -1 stands for never compacted.
        return [self.space.hash(revision), self.space.compact_revision or -1, revision]

    def hash_kv_in_steps(self, fields: list[Any]) -> Generator[None, None, list[Any]]:
        """The answer to a hash_kv request, some milliseconds of work at a time.

        It is of the state at the first step. Raises StoreError as `read_wire` would answer it.
        """
        revision = fields[0] if fields[0] > 0 else self.space.revision
        crc = yield from self.space.hash_in_steps(revision)
        return [0, [self.header(), crc, self.space.compact_revision or -1, revision]]

    def _lease_time_to_live(self, fields: list[Any], now_ns: int) -> list[Any]:
        lease_id, want_keys = fields
        lease = self.leases.by_id.get(lease_id)
        if lease is None:
            return [lease_id, -1, 0, []]
        remaining_s = self.leases.remaining_s(lease_id, now_ns)
        return [lease_id, remaining_s, lease.ttl_s, sorted(lease.keys) if want_keys else []]

    def _lease_leases(self, _fields: list[Any], _now_ns: int) -> list[Any]:
        return [self.leases.in_order()]

    def keep_alive_wire(self, fields: list[Any], now_ns: int) -> list[Any]:
        """Renew a lease on the leader. One that is gone answers with a TTL of 0, as etcd does."""
        lease_id = fields[0]
        try:
            ttl_s = self.leases.renew(lease_id, now_ns)
            self.counts.leases_renewed += 1
        except StoreError as refusal:
            if refusal.status != LEASE_NOT_FOUND:
                return refusal.to_wire()
            ttl_s = 0
        return [0, [self.header(), lease_id, ttl_s]]

    # Snapshot

    def view(self) -> StateView:
        """The whole state as of now, by reference; it stays so whatever is applied later."""
        sections = {name: section.dump() for name, section in self._sections.items()}
        return StateView(LoadedState(self.space, self.leases, sections))

    def snapshot(self) -> Iterator[bytes]:
        """The whole state as chunks of bytes, as of the call, whatever is applied meanwhile."""
        return self.view().chunks()

    def restore(self, chunks: Iterable[bytes]) -> None:
        """Replace the whole state by a snapshot's.

        Raises:
            SnapshotFormatError: it is none; nothing was replaced.
        """
        self.install(load(chunks))

    def install(self, state: LoadedState) -> None:
        """Replace the whole state by one that was loaded."""
        for notify in self.before_restore:
            notify()
        assert not self.leases.primary, "only a follower installs a snapshot"
        self.space, self.leases, sections = state
        for name, section in self._sections.items():
            section.load(sections.get(name))
        for notify in self.after_restore:
            notify()
