"""How a follower that is behind applies what it lacks: in slices, between the turns of others.

Members that share a program share its time, and a writer waits for the quorum alone. So a
follower that takes up a backlog does a millisecond's work at once. But it shall get level with who
writes meanwhile, however much that is: the more there is, the more at once, and if the distance
does not shrink by a part of what was applied, the slices are doubled.
"""

from __future__ import annotations

from typing import Final

from raftstore.raft import Entry, Ready
from raftstore.raft.log import RaftLog

# So many slices are not divided, if they are no backlog: a thousand clients have written them.
BATCHES_AT_ONCE: Final = 8
MOST_SLICES: Final = 16
# One in so many of the entries applied must bring the follower nearer.
LEAST_SHARE: Final = 4


class Backlog:
    """What of a `Ready` is still to be applied, by a follower that may not do it all at once.

    `at_once`: so many entries, or KiB of them; 0: there is no limit.
    """

    def __init__(self, at_once: int) -> None:
        # What is being carried out.
        self.ready: Ready | None = None
        self._least = at_once
        self._at_once = at_once
        self._factor = 1
        self._place = 0
        # From the leader's commit index, when a backlog was taken up last.
        self._distance: int | None = None

    def take_up(self, ready: Ready, log: RaftLog) -> bool:
        """Whether the committed entries of a `Ready` are to be applied in slices."""
        if not self._least:
            return False
        entries = ready.committed_entries
        distance = log.leader_commit - log.committed
        if distance <= 0:
            self._factor, self._distance = 1, None
            if len(entries) <= BATCHES_AT_ONCE * self._least:
                return False
        else:
            if (
                self._distance is not None
                and distance > self._distance - len(entries) // LEAST_SHARE
            ):
                self._factor *= 2
            self._distance = distance
        self._at_once = max(self._least, sum(map(_cost, entries)) // MOST_SLICES) * self._factor
        self.ready, self._place = ready, 0
        return True

    def next_slice(self) -> list[Entry]:
        """Entries to be applied now; with the last ones, `ready` is None."""
        assert self.ready is not None, "there is no backlog"
        entries, start = self.ready.committed_entries, self._place
        left, end = self._at_once, start
        while left > 0 and end < len(entries):
            left -= _cost(entries[end])
            end += 1
        self._place = end
        if end == len(entries):
            self.ready = None
        return entries[start:end]


def _cost(entry: Entry) -> int:
    return 1 + (len(entry.data) >> 10)
