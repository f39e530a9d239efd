"""What any HTTP server needs under trio: connections, limits, TLS, back-pressure, turn-taking.

Theory of operation. A *protocol* (`protocol.HttpProtocol`) is a state machine without I/O: it is
given the bytes that have arrived and returns events (`events`); it is told what to answer, and
gives the bytes that are to be sent. There are two, and another implementation of either can be put
in their place::

    http1      HTTP/1.0 and 1.1 over httptools; upgraded to `websocket` (wsproto), `upgraded`
    http2      HTTP/2 over h2, with trailers; `header_blocks` remembers what was decoded and encoded

A `Connection` drives one of them over a stream of bytes. It consists of two tasks: one receives,
hands the bytes to the protocol and its events to the exchanges; the other one sends. Each request
is an `Exchange`, and the *application* is an async callable that takes one and answers it, in a
task of its own. An application may have a method `begin` besides, which is offered each request
that has arrived whole, before a task is started for it: if it returns True, the application answers
later by `Exchange.answer`, from any callback. That is for requests that are answered by the
thousand: a hundred of them in one read are handled in one go, and their answers leave in one write.

Limits (`Limits`) bound everything that a peer can make grow:

- *In*: what arrives and is not read by the application is bounded for each request by the window
  of HTTP/2 or by not reading from the socket, and for all requests of a port by a `Budget`.
- *Out*: an application that writes waits while its stream has more than `unsent_bytes` waiting.
  The streams of a connection take turns (`turns.Turns`), a frame each. While what is to be sent
  stays where it is, nothing more is read.
- *Time*: to open (TLS and the head of the first request), to be idle, to take what is sent, to
  deliver a request. The connection is over as soon as its peer has closed it: all of its exchanges
  are cancelled then.

A `Listener` accepts connections on a port, bounds their number, and keeps the failure of one from
the others. Errors: see `errors`. Nothing here knows what is asked or answered.
"""

from __future__ import annotations

from raftstore.http.errors import (
    ArrivalTimeoutError,
    BodyTooLargeError,
    HttpError,
    OverloadedError,
    PeerError,
    WebSocketClosedError,
)
from raftstore.http.events import Head, Headers
from raftstore.http.exchange import Exchange
from raftstore.http.limits import Limits, Traffic
from raftstore.http.listener import Listener
from raftstore.http.websocket import WebSocket
from raftstore.http.websocket_frames import asks_for_upgrade, is_websocket, offered_subprotocols

__all__ = [
    "ArrivalTimeoutError",
    "BodyTooLargeError",
    "Exchange",
    "Head",
    "Headers",
    "HttpError",
    "Limits",
    "Listener",
    "OverloadedError",
    "PeerError",
    "Traffic",
    "WebSocket",
    "WebSocketClosedError",
    "asks_for_upgrade",
    "is_websocket",
    "offered_subprotocols",
]
