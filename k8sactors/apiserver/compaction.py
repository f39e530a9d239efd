"""Forgetting old revisions of the store: every five minutes, by one of the API servers.

A shared key says when and up to where. The server that moves it (a guarded write) compacts to the
revision that was current one interval ago, so clients have at least that long to continue a list or
a watch. The others see that the key has moved, and only note it. This is how the real API servers
agree, too.
"""

from __future__ import annotations

from k8sactors.api.effects import Guard, Write
from k8sactors.apiserver.errors import StoreError
from k8sactors.apiserver.store import Committed, Store
from k8sactors.simulation import SECOND, Clock

KEY = b"/registry/compaction/revision"


class Compactor:
    """One API server's part in it."""

    def __init__(self, store: Store, clock: Clock, interval_ns: int) -> None:
        self.compacted_revision = 0
        self.last_error = ""
        self._store = store
        self._clock = clock
        self._interval_ns = interval_ns
        # The key as last seen: its mod_revision, and the revision it names.
        self._seen = 0
        self._noted_revision = 0

    def start(self) -> None:
        """Begin the rounds."""
        self._next()

    def _next(self) -> None:
        self._clock.after(self._interval_ns, self._round, slack_ns=SECOND)

    def _round(self) -> None:
        self._store.current_revision(self._note, self._failed)

    def _note(self, revision: int) -> None:
        def done(committed: Committed) -> None:
            if committed.succeeded:
                self._seen = committed.revision
                old, self._noted_revision = self._noted_revision, revision
                if old > 1:
                    self._store.compact(old, lambda: self._compacted(old), self._failed)
                    return
            else:
                state = committed.found[0]
                self._seen = state.mod_revision if state is not None else 0
                self._noted_revision = int(state.value) if state is not None else 0
            self._next()

        self._store.commit(
            (Guard(KEY, self._seen),),
            (Write(KEY, str(revision).encode()),),
            (KEY,),
            done,
            self._failed,
        )

    def _compacted(self, revision: int) -> None:
        self.compacted_revision = revision
        self._next()

    def _failed(self, error: StoreError) -> None:
        self.last_error = str(error)
        self._next()
