"""A store in the memory of one process: raftstore's key space, without members or a network.

For tests and programs that want a control plane and no replication. Revisions, guarded commits,
watches, leases and compaction are those of the replicated store, because the same state machine
carries them out; a request is carried out in the turn in which it is made, and answered in a later
one.
"""

from __future__ import annotations

from typing import Any, Final

from k8sactors.apiserver.config import APIServerConfig
from k8sactors.apiserver.store_client import RaftStore
from k8sactors.simulation import Clock, Timer
from raftstore.client.call import DEFAULT_TIMEOUT_NS, OnError, OnFields
from raftstore.client.watch import OnCancel, OnEvents, Watch
from raftstore.errors import (
    ClientClosedError,
    RaftStoreError,
    Status,
    StoreError,
    UnavailableError,
    UnknownOutcomeError,
)
from raftstore.mvcc import Store, WatchHub, check_request
from raftstore.wire import WatchCreateRequest, unpack_events

WRITES: Final = frozenset({"put", "delete_range", "txn", "compact", "lease_grant", "lease_revoke"})


class MemoryStore:
    """The keys; `open` gives an API server its way to them.

    Two attributes make it fail as a store does whose members are away: with `unavailable` every
    request is refused, and nothing happens; with `loses_answers` writes are carried out, but the
    client learns only that their outcome is unknown.

    Args:
        clock: measures the time of leases; outlives the clients.
    """

    def __init__(self, clock: Clock) -> None:
        self.unavailable = False
        self.loses_answers = False
        # Requests carried out, by operation.
        self.requests: dict[str, int] = {}
        self._clock = clock
        self._space = Store()
        self._space.leases.promote(clock.now_ns())
        self._watches = WatchHub(self._space)
        self._clients: dict[str, MemoryClient] = {}
        self._last_lease = 0
        self._expiry: Timer | None = None

    @property
    def revision(self) -> int:
        """The revision of the last write."""
        return self._space.revision

    @property
    def compacted_revision(self) -> int:
        """Up to where history was forgotten."""
        return self._space.compact_revision

    def open(self, name: str, clock: Clock, config: APIServerConfig) -> RaftStore:
        """A `Store` for the API server called `name`; what it had open before is closed.

        Callbacks run by `clock`, which is the context of the server's actor.
        """
        old = self._clients.get(name)
        if old is not None:
            old.close()
        client = self._clients[name] = MemoryClient(self, clock)
        return RaftStore(client, config.store_timeout_ns)

    def put(self, key: bytes, value: bytes) -> int:
        """Write one key past all API servers; returns its revision."""
        self.execute("put", [key, value, 0, False, False, False])
        return self.revision

    def delete(self, key: bytes) -> int:
        """Delete one key past all API servers; returns the revision."""
        self.execute("delete_range", [key, b"", False])
        return self.revision

    def range(self, start: bytes, end: bytes = b"") -> list[tuple[bytes, bytes, int]]:
        """Key, value and mod_revision of a key, or of all from `start` up to `end`."""
        fields = [start, end, 0, 0, 0, 0, False, False, False, 0, 0, 0, 0]
        kvs = self.execute("range", fields)[1]
        return [(kv[0], kv[4], kv[2]) for kv in kvs]

    def compact(self, revision: int = 0) -> None:
        """Forget history before a revision (0: the last one)."""
        self.execute("compact", [revision or self.revision, False])

    def execute(self, op: str, fields: list[Any]) -> list[Any]:
        """Carry out one request, and tell the watches.

        Raises:
            raftstore.errors.StoreError: the store refuses it.
        """
        check_request(op, fields)
        self.requests[op] = self.requests.get(op, 0) + 1
        now_ns = self._clock.now_ns()
        if op == "lease_grant" and not fields[1]:
            self._last_lease += 1
            fields = [fields[0], self._last_lease]
        if op in WRITES:
            reply = self._space.apply_wire(op, fields, now_ns)
        elif op == "lease_keep_alive":
            reply = self._space.keep_alive_wire(fields, now_ns)
        else:
            reply = self._space.read_wire(op, fields, now_ns)
        if reply[0] != 0:
            raise StoreError(*Status(*reply))
        self._tell_watches()
        if op == "lease_grant":
            self._await_expiry()
        answer: list[Any] = reply[1]
        return answer

    def watch(self, fields: list[Any], client: MemoryClient, watch: Watch) -> int:
        """Begin a watch of a client; returns its id."""
        watch_id = self._watches.create(fields, (client, watch))
        self._tell_watches()
        return watch_id

    def drop_watch(self, watch_id: int) -> None:
        """End a watch."""
        self._watches.drop(watch_id)

    def _tell_watches(self) -> None:
        for (client, watch), payload in self._watches.collect():
            client.deliver(watch, payload)

    def _await_expiry(self) -> None:
        expiry_ns = self._space.leases.next_expiry_ns()
        if expiry_ns is not None and self._expiry is None:
            delay_ns = max(0, expiry_ns - self._clock.now_ns())
            self._expiry = self._clock.after(delay_ns, self._expire)

    def _expire(self) -> None:
        self._expiry = None
        for lease_id in self._space.leases.expired(self._clock.now_ns()):
            self.execute("lease_revoke", [lease_id])
        self._await_expiry()


class MemoryClient:
    """What a `RaftStore` needs of the client of a replicated store."""

    def __init__(self, store: MemoryStore, clock: Clock) -> None:
        self.unpack = unpack_events
        self._store = store
        self._clock = clock
        self._watches: dict[Watch, None] = {}
        self._closed = False

    def call_wire(
        self,
        op: str,
        fields: list[Any],
        on_fields: OnFields,
        on_error: OnError,
        timeout_ns: int = DEFAULT_TIMEOUT_NS,
    ) -> None:
        """Carry a request out; exactly one of the callbacks is called, in a later turn."""
        del timeout_ns
        try:
            fields = self._execute(op, fields)
        except RaftStoreError as error:
            refusal = error
            self._clock.after(0, lambda: on_error(refusal))
        else:
            self._clock.after(0, lambda: on_fields(fields))

    def _execute(self, op: str, fields: list[Any]) -> list[Any]:
        store = self._store
        if self._closed:
            raise ClientClosedError("closed")
        if store.unavailable:
            raise UnavailableError("the store is not available")
        answer = store.execute(op, fields)
        if store.loses_answers and op in WRITES:
            raise UnknownOutcomeError(f"{op}: the answer was lost")
        return answer

    def watch(self, request: WatchCreateRequest, on_events: OnEvents, on_cancel: OnCancel) -> Watch:
        """Begin a watch; its callbacks run in later turns."""
        watch = Watch(self, request, on_events, on_cancel)
        self._watches[watch] = None
        watch.watch_id = self._store.watch(watch.fields(), self, watch)
        return watch

    def deliver(self, watch: Watch, payload: list[Any]) -> None:
        """Hand an item to a watch, in a later turn."""

        def hand_over() -> None:
            if not watch.done:
                watch.on_item(payload)

        self._clock.after(0, hand_over)

    def close(self) -> None:
        """End all watches, silently; requests fail from now on."""
        self._closed = True
        for watch in list(self._watches):
            watch.cancel()

    # Called by watches.

    def watch_over(self, watch: Watch) -> None:
        """A watch has ended."""
        if self._watches.pop(watch, self) is None:
            self._store.drop_watch(watch.watch_id)

    def resumes_refused(self, _watch: Watch, _status: Status) -> bool:
        """Whether a refused watch is opened again: there is no other member to try."""
        return False
