"""Requests that only the leader can answer, handed on to it: whatever concerns the time of a lease.

Between members they travel next to Raft's messages, told apart by the first field.
"""

from __future__ import annotations

from typing import Any, Final, Protocol

from raftstore.errors import TIMEOUT, TOO_MANY_REQUESTS, StoreError
from raftstore.raft import Message
from raftstore.server.requests import Request

# ``[ASK_LEADER, number, op, fields]``
ASK_LEADER: Final = 100
# ``[LEADER_ANSWER, number, store.response payload]``
LEADER_ANSWER: Final = 101
# ``[PROPOSALS_REFUSED, keys, code, message]``: writes that were passed on, and certainly not
# appended; their keys one after the other.
PROPOSALS_REFUSED: Final = 104
# ``[REMOVED]``: the receiver is no member any more.
REMOVED: Final = 110
# ``[INQUIRY]``: am I still a member? Only who is none any more is answered.
INQUIRY: Final = 111
# The types of the fields: a peer port lets nothing else in.
SHAPES: Final[dict[int, tuple[type, ...]]] = {
    ASK_LEADER: (int, int, str, list),
    LEADER_ANSWER: (int, int, list),
    PROPOSALS_REFUSED: (int, bytes, str, str),
    REMOVED: (int,),
    INQUIRY: (int,),
}
MAX_REMEMBERED: Final = 1_000


class Transport(Protocol):
    """How members reach each other: messages may be lost, doubled and overtake each other."""

    def send_peer(self, member_id: int, wire: list[Any], /) -> None:
        """Send plain msgpack data to a member."""


class MemberTransport(Transport, Protocol):
    """What a member needs of the network."""

    def send_message(self, message: Message, /) -> None:
        """Send a Raft message to the member that it names; what it holds never changes again."""

    def hand_part(self, member_id: int, part: list[Any], /) -> bool:
        """Hand a part of a snapshot to a member of the same program, the versions by reference.

        False: the member is elsewhere, the part has to be packed and sent.
        """


class Forwarding:
    """Requests of local clients that the leader is asked to answer."""

    def __init__(self, transport: Transport, first_number: int, max_requests: int) -> None:
        self._transport = transport
        self._max_requests = max_requests
        self._last = first_number
        self._asked: dict[int, Request] = {}
        self._seen: dict[tuple[int, int], None] = {}

    def __len__(self) -> int:
        return len(self._asked)

    def ask(self, leader: int, request: Request) -> None:
        """Hand a request on.

        Raises:
            StoreError: too many wait for their answers already.
        """
        if len(self._asked) >= self._max_requests:
            raise StoreError(*TOO_MANY_REQUESTS)
        self._last += 1
        self._asked[self._last] = request
        self._transport.send_peer(leader, [ASK_LEADER, self._last, request.op, request.fields])

    def answered(self, wire: list[Any]) -> None:
        """The leader's answer; for late ones no request is left."""
        _, number, payload = wire
        request = self._asked.pop(number, None)
        if request is not None:
            request.respond(payload)

    def is_new(self, sender_id: int, number: int) -> bool:
        """Whether a request of another member comes for the first time; messages may be doubled."""
        if (sender_id, number) in self._seen:
            return False
        self._seen[sender_id, number] = None
        if len(self._seen) > MAX_REMEMBERED:
            del self._seen[next(iter(self._seen))]
        return True

    def expire(self, now_ns: int) -> None:
        """Answer what has waited too long."""
        expired = [number for number, asked in self._asked.items() if asked.deadline_ns <= now_ns]
        for number in expired:
            self._asked.pop(number).respond(list(TIMEOUT))
