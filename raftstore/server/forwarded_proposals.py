"""Writes that other members pass on to this one, since it leads: each is taken once, or refused.

Messages may be doubled, and a write is no less wrong for being done twice. Raft itself lets only
the leader of one term take a proposal, so that it is enough to remember while running. For the same
reason what the leader of that term did not take cannot be taken later: the member that passed it on
is told at once, and need not wait until time is over.
"""

from __future__ import annotations

from typing import Final

from raftstore.errors import LEADER_CHANGED, TOO_MANY_REQUESTS, Status
from raftstore.raft import (
    ConfigurationError,
    Message,
    ProposalDroppedError,
    RawNode,
    UncommittedLimitError,
)
from raftstore.server.forwarding import PROPOSALS_REFUSED, Transport
from raftstore.server.requests import KEY_SLICE

# Batches of one other member.
MAX_REMEMBERED: Final = 4_096


class ForwardedProposals:
    """The proposals of other members."""

    def __init__(self, node: RawNode, transport: Transport) -> None:
        self._node = node
        self._transport = transport
        self._seen: dict[int, dict[bytes, None]] = {}
        self._floor: dict[int, bytes] = {}

    def take(self, sender_id: int, message: Message) -> None:
        """Hand a batch to Raft if it comes for the first time."""
        if not message.entries or not self.is_new(sender_id, message.entries[0].data[KEY_SLICE]):
            return
        try:
            self._node.step(message)
        except UncommittedLimitError:
            self._refuse(sender_id, message, TOO_MANY_REQUESTS)
        except ProposalDroppedError:
            self._refuse(sender_id, message, LEADER_CHANGED)
        except ConfigurationError:
            # Changes of the members go another way (`MemberChanges`): here no request waits for
            # one.
            return

    def is_new(self, sender_id: int, key: bytes) -> bool:
        """Whether a batch comes for the first time, by the key of its first request.

        Keys of a member grow. One older than what is remembered is taken for known: its client is
        told that its outcome is unknown, as if the message had been lost.
        """
        seen = self._seen.setdefault(sender_id, {})
        if key in seen or key <= self._floor.get(sender_id, b""):
            return False
        seen[key] = None
        if len(seen) > MAX_REMEMBERED:
            oldest = next(iter(seen))
            del seen[oldest]
            self._floor[sender_id] = max(oldest, self._floor.get(sender_id, b""))
        return True

    def _refuse(self, sender_id: int, message: Message, status: Status) -> None:
        keys = b"".join([entry.data[KEY_SLICE] for entry in message.entries])
        self._transport.send_peer(sender_id, [PROPOSALS_REFUSED, keys, *status])
