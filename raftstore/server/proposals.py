"""Writes between their arrival and their answer.

A write first *waits*, then is *proposed* with everything else that waits (group commit), and is
answered when its entry is applied here. What is told to a client whose write fails depends on how
far it got: before the proposal it certainly did not happen; after it only the log knows.
"""

from __future__ import annotations

from collections import deque
from typing import Any, Final, NamedTuple

from raftstore.errors import (
    LEADER_CHANGED,
    NO_LEADER,
    REQUEST_TOO_LARGE,
    TIMEOUT,
    TIMEOUT_LEADER_FAILED,
    TOO_MANY_REQUESTS,
    Status,
    StoreError,
)
from raftstore.raft import ProposalDroppedError, RawNode, UncommittedLimitError
from raftstore.server.config import MemberConfig
from raftstore.server.requests import Request, RequestKeys, Respond, encode

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

    def __init__(self, keys: RequestKeys, config: MemberConfig) -> None:
        # Writes that were refused after they were taken, since the start.
        self.failed_count = 0
        # All writes without an answer, oldest first; the application of entries takes them out.
        self.pending: dict[bytes, Request] = {}
        # In their entries; the code that takes one out counts it out.
        self.pending_bytes = 0
        self._keys = keys
        self._max_batch = config.max_proposal_batch
        self._max_requests = config.max_pending_requests
        self._max_bytes = config.max_pending_bytes
        self._max_request_bytes = config.max_request_bytes
        self._waiting_keys: list[bytes] = []
        # What is to be proposed.
        self.waiting: list[bytes] = []
        self._own: deque[OwnBatch] = deque()
        self._doubtful: deque[OwnBatch] = deque()
        self._last_key_before_change = b""
        # What waits on this member's word as the leader only.
        self._leaders: dict[bytes, None] = {}

    def submit(self, op: str, fields: list[Any], respond: Respond, deadline_ns: int) -> None:
        """Take a write.

        Raises:
            StoreError: it is too large, or too much waits already.
        """
        key = self._keys.next()
        data = encode((key, op, fields))
        size = len(data)
        if size > self._max_request_bytes:
            raise StoreError(*REQUEST_TOO_LARGE)
        pending = self.pending
        if pending and (
            len(pending) >= self._max_requests or self.pending_bytes + size > self._max_bytes
        ):
            raise StoreError(*TOO_MANY_REQUESTS)
        pending[key] = _new_tuple(Request, (op, fields, respond, deadline_ns, size))
        self.pending_bytes += size
        self._waiting_keys.append(key)
        self.waiting.append(data)

    def prepare(self, op: str, fields: list[Any]) -> tuple[bytes, bytes]:
        """The key and the data of a write that does not wait with the others."""
        key = self._keys.next()
        return key, encode((key, op, fields))

    def speak_as_leader(self, position: int) -> None:
        """What waits from this position on is what only a leader may ask for.

        It is forgotten when this member leads no more: passed on to the successor it would be the
        word of a leader whose time is over.
        """
        self._leaders.update(dict.fromkeys(self._waiting_keys[position:]))

    def _fall_silent(self) -> None:
        """Forget what only a leader may ask for."""
        for key in self._leaders:
            self.take(key)
        self._leaders.clear()
        self._forget_answered()

    def appended(self, key: bytes, request: Request, node: RawNode) -> None:
        """Such a write now is the last entry of this leader's log."""
        self.pending[key] = request
        self._own.append(OwnBatch(node.raft.log.last_index, [key]))

    def propose(self, node: RawNode, *, leading: bool) -> None:
        """Propose everything that waits; what is not taken now waits on.

        What does not fit into the bound of uncommitted bytes is refused: the quorum is out of
        reach, or too slow for what is asked of it.
        """
        if self._leaders and not leading:
            self._fall_silent()
        size = self._max_batch
        while self.waiting:
            everything = len(self.waiting) <= size
            batch = self.waiting if everything else self.waiting[:size]
            try:
                node.propose(batch)
            except UncommittedLimitError:
                if len(batch) == 1:
                    self.refuse_waiting(TOO_MANY_REQUESTS)
                size = len(batch) // 2
                continue
            except ProposalDroppedError:
                return
            if everything:
                keys, self._waiting_keys, self.waiting = self._waiting_keys, [], []
            else:
                keys = self._waiting_keys[: len(batch)]
                del self._waiting_keys[: len(batch)]
                del self.waiting[: len(batch)]
            for key in keys if self._leaders else ():
                self._leaders.pop(key, None)
            if leading:
                self._own.append(OwnBatch(node.raft.log.last_index, keys))

    # -- ends without an answer of the store --------------------------------------------------

    def leader_changed(self) -> None:
        """What this member appended as a leader may be overwritten now."""
        if self._leaders:
            self._fall_silent()
        self._doubtful.extend(self._own)
        self._own.clear()
        self._last_key_before_change = next(reversed(self.pending), b"")

    def fate_unknown(self) -> None:
        """A snapshot took the place of the entries: the outcome of the others is unknown."""
        self._own.clear()
        self._doubtful.clear()

    def settle(self, applied: int) -> None:
        """Answer the writes whose place in the log went to others: they did not happen."""
        own = self._own
        while own and own[0].last_index <= applied:
            own.popleft()
        while self._doubtful and self._doubtful[0].last_index <= applied:
            self.refuse(self._doubtful.popleft().keys, LEADER_CHANGED)

    def take(self, key: bytes) -> Request | None:
        """The request of an entry that is applied now, if it was made here and still waits."""
        request = self.pending.pop(key, None)
        if request is not None:
            self.pending_bytes -= request.size_bytes
        return request

    def refuse(self, keys: list[bytes], status: Status) -> None:
        """Answer writes of which is known what became of them."""
        for key in keys:
            request = self.take(key)
            if request is not None:
                self.failed_count += 1
                request.respond(list(status))

    def refuse_waiting(self, status: Status) -> None:
        """Answer what was never proposed."""
        keys, self._waiting_keys, self.waiting = self._waiting_keys, [], []
        self.refuse(keys, status)

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
            if key in waiting:
                status = NO_LEADER
            elif key <= self._last_key_before_change:
                status = TIMEOUT_LEADER_FAILED
            else:
                status = TIMEOUT
            self.refuse([key], status)
        self._forget_answered()

    def _forget_answered(self) -> None:
        """Do not propose what no client waits for any more."""
        kept = [
            (key, data)
            for key, data in zip(self._waiting_keys, self.waiting, strict=True)
            if key in self.pending
        ]
        self._waiting_keys = [key for key, _ in kept]
        self.waiting = [data for _, data in kept]
