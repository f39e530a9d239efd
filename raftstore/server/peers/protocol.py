"""What members in different processes say to each other over TCP.

Frames of four bytes of length (big-endian) and so many bytes of msgpack. The end that dials says
hello first::

    [MAGIC, VERSION, PURPOSE_MESSAGES, cluster_id, sender_id, recipient_id, sender_url]
    [MAGIC, VERSION, PURPOSE_MEMBERS]

and is answered ``[0, ...]`` or ``[code, message]``. After the first hello only the dialler speaks:
each frame is ``[true, sender_id, messages]`` with messages as `Member.receive_peer` takes them.
After the second the answer is ``[0, cluster_id, members]``, and the connection ends. Two members
therefore use two connections, one each way, and either may break without the other. `sender_url` is
where the sender is reached: a member whose log is old may not know the one that leads it now.
"""

from __future__ import annotations

import struct
from typing import Any, Final, Protocol

import msgpack

from raftstore.errors import FAILED_PRECONDITION, INVALID_ARGUMENT, RaftStoreError, StoreError
from raftstore.raft.messages import MessageKind
from raftstore.server import forwarding, transfer

MAGIC: Final = "raftstore-peer"
VERSION: Final = 1
PURPOSE_MESSAGES: Final = 0
PURPOSE_MEMBERS: Final = 1

MAX_HELLO_BYTES: Final = 1 << 10
# A list of members.
MAX_LIST_BYTES: Final = 1 << 20
# All that one member sends another at once; an append holds a MiB unless one request is larger.
MAX_FRAME_BYTES: Final = 64 << 20

_LENGTH: Final = struct.Struct(">I")
HEAD_BYTES: Final = _LENGTH.size
_RAFT_KINDS: Final = frozenset(MessageKind)
_SENDER: Final = 2
# Fields of a Raft message that says no more than where it belongs.
_SHORT: Final = 7
_LONG: Final = 12
_ENTRY: Final = (int, int, int, bytes)
_SHAPES: Final = {**forwarding.SHAPES, **transfer.SHAPES}


class PeerProtocolError(RaftStoreError):
    """The other end does not speak this protocol; the connection is of no use."""


class ByteStream(Protocol):
    """The part of a trio stream that is needed."""

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        """Some bytes; none at the end."""


def frame(payload: bytes) -> bytes:
    """A packed payload, ready for the wire."""
    return _LENGTH.pack(len(payload)) + payload


def pack_frame(value: Any) -> bytes:
    """A value, ready for the wire."""
    return frame(msgpack.packb(value))


class FrameReader:
    """Cuts a stream into frames."""

    def __init__(self, stream: ByteStream) -> None:
        self._stream = stream
        self._buffer = bytearray()

    async def read(self, max_bytes: int = MAX_FRAME_BYTES) -> bytes | None:
        """The payload of the next frame; None at the end of the stream.

        Raises:
            PeerProtocolError: the frame is longer than allowed, or cut off.
        """
        if not await self._fill(_LENGTH.size):
            return None
        (size,) = _LENGTH.unpack_from(self._buffer)
        if size > max_bytes:
            raise PeerProtocolError(f"a frame of {size} bytes is longer than {max_bytes}")
        if not await self._fill(_LENGTH.size + size):
            raise PeerProtocolError("the stream ends within a frame")
        payload = bytes(memoryview(self._buffer)[_LENGTH.size : _LENGTH.size + size])
        del self._buffer[: _LENGTH.size + size]
        return payload

    async def _fill(self, size: int) -> bool:
        while len(self._buffer) < size:
            data = await self._stream.receive_some()
            if not data:
                if self._buffer:
                    raise PeerProtocolError("the stream ends within a frame")
                return False
            self._buffer += data
        return True


def unpack(payload: bytes) -> list[Any]:
    """A frame's list.

    Raises:
        PeerProtocolError: it is something else.
    """
    try:
        value = msgpack.unpackb(payload)
    except (ValueError, msgpack.UnpackException) as error:
        raise PeerProtocolError(f"not msgpack: {error}") from error
    if not isinstance(value, list):
        raise PeerProtocolError(f"not a list but {type(value).__name__}")
    return value


def hello(cluster_id: int, sender_id: int, recipient_id: int, sender_url: str = "") -> list[Any]:
    """How a member introduces itself."""
    return [MAGIC, VERSION, PURPOSE_MESSAGES, cluster_id, sender_id, recipient_id, sender_url]


def ask_members() -> list[Any]:
    """How a process that is to join asks who is there."""
    return [MAGIC, VERSION, PURPOSE_MEMBERS]


def check_purpose(greeting: list[Any]) -> int:
    """What the dialler wants.

    Raises:
        StoreError: it speaks another protocol, or another version of this.
    """
    if greeting[:1] != [MAGIC]:
        raise StoreError(INVALID_ARGUMENT, "this port is for members of a raftstore cluster")
    if greeting[1:2] != [VERSION]:
        text = f"this member speaks version {VERSION} of the peer protocol"
        raise StoreError(INVALID_ARGUMENT, text)
    if greeting[2:] == [PURPOSE_MEMBERS]:
        return PURPOSE_MEMBERS
    if greeting[2:3] == [PURPOSE_MESSAGES] and len(greeting) == len(hello(0, 0, 0)):
        return PURPOSE_MESSAGES
    raise StoreError(INVALID_ARGUMENT, "the greeting is incomplete")


def check_hello(greeting: list[Any], cluster_id: int, own_id: int) -> tuple[int, str]:
    """The id of the member that says hello, and its URL.

    Raises:
        StoreError: it belongs to another cluster, or took this member for another.
    """
    _, _, _, its_cluster, sender, recipient, url = greeting
    if not all(map(isinstance, (its_cluster, recipient, url), (int, int, str))):
        raise StoreError(INVALID_ARGUMENT, "the greeting is of another form")
    if its_cluster != cluster_id:
        raise StoreError(
            FAILED_PRECONDITION,
            f"cluster ID mismatch: this is a member of {cluster_id:x}, not of {its_cluster:x}; "
            "check the initial cluster, its token, and that the data directory is of this cluster",
        )
    if not isinstance(sender, int) or sender <= 0 or sender == own_id:
        text = f"this is member {own_id:x}: no other member has the id {sender!r}"
        raise StoreError(INVALID_ARGUMENT, text)
    if recipient != own_id:
        text = f"this is member {own_id:x}, not {recipient:x}: check the peer addresses"
        raise StoreError(FAILED_PRECONDITION, text)
    return sender, url


def check_messages(payload: bytes, sender: int) -> list[Any]:
    """The messages in a member's frame, each of a form in which it can be taken.

    Raises:
        PeerProtocolError: they are none of this member, or of another form.
    """
    match unpack(payload):
        case [True, its_id, list(messages)] if its_id == sender:
            for wire in messages:
                if not _is_message(wire, sender):
                    raise PeerProtocolError(f"member {sender:x} sends what is no message")
            return messages
    raise PeerProtocolError(f"member {sender:x} sends what is no messages of its own")


def _is_message(wire: Any, sender: int) -> bool:
    if not isinstance(wire, list) or not wire or type(wire[0]) is not int:
        return False
    if wire[0] in _RAFT_KINDS:
        return _is_raft_message(wire) and wire[_SENDER] == sender
    shape = _SHAPES.get(wire[0], ())
    return len(wire) == len(shape) and all(map(isinstance, wire, shape))


def _is_raft_message(wire: list[Any]) -> bool:
    if any(type(field) is not int or field < 0 for field in wire[:_SHORT]):
        return False
    if len(wire) == _SHORT:
        return True
    if len(wire) != _LONG:
        return False
    entries, reject, hint, context, snapshot = wire[_SHORT:]
    return (
        isinstance(entries, list)
        and all(map(_is_entry, entries))
        and isinstance(reject, bool)
        and isinstance(hint, int)
        and isinstance(context, bytes)
        # The state of a snapshot comes in parts; the message about it is one of them.
        and snapshot is None
    )


def _is_entry(fields: Any) -> bool:
    return (
        isinstance(fields, list)
        and len(fields) == len(_ENTRY)
        and all(map(isinstance, fields, _ENTRY))
    )
