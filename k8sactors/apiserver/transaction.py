"""Read, change, write if unchanged: the loop behind every update, delete and binding.

The first try takes the object from the watch cache, which may lag. So neither its failure nor its
"nothing to do" is believed: both are repeated on the store's own state. A write is guarded by the
mod_revision it was computed from; if somebody else was faster, the transaction hands back the
current state and the change is computed again. When the *client* demands a resourceVersion, the
change function refuses with 409 instead (optimistic concurrency, API concepts).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from k8sactors.api import codec, errors
from k8sactors.api.errors import StatusError
from k8sactors.apiserver.errors import LookupNeededError
from k8sactors.apiserver.store import Committed, Guard, KeyState, Write

if TYPE_CHECKING:
    from k8sactors.apiserver.call import Call
    from k8sactors.apiserver.registry import Registry

# A key that changes under so many tries in a row is contended beyond what retrying can help.
TRIES_MAX = 16


class Stored:
    """An object as it is in the store, decoded when somebody looks."""

    __slots__ = ("_obj", "data", "fresh", "lease", "mod_revision")

    def __init__(
        self, data: bytes, mod_revision: int, lease: int, obj: dict[str, Any] | None, *, fresh: bool
    ) -> None:
        self.data = data
        self.mod_revision = mod_revision
        self.lease = lease
        # Whether this is the store's state, not a cache's.
        self.fresh = fresh
        self._obj = obj

    @property
    def obj(self) -> dict[str, Any]:
        """The object; not to be changed."""
        if self._obj is None:
            self._obj = codec.decode(self.data, 0)
        return self._obj


class Change(NamedTuple):
    """What a change function decides.

    `obj` None deletes the key. `answer` is called with the revision once it is committed (or at
    once when nothing changes). Further guards and writes go into the same transaction.
    """

    obj: dict[str, Any] | None
    answer: Callable[[int, bytes], None]
    guards: Sequence[Guard] = ()
    writes: Sequence[Write] = ()
    lease: int = 0


class Update:
    """One run of the loop."""

    __slots__ = ("call", "change", "key", "missing", "registry", "tries")

    def __init__(
        self,
        registry: Registry,
        call: Call,
        key: bytes,
        change: Callable[[Stored], Change],
        missing: Callable[[], None] | None = None,
    ) -> None:
        self.registry = registry
        self.call = call
        self.key = key
        self.change = change
        # What to do when the object does not exist; 404 unless given.
        self.missing = missing
        self.tries = 0

    def start(self) -> None:
        """First try: the cached object."""
        cache = self.call.resource.cache
        entry = cache.entries.get(self.key)
        if entry is None:
            self._read()
            return
        revision = entry.mod_revision
        obj = cache.recent_object(self.key, revision)
        self._attempt(Stored(entry.data, revision, entry.lease, obj, fresh=False))

    def _read(self) -> None:
        self.registry.store.read(
            self.key, lambda state, _revision: self._again(state), self.call.fail_store
        )

    def _again(self, state: KeyState | None) -> None:
        if state is None:
            self._not_found()
            return
        self._attempt(Stored(state.value, state.mod_revision, state.lease, None, fresh=True))

    def _not_found(self) -> None:
        if self.missing is not None:
            self.missing()
        else:
            self.call.fail(errors.not_found(self.call.resource.info, self.call.name))

    def _attempt(self, stored: Stored) -> None:
        self.tries += 1
        call = self.call
        try:
            change = self.change(stored)
        except StatusError as error:
            if stored.fresh:
                call.fail(error)
            else:
                self._read()
            return
        except LookupNeededError as needed:
            self.registry.look_up(call, needed, lambda: self._attempt(stored))
            return
        obj = change.obj
        data = codec.encode(obj) if obj is not None else b""
        if obj is not None and data == stored.data and not change.writes:
            if stored.fresh:
                change.answer(stored.mod_revision, data)
            else:
                self._read()
            return
        if call.dry_run:
            change.answer(stored.mod_revision, data or stored.data)
            return
        self._commit(stored, change, data)

    def _commit(self, stored: Stored, change: Change, data: bytes) -> None:
        key = self.key
        obj = change.obj
        write = Write(key, data if obj is not None else None, change.lease or stored.lease)
        guard = Guard(key, stored.mod_revision)

        def done(committed: Committed) -> None:
            if committed.succeeded:
                if obj is not None:
                    self.call.resource.cache.remember(key, committed.revision, obj)
                change.answer(committed.revision, data or stored.data)
                return
            if self.tries >= TRIES_MAX:
                self.call.fail(errors.conflict(self.call.resource.info, self.call.name))
                return
            self.call.known = dict(zip(reads, committed.found, strict=True))
            self._again(committed.found[0])

        reads = (key, *(extra.key for extra in change.guards))
        self.registry.store.commit(
            (guard, *change.guards), (write, *change.writes), reads, done, self.call.fail_store
        )
