"""Actors, mailboxes, envelopes and supervision."""

from k8sactors.actors.actor import Actor, ActorLife, Message
from k8sactors.actors.codec import CLOSE, MAX_FRAME_BYTES, OPEN, decode_frame, encode_frame
from k8sactors.actors.connection import Connection
from k8sactors.actors.context import Context
from k8sactors.actors.errors import (
    ActorError,
    AskTimeoutError,
    ConnectionClosedError,
    MessageTooLargeError,
    UnencodableError,
)
from k8sactors.actors.future import Future
from k8sactors.actors.mailbox import Mailbox, MailboxStatistics

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
    "UnencodableError",
    "decode_frame",
    "encode_frame",
]
