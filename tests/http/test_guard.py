"""A stream gives up on a peer that takes nothing."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from raftstore.http.guard import GuardedStream
from raftstore.http.limits import Limits, Traffic


async def _guarded() -> tuple[GuardedStream, trio.SocketStream]:
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with listener:
        peer = await trio.open_tcp_stream("127.0.0.1", listener.socket.getsockname()[1])
        return GuardedStream(
            await listener.accept(), Traffic(), stall_timeout_s=Limits().stall_timeout_s
        ), peer


def test_a_peer_that_does_not_read_is_given_up_even_in_a_shielded_write() -> None:
    async def run() -> None:
        guarded, peer = await _guarded()
        async with peer:
            with (
                trio.CancelScope(shield=True),
                pytest.raises(trio.BrokenResourceError, match="does not read"),
            ):
                await guarded.send_all(bytes(64 << 20))

    trio.run(run, clock=MockClock(autojump_threshold=0.01))
