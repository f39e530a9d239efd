"""Read, change, write if unchanged: the loop behind every update, delete and binding.

The first try takes the object from the watch cache, which may lag. So neither its failure nor its
"nothing to do" is believed: both are repeated on the store's own state. A write is guarded by the
mod_revision it was computed from; if another client was faster, the transaction hands back the
current state and the change is computed again. When the *client* demands a resourceVersion, the
change function refuses with 409 instead (optimistic concurrency, API concepts).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

from k8sactors.api import codec, errors
from k8sactors.api.effects import Guard, KeyState, Write
from k8sactors.api.errors import StatusError, SuspendedError
from k8sactors.apiserver.call import Call
from k8sactors.apiserver.store import Committed, Store

# A key that changes under so many tries in a row is contended beyond what retrying can help.
TRIES_MAX = 16


class Steps(Protocol):
    """What runs the steps of a call (`registry.Registry`)."""

    @property
    def store(self) -> Store:
        """Where objects are."""

    def run(self, call: Call, step: Callable[..., None], *args: Any) -> None:
        """Run a step; what it raises is answered."""

    def suspend(self, call: Call, needed: SuspendedError, resume: Callable[[], None]) -> None:
        """Fetch what a step needs, then run `resume`."""


class Stored:
    """An object as it is in the store, decoded when it is looked at."""

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

    __slots__ = ("call", "change", "key", "missing", "steps", "tries", "unchanged")

    def __init__(
        self,
        steps: Steps,
        call: Call,
        key: bytes,
        change: Callable[[Stored], Change],
        missing: Callable[[], None] | None = None,
    ) -> None:
        self.steps = steps
        self.call = call
        self.key = key
        self.change = change
        # What to do when the object does not exist; 404 unless given.
        self.missing = missing
        self.tries = 0
        # What found nothing to do to the cached object, and the object's revision.
        self.unchanged: tuple[int, Change] | None = None

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
        self.steps.store.read(
            self.key,
            lambda state, _revision: self.steps.run(self.call, self._again, state),
            self.call.fail_store,
        )

    def _again(self, state: KeyState | None) -> None:
        if state is not None:
            if self.unchanged is not None and self.unchanged[0] == state.mod_revision:
                # The cache was up to date.
                self.unchanged[1].answer(state.mod_revision, state.value)
                return
            self._attempt(Stored(state.value, state.mod_revision, state.lease, None, fresh=True))
        elif self.missing is not None:
            self.missing()
        else:
            self.call.fail(errors.not_found(self.call.resource.info, self.call.name))

    def _attempt(self, stored: Stored, resume: Callable[[], Change] | None = None) -> None:
        """Compute the change, or resume where its computation has stopped, and write it."""
        call = self.call
        try:
            if resume is None:
                self.tries += 1
                change = self.change(stored)
            else:
                change = resume()
        except StatusError as error:
            if stored.fresh:
                call.fail(error)
            else:
                self._read()
            return
        except SuspendedError as needed:
            again = needed.resume or resume
            self.steps.suspend(call, needed, lambda: self._attempt(stored, again))
            return
        obj = change.obj
        data = codec.encode(obj) if obj is not None else b""
        if obj is not None and not change.writes and _is_same(obj, data, stored):
            data = stored.data
            if stored.fresh:
                change.answer(stored.mod_revision, data)
            else:
                self.unchanged = (stored.mod_revision, change)
                self._read()
        elif call.dry_run:
            change.answer(stored.mod_revision, data or stored.data)
        else:
            self._commit(stored, change, data)

    def _commit(self, stored: Stored, change: Change, data: bytes) -> None:
        key = self.key
        obj = change.obj
        write = Write(key, data if obj is not None else None, change.lease or stored.lease)
        guard = Guard(key, stored.mod_revision)
        reads = (key, *[extra.key for extra in change.guards]) if change.guards else (key,)

        def done(committed: Committed) -> None:
            if not committed.succeeded:
                self.steps.run(self.call, self._failed, reads, committed)
                return
            if obj is not None:
                self.call.resource.cache.remember(key, committed.revision, obj)
            change.answer(committed.revision, data or stored.data)

        commit = self.call.commit or self.steps.store.commit
        commit((guard, *change.guards), (write, *change.writes), reads, done, self.call.fail_store)

    def _failed(self, reads: Sequence[bytes], committed: Committed) -> None:
        """A guard has failed: the change is computed again from what is there now."""
        if self.tries >= TRIES_MAX:
            self.call.fail(errors.conflict(self.call.resource.info, self.call.name))
            return
        found = dict(zip(reads, committed.found, strict=True))
        self.call.known = {**(self.call.known or {}), **found}
        self._again(committed.found[0])


def _is_same(obj: dict[str, Any], data: bytes, stored: Stored) -> bool:
    """Whether an object is what is stored; its keys may be in another order."""
    before = stored.data
    return data == before or (len(data) == len(before) and obj == stored.obj)
