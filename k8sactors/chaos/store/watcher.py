"""Watchers that write down everything they were sent, and the log it is compared with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import trio

from k8sactors.actors import Actor
from k8sactors.checkers.watch import Batch, Change, Stream
from k8sactors.simulation import SECOND
from raftstore.client import StoreClient, Watch
from raftstore.client.operations import prefix_end
from raftstore.errors import RaftStoreError
from raftstore.wire import PUT, WatchCreateRequest

FIRST_REVISION = 2  # the first write of a store; revision 1 is the empty one

STEADY = "steady"
FROM_NOW = "from-now"
LAZY = "lazy"
STYLES = (STEADY, FROM_NOW, LAZY)
"""How watchers watch: all the time from the first revision; from whenever they begin; or now and
then, each time continuing where they were."""

LONGEST_LOOK_NS = 8 * SECOND
LONGEST_NAP_NS = 8 * SECOND


class StoreWatcher(Actor):
    """Watches a prefix or, without `with_previous`, one key, through all failures.

    Each watch that had to begin again, because history it needed was compacted, is a stream of its
    own. Before it can be checked at the end, call `finish`. With `sync_ns` it asks so often for the
    addresses of the members of the moment; without, it stays with its endpoints.
    """

    def __init__(
        self,
        name: str,
        endpoints: list[str],
        prefix: str,
        style: str = STEADY,
        *,
        with_previous: bool = True,
        sync_ns: int = 0,
    ) -> None:
        self.name = name
        self.endpoints = endpoints
        self.style = style
        self.streams: list[Stream] = []
        self._prefix = prefix
        self._with_previous = with_previous
        self._sync_ns = sync_ns
        self._start = 0 if style == FROM_NOW else FIRST_REVISION
        self._watch: Watch | None = None
        self._finishing = False

    def reaches(self, endpoints: Sequence[str]) -> bool:
        """Whether it can reach one of the endpoints at which there are members."""
        return bool(self._sync_ns) or any(each in endpoints for each in self.endpoints)

    @property
    def stream(self) -> Stream:
        """The newest one."""
        return self.streams[-1]

    async def main(self) -> None:
        """Open the watch; the client moves it from member to member."""
        client = StoreClient(
            self.endpoints, self.ctx.connect, self.ctx.after, sync_ns=self._sync_ns
        )
        self._open(client)
        while self.style == LAZY and not self._finishing:
            await trio.sleep(self.ctx.random.randrange(LONGEST_LOOK_NS) / SECOND)
            if self._watch is None or self._finishing:
                continue
            self._start = max(self._watch.next_revision, 1)
            self._watch.cancel()
            self._watch = None
            await trio.sleep(self.ctx.random.randrange(LONGEST_NAP_NS) / SECOND)
            self._resume(client)

    def finish(self) -> None:
        """Leave no more."""
        self._finishing = True

    def _open(self, client: StoreClient) -> None:
        number = len(self.streams)
        name = f"{self.name} ({number + 1})" if number else self.name
        stream = Stream(name, self._start, self._prefix, with_previous=self._with_previous)
        self.streams.append(stream)
        self._resume(client)

    def _resume(self, client: StoreClient) -> None:
        """Continue where the newest stream is."""
        prefix = self._prefix.encode()
        request = WatchCreateRequest(
            prefix,
            prefix_end(prefix),
            self._start,
            progress_notify=True,
            prev_kv=self._with_previous,
        )

        def cancelled(error: RaftStoreError) -> None:
            self._cancelled(client, error)

        self._watch = client.watch(request, self._events, cancelled)

    def _events(self, events: list[list[Any]], revision: int) -> None:
        now_ns = self.ctx.now_ns()
        stream = self.stream
        if not stream.start_revision:
            # "From now on" means from behind the revision that the first answer names.
            stream.start_revision = revision + 1
        changes = tuple(_change(*event) for event in events)
        stream.batches.append(Batch(now_ns, changes, bookmark=revision))

    def _cancelled(self, client: StoreClient, error: RaftStoreError) -> None:
        """History is gone: all that can be done is to begin again behind the gap."""
        compacted = getattr(error, "compact_revision", 0)
        self.stream.batches.append(Batch(self.ctx.now_ns(), compacted=compacted))
        self._watch = None
        if compacted:
            self._start = compacted + 1
            self._open(client)


def _change(kind: int, kv: list[Any], previous: list[Any] | None) -> Change:
    """What an event says, all of it."""
    # The end of a deletion's fields may be left out.
    fields: list[Any] = [*kv, *_NO_VERSION[len(kv) :]]
    key, created, revision, version, value, lease = fields
    before = _change(PUT, previous, None) if previous else None
    name = key.decode()
    if kind == PUT:
        return Change(revision, name, "PUT", value, created, version, lease, before)
    return Change(revision, name, "DELETE", previous=before)


_NO_VERSION = (b"", 0, 0, 0, b"", 0)


def undelivered(log: list[Change], stream: Stream) -> Change | None:
    """The newest change that the stream should have by now and has not; None: it is up to date."""
    newest = next((change for change in reversed(log) if stream.wants(change)), None)
    if newest is None or not 0 < stream.start_revision <= newest.revision:
        return None
    reached = max(
        (change.revision for batch in stream.batches for change in batch.changes), default=0
    )
    return newest if reached < newest.revision else None
