"""Garbage, silence and slowness on a port end with the connection that they come on."""

from __future__ import annotations

import contextlib
import hashlib
import socket
import struct
from typing import Any

import pytest
import trio
from click.testing import CliRunner
from h2.connection import H2Connection
from h2.events import PingAckReceived, TrailersReceived

from raftstore.cli import main
from raftstore.gateway.app import Gateway
from raftstore.gateway.serving import LocalBackend, ServeOptions, bind
from raftstore.http import Listener
from raftstore.server.local import LocalCluster
from tests.gateway.served import Served, ask, post, start

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
TIMEOUT_S = 8.0


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    """A frame of HTTP/2."""
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


SETTINGS = frame(4, 0, 0, b"")
# Literal header fields without indexing, names and values uncompressed (RFC 7541, 6.2.2).
GRPC_HEAD = b"".join(
    b"\0" + bytes((len(name),)) + name + bytes((len(value),)) + value
    for name, value in (
        (b":method", b"POST"),
        (b":scheme", b"http"),
        (b":path", b"/etcdserverpb.KV/Range"),
        (b":authority", b"x"),
        (b"content-type", b"application/grpc"),
        (b"te", b"trailers"),
    )
)
GARBAGE = [
    pytest.param(b"\0" * 1000, id="zeros"),
    pytest.param(hashlib.shake_256(b"1").digest(5000), id="noise"),
    pytest.param(b"GET / HTTP/1.1\r\n" + b"a: " + b"b" * 100_000, id="endless header"),
    pytest.param(b"POST /v3/kv/put HTTP/1.1\r\nhost: x\r\ncontent-length: -5\r\n\r\n", id="length"),
    pytest.param(b"POST /v3/kv/put HTTP/1.1\r\nhost: x\r\n\r\n\r\n" * 3, id="no body"),
    pytest.param(PREFACE + hashlib.shake_256(b"2").digest(5000), id="noise in HTTP/2"),
    pytest.param(PREFACE + SETTINGS + frame(0, 1, 7, b"data"), id="data without a stream"),
    pytest.param(PREFACE + SETTINGS + frame(1, 4, 1, b"\xff" * 50), id="broken headers"),
    pytest.param(PREFACE + SETTINGS + frame(1, 4, 1, GRPC_HEAD[:9]), id="half a path"),
    pytest.param(PREFACE + SETTINGS + frame(1, 4, 1, b""), id="no headers"),
    pytest.param(
        PREFACE + SETTINGS + frame(1, 5, 1, GRPC_HEAD) + frame(0, 0, 1, b"x" * 100),
        id="data after the end",
    ),
    pytest.param(PREFACE + SETTINGS + frame(1, 4, 1, GRPC_HEAD) * 2, id="headers twice"),
    pytest.param(
        PREFACE + SETTINGS + frame(1, 4, 1, GRPC_HEAD) + frame(3, 0, 1, bytes(4)), id="reset"
    ),
    pytest.param(PREFACE + SETTINGS + frame(8, 0, 0, b"\x7f\xff\xff\xff"), id="window overflow"),
]


@pytest.mark.parametrize("garbage", GARBAGE)
def test_garbage_hurts_no_other_client(served: Served, garbage: bytes) -> None:
    with (
        socket.create_connection(("127.0.0.1", served.port), TIMEOUT_S) as bad,
        # A connection that is reset at once is a good answer too.
        contextlib.suppress(OSError),
    ):
        bad.sendall(garbage)
        bad.shutdown(socket.SHUT_WR)
        while bad.recv(65_536):
            pass
    assert ask(served, "GET", "/health")[0] == 200


def test_a_request_that_continues_behind_its_answer_hurts_no_other(served: Served) -> None:
    peer = H2Connection()
    peer.initiate_connection()
    pseudo = [(":method", "POST"), (":scheme", "http"), (":path", "/etcdserverpb.KV/Wrong")]
    head = [(":authority", "x"), ("content-type", "application/grpc"), ("te", "trailers")]
    peer.send_headers(1, [*pseudo, *head])
    with socket.create_connection(("127.0.0.1", served.port), TIMEOUT_S) as bad:
        bad.sendall(peer.data_to_send())
        trailers: dict[bytes, bytes] = {}
        while not trailers:
            for event in peer.receive_data(bad.recv(65_536)):
                if isinstance(event, TrailersReceived):
                    trailers = dict(event.headers)
        assert trailers[b"grpc-status"] == b"12"
        # The server has said that it wants no more of it; h2 would not send this.
        peer.ping(b"still on")
        bad.sendall(frame(0, 0, 1, b"more") + peer.data_to_send())
        answers: list[Any] = []
        while not any(isinstance(answer, PingAckReceived) for answer in answers):
            chunk = bad.recv(65_536)
            assert chunk, "the connection continues"
            answers += peer.receive_data(chunk)
    assert ask(served, "GET", "/health")[0] == 200


class FailingListener(Listener):
    """Fails on its first connection as a defect of the protocol code would."""

    failed = False

    async def _speak(self, stream: Any) -> None:
        if not self.failed:
            self.failed = True
            raise KeyError("a defect")
        await super()._speak(stream)


def test_a_defect_on_one_connection_leaves_the_others() -> None:
    async def run() -> None:
        async with LocalCluster(1) as cluster, trio.open_nursery() as nursery:
            nursery.cancel_scope.deadline = trio.current_time() + TIMEOUT_S
            await cluster.wait_leader()
            (bound,) = await bind(ServeOptions(port=0, members=1))
            port = bound.clients
            await bound.peers.aclose()
            gateway = Gateway(LocalBackend(cluster, 1))
            nursery.start_soon(FailingListener(gateway, port, traffic=gateway.counters).run)
            number = port.socket.getsockname()[1]
            async with await trio.open_tcp_stream("127.0.0.1", number) as first:
                assert await first.receive_some() == b""
            async with await trio.open_tcp_stream("127.0.0.1", number) as second:
                await second.send_all(b"GET /version HTTP/1.1\r\nhost: x\r\n\r\n")
                assert (await second.receive_some()).startswith(b"HTTP/1.1 200")
            assert gateway.endpoint.counters.connections <= 1
            assert gateway.endpoint.counters.received_bytes > 0
            nursery.cancel_scope.cancel()

    trio.run(run)


def test_half_open_and_unread_connections_hurt_no_other(served: Served) -> None:
    post(served, "/v3/kv/put", {"key": "aGFsZg==", "value": "QUFB" * (256 << 10)})
    sockets = [socket.create_connection(("127.0.0.1", served.port)) for _ in range(50)]
    try:
        body = b'{"key": "aGFsZg=="}'
        request = b"POST /v3/kv/range HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n%s"
        for unread in sockets[:20]:
            unread.sendall(request % (len(body), body))
        for partial in sockets[20:40]:
            partial.sendall(b"POST /v3/kv/put HTTP/1.1\r\nhost: x\r\ncontent-length: 99\r\n\r\n{")
        assert ask(served, "GET", "/health")[0] == 200
    finally:
        for opened in sockets:
            opened.close()
    assert ask(served, "GET", "/health")[0] == 200


def test_a_terminated_server_leaves_at_once_though_clients_are_connected() -> None:
    running = start("--port", "0", "--members", "1")
    assert running.process.stdout is not None
    try:
        with socket.create_connection(("127.0.0.1", running.port)) as watching:
            body = b'{"create_request": {"key": "YQ=="}}'
            request = b"POST /v3/watch HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n%s"
            watching.sendall(request % (len(body), body))
            assert watching.recv(100).startswith(b"HTTP/1.1 200")
            assert running.stop() == 0
    finally:
        running.process.stdout.close()
        running.process.kill()
        running.process.wait()


def test_a_port_in_use_is_said_so(served: Served) -> None:
    result = CliRunner().invoke(main, ["serve", "--port", str(served.port), "--members", "1"])
    assert result.exit_code == 1
    assert f"cannot listen on 127.0.0.1:{served.port}" in result.output


def test_ports_beyond_the_last_are_wrong_usage() -> None:
    assert CliRunner().invoke(main, ["serve", "--port", "65534"]).exit_code == 2
