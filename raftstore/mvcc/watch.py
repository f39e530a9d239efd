"""Watches of one member: which watcher gets which event, each event packed once.

Watchers of the same range and options form a *group*. A watcher is *synced* when it has been given
everything up to the `notified` revision: then it only needs its group's share of each new batch.
Any other watcher *waits*: for history to be replayed to it from the log, or for a future revision.

`WatchHub.collect` runs once per applied batch, so a put itself costs nothing here, and all
watchers of a group are handed the same bytes. A watch that would begin behind the compaction is
cancelled with the compact revision; silence about lost events is never an option.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import Any, Final

import attrs
import msgpack

from raftstore.errors import COMPACTED, EMPTY_KEY, StoreError
from raftstore.mvcc.base import KV
from raftstore.mvcc.intervals import IntervalMap, covers
from raftstore.mvcc.keyspace import KeySpace, upper_bound
from raftstore.mvcc.store import Store
from raftstore.wire import NO_DELETE, NO_PUT

# A longer batch is delivered in several items, cut between revisions (etcd: watchBatchMaxRevs).
MAX_REVISIONS_PER_ITEM: Final = 1000
_PUT_EVENT: Final = b"\x93\x00"
_DELETE_EVENT: Final = b"\x93\x01"
_NIL: Final = b"\xc0"
_FIXARRAY_MAX: Final = 15

Item = tuple[Any, list[Any]]


@attrs.define(eq=False)
class Watcher:
    """One watch of one client. While it waits, `next_revision` is the first it has not got."""

    id: int
    sink: Any
    group: Group
    next_revision: int
    progress_notify: bool


@attrs.define(eq=False)
class Group:
    """Watchers that want exactly the same events."""

    start: bytes
    end: bytes | None
    wants_puts: bool
    wants_deletes: bool
    prev_kv: bool
    synced: dict[int, Watcher] = attrs.Factory(dict)
    members: int = 0
    pending: list[bytes] = attrs.Factory(list)
    busy: bool = False

    @property
    def single_key(self) -> bool:
        """Whether only one key is watched."""
        return self.end == self.start + b"\0"


class WatchHub:
    """All watches of a member."""

    def __init__(self, store: Store) -> None:
        # Events given to watches as they were written, since the start.
        self.sent_events = 0
        self._store = store
        self._watchers: dict[int, Watcher] = {}
        self._waiting: dict[int, Watcher] = {}
        self._groups: dict[tuple[bytes, bytes | None, bool, bool, bool], Group] = {}
        self._by_key: dict[bytes, list[Group]] = {}
        self._by_range: IntervalMap[Group] = IntervalMap()
        self._notified = store.revision
        self._next_id = 1
        self._out: list[Item] = []
        store.before_compaction.append(self._advance)
        store.before_restore.append(self._unsync_all)
        store.after_restore.append(self._resume)

    def __len__(self) -> int:
        return len(self._watchers)

    def create(self, fields: list[Any], sink: Any) -> int:
        """Begin a watch (WatchCreateRequest fields); its first item, an empty one, confirms it."""
        key, range_end, start_revision, progress_notify, filters, prev_kv = fields[:6]
        if not key:
            raise StoreError(*EMPTY_KEY)
        group = self._group(key, range_end, filters, prev_kv=prev_kv)
        revision = self._store.revision
        # Like etcd: 0 and below mean from now on.
        start = start_revision if start_revision > 0 else revision + 1
        watcher = Watcher(self._next_id, sink, group, start, bool(progress_notify))
        self._next_id += 1
        group.members += 1
        self._watchers[watcher.id] = watcher
        self._waiting[watcher.id] = watcher
        self._emit(watcher, min(revision, watcher.next_revision - 1))
        return watcher.id

    def cancel(self, watch_id: int, reason: str = "") -> None:
        """End a watch with a last item that says so; an unknown one may just have ended."""
        watcher = self._watchers.get(watch_id)
        if watcher is not None:
            self._remove(watcher)
            revision = self._store.revision
            self._out.append((watcher.sink, [watch_id, revision, 0, True, reason, b""]))

    def drop(self, watch_id: int) -> None:
        """End a watch without a word: its client is gone."""
        watcher = self._watchers.get(watch_id)
        if watcher is not None:
            self._remove(watcher)

    def collect(self) -> list[Item]:
        """All items due, as (sink, WatchResponse fields), since the last call."""
        revision = self._store.space.revision
        if not self._groups and not self._waiting:
            self._notified = revision
        elif self._notified != revision or self._waiting:
            self._advance()
        out = self._out
        if out:
            self._out = []
        return out

    def notify_progress(self) -> None:
        """Tell the synced watchers that asked for it, and heard nothing since, where they stand."""
        for group in self._groups.values():
            if not group.busy:
                for watcher in group.synced.values():
                    if watcher.progress_notify:
                        self._emit(watcher, self._notified)
            group.busy = False

    def request_progress(self, watch_id: int) -> None:
        """Tell one watcher where it stands; one that is behind hears by its events soon enough."""
        watcher = self._watchers.get(watch_id)
        if watcher is not None and watch_id not in self._waiting:
            self._emit(watcher, self._notified)

    def statistics(self) -> dict[str, int]:
        """Sizes, for metrics."""
        return {
            "watchers": len(self._watchers),
            "waiting": len(self._waiting),
            "groups": len(self._groups),
            "sent_events": self.sent_events,
        }

    # Groups

    def _group(self, key: bytes, range_end: bytes, filters: list[int], *, prev_kv: bool) -> Group:
        end = upper_bound(range_end) if range_end else key + b"\0"
        identity = (key, end, NO_PUT not in filters, NO_DELETE not in filters, bool(prev_kv))
        group = self._groups.get(identity)
        if group is None:
            group = self._groups[identity] = Group(*identity)
            if group.single_key:
                self._by_key.setdefault(key, []).append(group)
            else:
                self._by_range.add(group, key, end)
        return group

    def _remove(self, watcher: Watcher) -> None:
        group = watcher.group
        del self._watchers[watcher.id]
        self._waiting.pop(watcher.id, None)
        group.synced.pop(watcher.id, None)
        group.members -= 1
        if group.members:
            return
        identity = (group.start, group.end, group.wants_puts, group.wants_deletes, group.prev_kv)
        del self._groups[identity]
        if group.single_key:
            self._by_key[group.start].remove(group)
            if not self._by_key[group.start]:
                del self._by_key[group.start]
        else:
            self._by_range.remove(group)

    # Delivery

    def _emit(self, watcher: Watcher, revision: int, events: bytes = b"") -> None:
        self._out.append((watcher.sink, [watcher.id, revision, 0, False, "", events]))

    def _advance(self) -> None:
        space = self._store.space
        while self._notified < space.revision:
            last = min(space.revision, self._notified + MAX_REVISIONS_PER_ITEM)
            if self._groups:
                self._deliver(self._notified + 1, last)
            self._notified = last
        if self._waiting:
            self._catch_up()

    def _deliver(self, first: int, last: int) -> None:
        """Give synced watchers the events of new revisions."""
        space = self._store.space
        by_key, by_range = self._by_key, self._by_range
        touched: dict[Group, None] = {}
        for kv in space.written_since(first, last):
            groups = by_range.holding(kv[0])
            if kv[0] in by_key:
                groups = groups + by_key[kv[0]]
            plain = with_prev = b""
            for group in groups:
                if not (group.wants_puts if kv[3] else group.wants_deletes):
                    continue
                if group.prev_kv:
                    with_prev = packed = with_prev or _pack_event(kv, _previous(space, kv))
                else:
                    plain = packed = plain or _pack_event(kv, None)
                group.pending.append(packed)
                touched[group] = None
        out = self._out
        for group in touched:
            group.busy = True
            blob = _pack_events(group.pending)
            self.sent_events += len(group.pending) * len(group.synced)
            group.pending = []
            for watcher in group.synced.values():
                out.append((watcher.sink, [watcher.id, last, 0, False, "", blob]))

    def _catch_up(self) -> None:
        """Replay history to waiting watchers, once for all that want the same of it."""
        space = self._store.space
        replays: dict[tuple[Group, int], list[tuple[int, bytes]]] = {}
        for watcher in list(self._waiting.values()):
            first = watcher.next_revision
            if first > space.revision + 1:
                continue
            if self.has_lost(first):
                self._cancel_compacted(watcher)
                continue
            # Revisions before the first one hold nothing.
            first = max(first, space.log_base)
            replay = replays.get((watcher.group, first))
            if replay is None:
                replay = replays[watcher.group, first] = _replay(space, watcher.group, first)
            for revision, blob in replay:
                self._emit(watcher, revision, blob)
            del self._waiting[watcher.id]
            watcher.group.synced[watcher.id] = watcher

    def has_lost(self, first: int) -> bool:
        """Whether history that a watch from this revision on needs is compacted."""
        return first < self._store.space.compact_revision

    def _cancel_compacted(self, watcher: Watcher) -> None:
        self._remove(watcher)
        space = self._store.space
        fields = [watcher.id, space.revision, space.compact_revision, True, COMPACTED.message, b""]
        self._out.append((watcher.sink, fields))

    def _unsync_all(self) -> None:
        """The state is about to be replaced: all watchers wait, from where they were."""
        self._advance()
        for group in self._groups.values():
            for watcher in group.synced.values():
                watcher.next_revision = self.resumption(watcher)
                self._waiting[watcher.id] = watcher
            group.synced = {}

    def resumption(self, watcher: Watcher) -> int:
        """The first revision that a synced watcher has not got."""
        del watcher
        return self._notified + 1

    def _resume(self) -> None:
        """The state has been replaced: history is replayed from it by the next `collect`."""
        self._notified = self._store.revision


def _previous(space: KeySpace, kv: KV) -> KV | None:
    return None if kv[3] == 1 else space.find(kv[0], kv[2] - 1)


def _replay(space: KeySpace, group: Group, first: int) -> list[tuple[int, bytes]]:
    """What the group wants of the revisions from `first` on, as (last revision, packed events)."""
    items = []
    while first <= space.revision:
        last = min(space.revision, first + MAX_REVISIONS_PER_ITEM - 1)
        packed = [
            _pack_event(kv, _previous(space, kv) if group.prev_kv else None)
            for kv in space.written_since(first, last)
            if covers(group.start, group.end, kv[0])
            and (group.wants_puts if kv[3] else group.wants_deletes)
        ]
        if packed:
            items.append((last, _pack_events(packed)))
        first = last + 1
    return items


def _pack_event(kv: KV, previous: KV | None) -> bytes:
    head = _PUT_EVENT if kv[3] else _DELETE_EVENT
    packed: bytes = msgpack.packb(kv)
    return head + packed + (_NIL if previous is None else msgpack.packb(previous))


def _pack_events(events: Iterable[bytes]) -> bytes:
    events = list(events)
    count = len(events)
    # The array headers of msgpack: fixarray, array 16, array 32.
    if count <= _FIXARRAY_MAX:
        head = bytes((0x90 | count,))
    elif count < 1 << 16:
        head = struct.pack(">BH", 0xDC, count)
    else:
        head = struct.pack(">BI", 0xDD, count)
    return head + b"".join(events)
