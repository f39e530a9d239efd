"""The API server's `Store` over a Raft store: etcd's operations in positional form.

Fields are written as the wire has them (`raftstore.wire` names them), because this is on the path
of every request: no request or response object is made.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

from k8sactors.actors import Context
from k8sactors.api.effects import Guard, KeyState, Write
from k8sactors.apiserver.config import APIServerConfig
from k8sactors.apiserver.errors import (
    CompactedError,
    FutureRevisionError,
    StoreError,
    StoreUnavailableError,
    UnknownOutcomeError,
)
from k8sactors.apiserver.keys import end_of
from k8sactors.apiserver.store import Committed, OnError, OnEvents, Page, StoreEvent, StoreWatch
from raftstore import errors as raft_errors
from raftstore.client import StoreClient
from raftstore.client.call import RequestSender
from raftstore.client.watch import OnCancel, Watch
from raftstore.client.watch import OnEvents as OnRaftEvents
from raftstore.wire import (
    COMPARE_MOD,
    DELETE,
    EQUAL,
    OP_DELETE_RANGE,
    OP_PUT,
    OP_RANGE,
    SORT_ASCEND,
    SORT_KEY,
    SORT_NONE,
    WatchCreateRequest,
)

REVISION: Final = 2  # in a response header

RangeFields = list[Any]


def range_fields(
    key: bytes,
    range_end: bytes = b"",
    *,
    limit: int = 0,
    revision: int = 0,
    count_only: bool = False,
) -> RangeFields:
    """A RangeRequest, linearizable, in key order."""
    order = SORT_ASCEND if range_end else SORT_NONE
    return [
        key, range_end, limit, revision, order, SORT_KEY, False, False, count_only, 0, 0, 0, 0,
    ]  # fmt: skip


class RaftClient(RequestSender, Protocol):
    """What carries the requests: a `raftstore.client.StoreClient`."""

    def watch(
        self, request: WatchCreateRequest, on_events: OnRaftEvents, on_cancel: OnCancel
    ) -> Watch:
        """Begin a watch."""

    def close(self) -> None:
        """End all connections and watches."""


class RaftStore:
    """A `Store` whose requests go to the members of a Raft store."""

    def __init__(self, client: RaftClient, timeout_ns: int) -> None:
        self.client = client
        self._timeout_ns = timeout_ns

    def commit(
        self,
        guards: Sequence[Guard],
        writes: Sequence[Write],
        reads: Sequence[bytes],
        on_done: Callable[[Committed], None],
        on_error: OnError,
    ) -> None:
        """One Txn: compare mod revisions, then write, or else read."""
        fields = [
            [[EQUAL, COMPARE_MOD, key, revision, b""] for key, revision in guards],
            [
                [OP_PUT, [key, value, lease, False, False, False]]
                if value is not None
                else [OP_DELETE_RANGE, [key, b"", False]]
                for key, value, lease in writes
            ],
            [[OP_RANGE, range_fields(key)] for key in reads],
        ]

        def answered(response: list[Any]) -> None:
            header, succeeded, responses = response
            if succeeded:
                on_done(Committed(True, header[REVISION]))
            else:
                found = [_first(fields[1]) for _, fields in responses]
                on_done(Committed(False, header[REVISION], found))

        self._call("txn", fields, answered, on_error)

    def read(
        self, key: bytes, on_done: Callable[[KeyState | None, int], None], on_error: OnError
    ) -> None:
        """A linearizable Range of one key."""
        self._call(
            "range",
            range_fields(key),
            lambda response: on_done(_first(response[1]), response[0][REVISION]),
            on_error,
        )

    def scan(
        self,
        start: bytes,
        end: bytes,
        *,
        revision: int,
        limit: int,
        on_done: Callable[[Page], None],
        on_error: OnError,
    ) -> None:
        """A Range of many keys."""

        def answered(response: list[Any]) -> None:
            header, kvs, more, count = response
            on_done(Page(header[REVISION], [_state(kv) for kv in kvs], more, count))

        fields = range_fields(start, end, limit=limit, revision=revision)
        self._call("range", fields, answered, on_error)

    def current_revision(self, on_done: Callable[[int], None], on_error: OnError) -> None:
        """A linearizable Range of a key that does not exist: its header has the revision."""
        self._call(
            "range",
            range_fields(b"/registry/.", count_only=True),
            lambda response: on_done(response[0][REVISION]),
            on_error,
        )

    def watch(
        self,
        prefix: bytes,
        start_revision: int,
        on_events: OnEvents,
        on_cancel: Callable[[StoreError], None],
    ) -> StoreWatch:
        """A Watch of all keys that begin with `prefix`, with progress notifications."""

        def received(events: list[list[Any]], revision: int) -> None:
            on_events([_event(event[0], event[1]) for event in events], revision)

        request = WatchCreateRequest(prefix, end_of(prefix), start_revision, progress_notify=True)
        watch = self.client.watch(request, received, lambda error: on_cancel(translated(error)))
        return _RunningWatch(watch)

    def grant_lease(
        self, ttl_seconds: int, on_done: Callable[[int], None], on_error: OnError
    ) -> None:
        """A LeaseGrant."""
        self._call("lease_grant", [ttl_seconds, 0], lambda answer: on_done(answer[1]), on_error)

    def compact(self, revision: int, on_done: Callable[[], None], on_error: OnError) -> None:
        """A Compaction."""
        self._call("compact", [revision, False], lambda _answer: on_done(), on_error)

    def close(self) -> None:
        """Close the connections."""
        self.client.close()

    def _call(
        self, op: str, fields: list[Any], on_fields: Callable[[list[Any]], None], on_error: OnError
    ) -> None:
        self.client.call_wire(
            op, fields, on_fields, lambda error: on_error(translated(error)), self._timeout_ns
        )


class _RunningWatch:
    def __init__(self, watch: Watch) -> None:
        self._watch = watch

    def close(self) -> None:
        """Cancel it at the store."""
        self._watch.cancel()


def _state(kv: Sequence[Any]) -> KeyState:
    return KeyState(kv[0], kv[4], kv[2], kv[5])


def _first(kvs: Sequence[Sequence[Any]]) -> KeyState | None:
    return _state(kvs[0]) if kvs else None


def _event(kind: int, kv: Sequence[Any]) -> StoreEvent:
    if kind == DELETE:
        return StoreEvent(kv[0], None, kv[2])
    return StoreEvent(kv[0], kv[4], kv[2], kv[5])


def translated(error: Exception) -> StoreError:
    """The store client's error as one of ours."""
    if isinstance(error, raft_errors.UnknownOutcomeError):
        return UnknownOutcomeError(str(error))
    if isinstance(error, raft_errors.WatchCancelledError) and error.compact_revision:
        return CompactedError(error.compact_revision)
    if isinstance(error, raft_errors.ClientError):
        return StoreUnavailableError(str(error))
    if isinstance(error, raft_errors.StoreError):
        if error.message == raft_errors.COMPACTED.message:
            return CompactedError(0)
        if error.message == raft_errors.FUTURE_REVISION.message:
            return FutureRevisionError(str(error))
        if error.code == raft_errors.UNAVAILABLE:
            return StoreUnavailableError(str(error))
    return StoreError(str(error))


def open_raft_store(context: Context, config: APIServerConfig) -> RaftStore:
    """The store of an API server: a client of the members in its configuration."""
    client = StoreClient(config.store_endpoints, context.connect, context.after)
    return RaftStore(client, config.store_timeout_ns)
