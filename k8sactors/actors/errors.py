"""Errors of actors and their connections.

ActorError
├── ConnectionClosedError   the connection broke; what was asked may have happened or not
├── AskTimeoutError         no reply in time; the same ambiguity
├── StreamBlockedError      the window of a stream is closed: wait until it opens
├── MessageTooLargeError    a payload over the frame limit
└── UnencodableError        a payload holds something that msgpack cannot carry
"""

from __future__ import annotations


class ActorError(Exception):
    """Root of the actor errors."""


class ConnectionClosedError(ActorError):
    """The connection is closed. Requests in flight may or may not have been carried out."""


class AskTimeoutError(ActorError):
    """No reply arrived within the time allowed. The request may still be carried out."""


class StreamBlockedError(ActorError):
    """The receiver of a stream has not returned credit yet."""


class MessageTooLargeError(ActorError):
    """A frame exceeds `MAX_FRAME_BYTES`: send less at a time."""


class UnencodableError(ActorError):
    """A payload is not plain data (None, bool, int, float, str, bytes, list, dict)."""
