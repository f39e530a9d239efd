"""Errors of this package.

::

    HttpError
    ├── PeerError               the peer has broken the protocol; the connection ends
    ├── BodyTooLargeError       the body of a request is larger than the application takes
    ├── OverloadedError         the bodies of all requests together take too much memory
    ├── ArrivalTimeoutError     a request has not arrived in time
    └── WebSocketClosedError    the peer has closed the WebSocket
"""

from __future__ import annotations


class HttpError(Exception):
    """Anything that this package raises by itself."""


class PeerError(HttpError):
    """The peer has broken the protocol. `status`: what HTTP/1.1 answers before it closes."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


class BodyTooLargeError(HttpError):
    """The body of a request is larger than `limit_bytes`; `size_bytes` of it had arrived."""

    def __init__(self, size_bytes: int, limit_bytes: int) -> None:
        super().__init__(f"the body is larger than {limit_bytes} bytes ({size_bytes} and more)")
        self.size_bytes = size_bytes
        self.limit_bytes = limit_bytes


class OverloadedError(HttpError):
    """What has arrived and was not read takes all the memory that it may take."""

    def __init__(self) -> None:
        super().__init__("the requests under way take too much memory")


class ArrivalTimeoutError(HttpError):
    """A request has not arrived in time."""

    def __init__(self, timeout_s: float) -> None:
        super().__init__(f"the request has not arrived within {timeout_s:.0f} s")
        self.timeout_s = timeout_s


class WebSocketClosedError(HttpError):
    """The peer has closed the WebSocket, with this code (RFC 6455, section 7.4)."""

    def __init__(self, code: int, reason: str = "") -> None:
        super().__init__(f"the peer has closed the WebSocket: {code} {reason}".rstrip())
        self.code = code
        self.reason = reason
