"""How a member learns that it was removed, how long it stays, and what it tells other removed ones.

A removed member may miss the entry that removes it. It would then stand for election forever, so a
member that knows of the removal answers its requests for votes with `REMOVED`, and a member that
has heard no leader for long asks the others (`INQUIRY`). A removed member stays for a while: to a
member that does not know of the removal it still counts, and of two members the other one cannot
be elected without its vote. (etcd leaves that to luck; its raft package advises against clusters
of two.)
"""

from __future__ import annotations

from typing import Final

from raftstore.raft import RawNode, Role
from raftstore.raft.messages import PRE_VOTE, VOTE
from raftstore.server.changes import MemberChanges
from raftstore.server.config import MemberConfig
from raftstore.server.forwarding import INQUIRY, REMOVED, MemberTransport

# How many election timeouts a removed member stays after the last message of another member.
LINGER_ELECTIONS: Final = 2


class Removal:
    """What one member knows of its own removal and of that of former members."""

    def __init__(
        self,
        config: MemberConfig,
        node: RawNode,
        transport: MemberTransport,
        changes: MemberChanges,
    ) -> None:
        self.former_members = changes.section.removed
        self._election_ticks = config.election_ticks
        self._node = node
        self._transport = transport
        self._changes = changes
        # The earliest tick at which a removed member may stop.
        self._needed_until_tick = 0
        # Whether another member has told of the removal: then a member that stays knows of it, and
        # this one must not ask for votes, nor keep another removed member from stopping.
        self._was_told = False

    def is_over(self, ticks: int) -> bool:
        """Whether this member was removed and no other member needs its vote any more."""
        is_needed = ticks < self._needed_until_tick and not self._was_told
        return self._changes.is_removed and not is_needed

    def told(self) -> bool:
        """Another member has told that this one is removed; whether that is news."""
        self._was_told = True
        if self._changes.is_removed:
            return False
        self._changes.is_removed = True
        return True

    def linger(self, ticks: int) -> None:
        """A member that may not know of the removal has spoken: stay for it."""
        if self._changes.is_removed:
            self._needed_until_tick = ticks + LINGER_ELECTIONS * self._election_ticks

    def tell(self, member_id: int, kind: int) -> None:
        """Answer a former member whose message shows that it missed its removal."""
        if kind in (PRE_VOTE, VOTE, INQUIRY):
            self._transport.send_peer(member_id, [REMOVED])

    def inquire(self, leaderless_ticks: int) -> None:
        """Ask all known members at times whether the cluster continues without this one.

        A member without a vote stands for no election, by which it would be told, and takes a
        leader that has fallen silent for its leader forever.
        """
        raft = self._node.raft
        if raft.role is Role.LEADER or self._changes.is_removed:
            return
        silent_ticks = max(leaderless_ticks, raft.election_elapsed)
        if silent_ticks % (2 * self._election_ticks):
            return
        for number in self._changes.known_others():
            self._transport.send_peer(number, [INQUIRY])
