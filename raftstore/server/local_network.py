"""Connections of clients to members in the same program: msgpack frames over memory channels.

A client's messages wait in its connection until the member's turn comes, so that everything that
the tasks of a moment ask leaves in one frame, packed when it is taken. Answers reach the client's
callbacks in the turn in which the member sends them. Neither way costs a turn of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Protocol

import msgpack

from raftstore.gate import Gate
from raftstore.raft import Message

CLOSE: Final = "store.close"
# How much may wait for a member.
MAX_QUEUED_FRAMES: Final = 10_000

_pack: Final = msgpack.Packer(autoreset=True).pack


# Raft's messages from a member of the same program, by reference.
Handed = tuple[int, list[Message]]


class Receiver(Protocol):
    """A running member, as the network sees it."""

    def deliver(self, item: bytes | LocalConnection | Handed, /) -> bool:
        """Take a frame, or the connection on which one waits; False if it is gone or overloaded."""

    def take_part(self, sender: int, part: list[Any], /) -> bool:
        """Take a part of a snapshot by reference; False as above."""


class Answer:
    """A message to a client."""

    __slots__ = ("cause", "payload")

    def __init__(self, payload: Any, cause: int) -> None:
        self.payload = payload
        self.cause = cause


class LocalConnection:
    """A client's end of a connection (`raftstore.client.Connection`)."""

    __slots__ = ("_network", "_streams", "closed", "id", "last_id", "member", "on_close", "outbox")

    def __init__(
        self, network: Network, connection_id: int, member: int, on_close: Callable[[str], None]
    ) -> None:
        self._network = network
        self._streams: dict[int, Callable[[Any], None]] = {}
        self.id = connection_id
        self.member = member
        self.on_close = on_close
        self.closed = False
        self.last_id = 0
        self.outbox: list[tuple[str, int, Any]] = []

    def send(self, kind: str, payload: Any, cause: int = 0) -> int:
        """Queue a message for the next frame; returns its id."""
        del cause
        self.last_id = message_id = self.last_id + 1
        if not self.closed:
            if not self.outbox:
                self._network.announce(self)
            self.outbox.append((kind, message_id, payload))
        return message_id

    def subscribe(self, kind: str, payload: Any, on_item: Callable[[Any], None]) -> int:
        """Queue a message whose answers go to `on_item`."""
        message_id = self.send(kind, payload)
        self._streams[message_id] = on_item
        return message_id

    def take_frame(self) -> bytes | None:
        """What waits to be sent, as one frame."""
        messages = self.outbox
        if not messages:
            return None
        self.outbox = []
        frame: bytes = _pack((False, self.id, messages))
        return frame

    def unsubscribe(self, message_id: int) -> None:
        """Drop further answers to a message."""
        self._streams.pop(message_id, None)

    def close(self, reason: str = "") -> None:
        """Close both ends."""
        if not self.closed:
            self.send(CLOSE, reason)
            self._network.flush_connection(self)
            self.break_(reason, notify=False)

    def break_(self, reason: str, *, notify: bool = True) -> None:
        """The connection is gone."""
        if not self.closed:
            self.closed = True
            self.outbox = []
            self._streams = {}
            self._network.forget(self)
            if notify:
                self.on_close(reason)

    def take(self, frame: bytes) -> None:
        """Hand the answers of a frame to whom they are for."""
        streams = self._streams
        for _, cause, payload in msgpack.unpackb(frame):
            on_item = streams.get(cause)
            if on_item is not None:
                on_item(Answer(payload, cause))


# Takes a frame to a member that is not of this program: sender, recipient, frame, and whether
# Raft's own messages may pass it: a part of a snapshot shall not keep a heartbeat waiting.
Outside = Callable[[int, int, bytes, bool], None]


def _lost(_sender: int, _member: int, _frame: bytes, _behind: bool) -> None:
    """No member is there."""


class Network:
    """Carries frames between the members and clients of one program."""

    def __init__(self, outside: Outside = _lost) -> None:
        self.outside = outside
        self.members: dict[int, Receiver] = {}
        self._connections: dict[int, LocalConnection] = {}
        self._last_connection = 0
        self._refused: list[tuple[LocalConnection, str]] = []
        self._gate = Gate()
        self._cut: dict[tuple[int, int], None] = {}

    def connect(self, member: int, on_close: Callable[[str], None]) -> LocalConnection:
        """Open a connection; refusal comes as `on_close`."""
        self._last_connection += 1
        connection = LocalConnection(self, self._last_connection, member, on_close)
        self._connections[connection.id] = connection
        return connection

    def detach(self, member: int) -> None:
        """A member is gone: its connections are reset."""
        self.members.pop(member, None)
        for connection in list(self._connections.values()):
            if connection.member == member:
                connection.break_("connection reset by peer")

    def isolate(self, member: int, others: list[int]) -> None:
        """Lose what this member and the others send each other."""
        for other in others:
            self._cut[member, other] = self._cut[other, member] = None

    def heal(self) -> None:
        """Lose nothing any more."""
        self._cut.clear()

    def to_member(self, sender: int, member: int, frame: bytes) -> None:
        """Carry a frame between members; one that cannot be delivered is lost."""
        receiver = self.members.get(member)
        if receiver is None:
            self.outside(sender, member, frame, True)
        elif not (self._cut and (sender, member) in self._cut):
            receiver.deliver(frame)

    def hand_over(self, sender: int, member: int, messages: list[Message]) -> None:
        """Carry Raft's messages between members, as they are within the program."""
        receiver = self.members.get(member)
        if receiver is None:
            wires = [message.to_wire() for message in messages]
            self.outside(sender, member, _pack((True, sender, wires)), False)
        elif not (self._cut and (sender, member) in self._cut):
            receiver.deliver((sender, messages))

    def hand_part(self, sender: int, member: int, part: list[Any]) -> bool:
        """Carry a part of a snapshot as it is; False if the member is not of this program."""
        receiver = self.members.get(member)
        if receiver is None:
            return False
        if not (self._cut and (sender, member) in self._cut):
            receiver.take_part(sender, part)
        return True

    def to_client(self, connection_id: int, frame: bytes) -> None:
        """Hand a frame to a client, if it is still there."""
        connection = self._connections.get(connection_id)
        if connection is not None:
            connection.take(frame)

    # Called by connections

    def announce(self, connection: LocalConnection) -> None:
        """Something waits to be sent: the member shall take it in its next turn."""
        receiver = self.members.get(connection.member)
        if receiver is None:
            self._refuse(connection, "connection refused")
        elif not receiver.deliver(connection):
            self._refuse(connection, "the member is overloaded")

    def flush_connection(self, connection: LocalConnection) -> None:
        """Send what waits at once: the connection is about to close."""
        receiver = self.members.get(connection.member)
        frame = connection.take_frame()
        if receiver is not None and frame is not None:
            receiver.deliver(frame)

    def forget(self, connection: LocalConnection) -> None:
        """A connection has closed."""
        self._connections.pop(connection.id, None)

    def _refuse(self, connection: LocalConnection, reason: str) -> None:
        # Not now: the sender does not expect its connection to close under it.
        self._refused.append((connection, reason))
        self._gate.open()

    async def break_refused(self) -> None:
        """Close the connections to members that are gone or overloaded, forever."""
        while True:
            await self._gate.wait()
            refused, self._refused = self._refused, []
            for connection, reason in refused:
                connection.break_(reason)
