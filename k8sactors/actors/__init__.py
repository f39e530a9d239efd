"""Actors, mailboxes, envelopes and supervision."""

from __future__ import annotations

from k8sactors.actors.actor import Actor, ActorLife
from k8sactors.actors.codec import CLOSE, MAX_FRAME_BYTES, OPEN, decode_frame, encode_frame
from k8sactors.actors.connection import Connection, Message
from k8sactors.actors.context import Context, Network
from k8sactors.actors.errors import (
    ActorError,
    AskTimeoutError,
    ConnectionClosedError,
    MessageTooLargeError,
    StreamBlockedError,
    UnencodableError,
)
from k8sactors.actors.mailbox import Mailbox, MailboxStatistics
from k8sactors.actors.relay import relay
from k8sactors.actors.stream import Stream
from raftstore.future import Future

__all__ = [
    "CLOSE",
    "MAX_FRAME_BYTES",
    "OPEN",
    "Actor",
    "ActorError",
    "ActorLife",
    "AskTimeoutError",
    "Connection",
    "ConnectionClosedError",
    "Context",
    "Future",
    "Mailbox",
    "MailboxStatistics",
    "Message",
    "MessageTooLargeError",
    "Network",
    "Stream",
    "StreamBlockedError",
    "UnencodableError",
    "decode_frame",
    "encode_frame",
    "relay",
]
