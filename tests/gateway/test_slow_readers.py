"""Watch streams that are not read cost bounded memory, and other clients nothing."""

from __future__ import annotations

import contextlib
from typing import Any

import grpc
import trio

from raftstore.errors import TOO_MANY_REQUESTS
from raftstore.gateway.endpoint import MAX_UNREAD_BYTES
from tests.gateway.differential import BY_NAME
from tests.gateway.raw_http2 import RawConnection, message
from tests.gateway.served import Served, ask, start, stopping

STREAMS = 12
PUTS = 200
VALUE = bytes(256 << 10)
CALL_TIMEOUT_S = 120.0
MEBIBYTE = 1 << 20
# History and log, what a stream may hold (8 MiB, and 4 on its way), and what an allocator wastes:
# about half of what the streams would hold without a bound.
BOUND_BYTES = 2 * PUTS * len(VALUE) + STREAMS * 12 * MEBIBYTE + 60 * MEBIBYTE
KEYS = 16
ATTEMPTS = 50
UNREAD = 40
RANGE = BY_NAME["Range"]
WATCH = BY_NAME["Watch"]
PUT = BY_NAME["Put"]


def resident_bytes(served: Served) -> float:
    text = ask(served, "GET", "/metrics")[1].decode()
    (line,) = [
        line for line in text.splitlines() if line.startswith("process_resident_memory_bytes ")
    ]
    return float(line.split()[1])


def watch(channel: grpc.Channel, number: int) -> Any:
    """A stream of all events, confirmed; from another key each, so that no two share anything."""
    make = channel.stream_stream(WATCH.path, response_deserializer=WATCH.response.FromString)
    request = WATCH.request(create_request={"key": bytes(number), "range_end": b"\0"})
    call = make(iter([request.SerializeToString()]), timeout=CALL_TIMEOUT_S)
    assert next(call).created
    return call


def test_large_answers_that_are_not_read_are_held_up_to_a_bound() -> None:
    with stopping(start("--port", "0", "--members", "1")) as served:
        address = served.url.removeprefix("http://")
        options = [("grpc.max_receive_message_length", -1)]
        with grpc.insecure_channel(address, options) as writer:
            for number in range(KEYS):
                request = PUT.request(key=b"k%d" % number, value=bytes(MEBIBYTE))
                writer.unary_unary(PUT.path)(request.SerializeToString(), timeout=CALL_TIMEOUT_S)
            before = resident_bytes(served)
            everything = RANGE.request(key=b"k", range_end=b"l", serializable=True)
            body = message(everything.SerializeToString())
            with RawConnection(address) as unread:
                streams = [unread.begin(RANGE.path) for _ in range(UNREAD)]
                for stream in streams:
                    unread.send(stream, body, end=True)
                # Once one call is refused there is no room until a held answer is read.
                assert unread.first_outcome(streams).status.startswith("8: ")
                refused = unread.call(RANGE.path, body)
                assert refused.status == f"8: {TOO_MANY_REQUESTS.message}"
                # Others get what is small.
                small = PUT.request(key=b"small").SerializeToString()
                with RawConnection(address) as other:
                    assert other.call(PUT.path, message(small)).status == "0"
                grown = resident_bytes(served) - before
                assert grown < 6 * MAX_UNREAD_BYTES, f"{grown / MEBIBYTE:.0f} MiB"
            # When they have gone there is room again.
            read = writer.unary_unary(RANGE.path, response_deserializer=RANGE.response.FromString)
            for _ in range(ATTEMPTS):
                with contextlib.suppress(grpc.RpcError):
                    answer = read(everything.SerializeToString(), timeout=CALL_TIMEOUT_S)
                    break
                trio.run(trio.sleep, 0.1)
            assert len(answer.kvs) == KEYS


def test_streams_that_are_not_read_hold_bounded_memory_and_hold_up_no_other() -> None:
    with stopping(start("--port", "0", "--members", "1")) as served:
        address = served.url.removeprefix("http://")
        # A channel each: streams of one connection share its flow control.
        options = [("grpc.use_local_subchannel_pool", 1), ("grpc.max_receive_message_length", -1)]
        channels = [grpc.insecure_channel(address, options) for _ in range(STREAMS + 1)]
        writer, *others = channels
        unread = [watch(channel, number) for number, channel in enumerate(others, start=2)]
        before = resident_bytes(served)
        read = watch(writer, 1)
        put = writer.unary_unary(PUT.path, response_deserializer=PUT.response.FromString)
        seen = 0
        for number in range(PUTS):
            request = PUT.request(key=b"%d" % number, value=VALUE)
            answer = put(request.SerializeToString(), timeout=CALL_TIMEOUT_S)
            while seen <= number:
                events = next(read).events
                seen += len(events)
            assert answer.header.revision == events[-1].kv.mod_revision
        grown = resident_bytes(served) - before
        assert grown < BOUND_BYTES, f"{grown / MEBIBYTE:.0f} MiB"
        # A client that reads after all has missed nothing.
        revisions: list[int] = []
        while len(revisions) < PUTS:
            revisions += [event.kv.mod_revision for event in next(unread[0]).events]
        assert list(range(2, PUTS + 2)) == revisions
        for channel in channels:
            channel.close()
        assert ask(served, "GET", "/health")[0] == 200
