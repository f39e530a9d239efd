"""A watcher that writes down everything it was sent, and the log it is compared with."""

from typing import Any

from k8sactors.actors import Actor
from k8sactors.checkers.watch import Batch, Change, Stream
from raftstore.client import StoreClient
from raftstore.client.operations import prefix_end
from raftstore.errors import RaftStoreError
from raftstore.mvcc import Store
from raftstore.wire import PUT, WatchCreateRequest

FIRST_REVISION = 2  # the first write of a store; revision 1 is the empty one


class StoreWatcher(Actor):
    """Watches a prefix from the first revision on, through all failures."""

    def __init__(self, name: str, endpoints: list[str], prefix: str) -> None:
        self.name = name
        self.stream = Stream(name, FIRST_REVISION, prefix, with_previous=True)
        self._endpoints = endpoints

    def on_start(self) -> None:
        """Open the watch; the client moves it from member to member."""
        client = StoreClient(self._endpoints, self.ctx.connect, self.ctx.after)
        prefix = self.stream.prefix.encode()
        request = WatchCreateRequest(
            prefix, prefix_end(prefix), FIRST_REVISION, progress_notify=True, prev_kv=True
        )
        client.watch(request, self._events, self._cancelled)

    def _events(self, events: list[list[Any]], revision: int) -> None:
        now_ns = self.ctx.now_ns()
        changes = tuple(_change(kind, kv, previous) for kind, kv, previous in events)
        self.stream.batches.append(Batch(now_ns, changes, bookmark=None if changes else revision))

    def _cancelled(self, error: RaftStoreError) -> None:
        compacted = getattr(error, "compact_revision", 0)
        self.stream.batches.append(Batch(self.ctx.now_ns(), compacted=compacted))


def _change(kind: int, kv: list[Any], previous: list[Any] | None) -> Change:
    key, _create, revision, _version, value, *_ = [*kv, b"", 0]
    return Change(
        revision=revision,
        key=key.decode(),
        type="PUT" if kind == PUT else "DELETE",
        value=value if kind == PUT else None,
        previous=previous[4] if previous else None,
    )


def change_log(store: Store, prefix: str) -> list[Change]:
    """Every change of the keys under a prefix; the store must still have all history."""
    space = store.space
    assert not space.compact_revision, "history is gone"
    values: dict[bytes, bytes] = {}
    log = []
    start = prefix.encode()
    for kv in space.written_since(FIRST_REVISION, space.revision):
        key, _create, revision, version, value, *_ = kv
        if not key.startswith(start):
            continue
        previous = values.get(key)
        if version:
            values[key] = value
            log.append(Change(revision, key.decode(), "PUT", value, previous))
        else:
            values.pop(key, None)
            log.append(Change(revision, key.decode(), "DELETE", None, previous))
    return log
