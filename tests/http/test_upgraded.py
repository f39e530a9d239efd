"""An upgrade to another protocol: the application gets the bytes."""

from __future__ import annotations

from raftstore.http.events import MessageReceived, RequestReceived
from raftstore.http.http1 import Http1
from raftstore.http.limits import Limits

ASKED = (
    b"POST /a HTTP/1.1\r\nhost: x\r\nconnection: Upgrade\r\nupgrade: SPDY/3.1\r\n"
    b"content-length: 0\r\n\r\n"
)


def test_bytes_come_and_go_as_they_are_after_an_upgrade() -> None:
    server = Http1(Limits())
    events = server.receive(ASKED + b"\x80\x03")
    assert isinstance(events[0], RequestReceived)
    upgraded = server.accept_upgrade("SPDY/3.1", [(b"a", b"b")])
    assert server.take_output() == (
        b"HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\n"
        b"upgrade: SPDY/3.1\r\na: b\r\n\r\n"
    )
    assert server.take_upgraded() == b"\x80\x03"
    (event,) = server.receive(b"GET / HTTP/1.1")
    assert isinstance(event, MessageReceived)
    assert (event.data, event.ended) == (b"GET / HTTP/1.1", True)
    assert upgraded.message(b"\x00") == b"\x00"
