"""What a leader knows about one follower's log, and how fast it may send to it.

Three states, as in etcd's raft. *Probe*: the leader does not know where the logs meet and sends one
append per answer. *Replicate*: it knows, and streams appends optimistically up to a limit of
unanswered ones, by count and by bytes. *Snapshot*: the entries that the follower lacks are
compacted, a snapshot is on its way, nothing else is sent.
"""

from __future__ import annotations

from collections import deque
from enum import Enum

import attrs


class ProgressState(Enum):
    """How the leader sends to a follower."""

    PROBE = "probe"
    REPLICATE = "replicate"
    SNAPSHOT = "snapshot"


PROBE = ProgressState.PROBE
REPLICATE = ProgressState.REPLICATE
SNAPSHOT = ProgressState.SNAPSHOT


@attrs.define
class Inflights:
    """The appends that a follower has not answered yet, oldest first."""

    max_messages: int
    max_bytes: int
    bytes: int = 0
    # Last index and bytes of entries of each append.
    _sent: deque[tuple[int, int]] = attrs.Factory(deque)

    def __len__(self) -> int:
        return len(self._sent)

    def is_full(self) -> bool:
        """Whether no more may be sent; the append that passes the limit of bytes is the last."""
        return len(self._sent) >= self.max_messages or self.bytes >= self.max_bytes

    def add(self, last_index: int, size_bytes: int) -> None:
        """An append was sent."""
        self._sent.append((last_index, size_bytes))
        self.bytes += size_bytes

    def free_up_to(self, index: int) -> None:
        """Forget the appends that an acknowledgement of `index` answers."""
        sent = self._sent
        while sent and sent[0][0] <= index:
            self.bytes -= sent.popleft()[1]

    def clear(self) -> None:
        """Nothing is on its way any more."""
        self._sent.clear()
        self.bytes = 0


@attrs.define
class Progress:
    """A leader's view of one member. `match` <= what it holds; `next` is the next index to send."""

    inflight: Inflights
    match: int = 0
    next: int = 1
    state: ProgressState = ProgressState.PROBE
    is_learner: bool = False
    # Whether the member was heard since the last check of the quorum.
    recent_active: bool = False
    # The same of the period before.
    was_active: bool = False
    paused: bool = False
    pending_snapshot: int = 0
    snapshot_age_heartbeats: int = 0

    def reset_state(self, state: ProgressState) -> None:
        """Enter a state with nothing on its way."""
        self.state = state
        self.paused = False
        self.pending_snapshot = 0
        self.snapshot_age_heartbeats = 0
        self.inflight.clear()

    def become_probe(self) -> None:
        """Look for the meeting point again, behind the snapshot if one was being sent."""
        if self.state is SNAPSHOT:
            self.next = max(self.match + 1, self.pending_snapshot + 1)
        else:
            self.next = self.match + 1
        self.reset_state(PROBE)

    def become_replicate(self) -> None:
        """Stream from the first entry that the member lacks."""
        self.reset_state(REPLICATE)
        self.next = self.match + 1

    def become_snapshot(self, index: int) -> None:
        """Wait until the snapshot at `index` is acknowledged."""
        self.reset_state(SNAPSHOT)
        self.pending_snapshot = index

    def is_paused(self) -> bool:
        """Whether nothing may be sent now."""
        return self.paused or self.state is SNAPSHOT

    def is_full(self) -> bool:
        """Whether as much is unanswered as may be."""
        return self.inflight.is_full()

    def sent_entries(self, count: int, size_bytes: int) -> None:
        """Account for an append of `count` entries from `next` on.

        One without entries to a member whose window is full is the probe of this heartbeat: nothing
        follows it before the next sign of life.
        """
        if self.state is REPLICATE:
            if count:
                self.next += count
                self.inflight.add(self.next - 1, size_bytes)
            self.paused = self.inflight.is_full()
        elif count:
            self.paused = True

    def maybe_update(self, index: int) -> bool:
        """Take an acknowledgement of `index`; False when it is old news."""
        updated = index > self.match
        if updated:
            self.match = index
            self.paused = False
        self.next = max(self.next, index + 1)
        return updated

    def maybe_decrease(self, rejected: int, hint: int) -> bool:
        """Take a rejection of an append after `rejected`; False when it is stale.

        Source: Raft section 5.3.
        """
        if self.state is REPLICATE:
            if rejected <= self.match:
                return False
            self.next = self.match + 1
            return True
        if self.next - 1 != rejected:
            return False
        self.next = max(min(rejected, hint + 1), self.match + 1)
        self.paused = False
        return True

    def free_inflight(self, index: int) -> None:
        """Forget the appends that an acknowledgement of `index` answers."""
        self.inflight.free_up_to(index)
        self.paused = self.inflight.is_full()
