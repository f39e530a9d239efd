"""Frames: the only thing that crosses from one actor to another.

A frame is the msgpack encoding of `[sender, recipient, connection_id, messages]`; a message is
`[kind, id, cause, payload]`. Everything that an actor says to one peer within a turn leaves in one
frame. `id` is unique per sender, `cause` is the id of the message that this one answers (0: none),
`connection_id` is 0 for datagrams.
"""

from __future__ import annotations

from typing import Any

import msgpack

from k8sactors.actors.errors import MessageTooLargeError, UnencodableError

# A frame larger than this is a mistake upstream: lists are paginated, events are batched.
MAX_FRAME_BYTES = 256 * 1024 * 1024

OPEN = "$open"
CLOSE = "$close"

WireMessage = tuple[str, int, int, Any]

_packb = msgpack.Packer(autoreset=True).pack
_unpackb = msgpack.unpackb


def encode_frame(
    sender: str, recipient: str, connection_id: int, messages: list[WireMessage]
) -> bytes:
    """Encode the messages of one turn to one peer.

    Raises:
        UnencodableError: a payload holds an object.
        MessageTooLargeError: the frame is over `MAX_FRAME_BYTES`.
    """
    try:
        frame: bytes = _packb((sender, recipient, connection_id, messages))
    except (TypeError, ValueError, OverflowError) as error:
        kinds = ", ".join(sorted({message[0] for message in messages}))
        raise UnencodableError(f"{sender} to {recipient} ({kinds}): {error}") from error
    if len(frame) > MAX_FRAME_BYTES:
        raise MessageTooLargeError(
            f"{sender} to {recipient}: {len(frame)} bytes in one turn, limit {MAX_FRAME_BYTES}"
        )
    return frame


def decode_frame(frame: bytes) -> list[Any]:
    """The inverse of `encode_frame`: `[sender, recipient, connection_id, messages]`."""
    decoded: list[Any] = _unpackb(frame, strict_map_key=False, use_list=True)
    return decoded
