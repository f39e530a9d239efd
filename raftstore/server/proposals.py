"""Writes between their arrival and their answer.

A write first *waits*, then is *proposed* with everything else that waits (group commit), and is
answered when its entry is applied here. What is told to a client whose write fails depends on how
far it got: before the proposal it certainly did not happen; after it only the log knows.
"""

from collections import deque
from typing import Any, Final, NamedTuple

from raftstore.errors import (
    LEADER_CHANGED,
    NO_LEADER,
    TIMEOUT,
    TIMEOUT_LEADER_FAILED,
    Status,
)
from raftstore.raft import ProposalDroppedError, RawNode

from .requests import Request, RequestKeys, Respond, encode

# What the constructor of a named tuple does, without its call: every write passes here.
_new_tuple: Final = tuple.__new__


class OwnBatch(NamedTuple):
    """Entries that this member appended as the leader.

    Their keys, and where the last one stands.
    """

    last_index: int
    keys: list[bytes]


class Proposals:
    """The waiting and the proposed writes of one member."""

    def __init__(self, keys: RequestKeys, max_batch: int) -> None:
        self.pending: dict[bytes, Request] = {}
        """All writes without an answer, oldest first; the application of entries takes them out."""
        self._keys = keys
        self._max_batch = max_batch
        self._waiting_keys: list[bytes] = []
        self.waiting: list[bytes] = []
        """What is to be proposed."""
        self._own: deque[OwnBatch] = deque()
        self._doubtful: deque[OwnBatch] = deque()
        self._last_key_before_change = b""

    def submit(
        self, op: str, fields: list[Any], respond: Respond, deadline_ns: int, max_bytes: int
    ) -> bool:
        """Take a write; False if it is too large."""
        key = self._keys.next()
        data = encode((key, op, fields))
        if len(data) > max_bytes:
            return False
        self.pending[key] = _new_tuple(Request, (op, fields, respond, deadline_ns))
        self._waiting_keys.append(key)
        self.waiting.append(data)
        return True

    def prepare(self, op: str, fields: list[Any]) -> tuple[bytes, bytes]:
        """The key and the data of a write that does not wait with the others."""
        key = self._keys.next()
        return key, encode((key, op, fields))

    def appended(self, key: bytes, request: Request, node: RawNode) -> None:
        """Such a write now is the last entry of this leader's log."""
        self.pending[key] = request
        self._own.append(OwnBatch(node.raft.log.last_index, [key]))

    def propose(self, node: RawNode, *, leading: bool) -> None:
        """Propose everything that waits; what is not taken now waits on."""
        while self.waiting:
            batch = self.waiting[: self._max_batch]
            try:
                node.propose(batch)
            except ProposalDroppedError:
                return
            keys = self._waiting_keys[: len(batch)]
            del self._waiting_keys[: len(batch)]
            del self.waiting[: len(batch)]
            if leading:
                self._own.append(OwnBatch(node.raft.log.last_index, keys))

    # -- ends without an answer of the store --------------------------------------------------

    def leader_changed(self) -> None:
        """What this member appended as a leader may be overwritten now."""
        self._doubtful.extend(self._own)
        self._own.clear()
        self._last_key_before_change = next(reversed(self.pending), b"")

    def fate_unknown(self) -> None:
        """A snapshot took the place of the entries: nobody can tell what became of the doubtful."""
        self._own.clear()
        self._doubtful.clear()

    def settle(self, applied: int) -> None:
        """Answer the writes whose place in the log went to others: they did not happen."""
        own = self._own
        while own and own[0].last_index <= applied:
            own.popleft()
        while self._doubtful and self._doubtful[0].last_index <= applied:
            for key in self._doubtful.popleft().keys:
                request = self.pending.pop(key, None)
                if request is not None:
                    request.respond(list(LEADER_CHANGED))

    def refuse_waiting(self, status: Status) -> None:
        """Answer what was never proposed."""
        keys, self._waiting_keys, self.waiting = self._waiting_keys, [], []
        for key in keys:
            request = self.pending.pop(key, None)
            if request is not None:
                request.respond(list(status))

    def expire(self, now_ns: int) -> None:
        """Answer what has waited too long."""
        expired: list[bytes] = []
        for key, request in self.pending.items():
            if request.deadline_ns > now_ns:
                break
            expired.append(key)
        if expired:
            self._answer_expired(expired)

    def _answer_expired(self, expired: list[bytes]) -> None:
        waiting = dict.fromkeys(self._waiting_keys)
        for key in expired:
            request = self.pending.pop(key)
            if key in waiting:
                status = NO_LEADER
            elif key <= self._last_key_before_change:
                status = TIMEOUT_LEADER_FAILED
            else:
                status = TIMEOUT
            request.respond(list(status))
        kept = [
            (key, data)
            for key, data in zip(self._waiting_keys, self.waiting, strict=True)
            if key in self.pending
        ]
        self._waiting_keys = [key for key, _ in kept]
        self.waiting = [data for _, data in kept]
