"""The sending end between two members: one TCP connection, made again when it breaks.

Raft stands loss, so what cannot be sent now is dropped and not kept: an old message is worth less
than the next one, and a member that is away must not fill the memory of the others. Raft's own
messages keep their order; parts of snapshots, and whatever else is large and in no hurry, leave one
by one in between.
"""

from __future__ import annotations

import logging
import socket
import ssl
from collections import deque
from collections.abc import Callable
from typing import Any, Final

import trio

from raftstore.errors import StoreError
from raftstore.gate import Gate
from raftstore.server.initial_cluster import Address
from raftstore.server.peers.protocol import (
    HEAD_BYTES,
    MAX_FRAME_BYTES,
    MAX_HELLO_BYTES,
    FrameReader,
    PeerProtocolError,
    frame,
    pack_frame,
    unpack,
)

CONNECT_TIMEOUT_S: Final = 5.0
SEND_TIMEOUT_S: Final = 5.0
FIRST_WAIT_S: Final = 0.05
LONGEST_WAIT_S: Final = 1.0
MAX_QUEUED_BYTES: Final = 64 << 20
# How long a connection lives whose other end acknowledges nothing.
SILENCE_S: Final = 10

_log: Final = logging.getLogger(__name__)


def give_up_early(tcp: trio.SocketStream) -> None:
    """Break the connection soon after its other end is gone without a word.

    The kernel's own patience, a quarter of an hour and more, would keep a link to a machine that
    lost its power until long after that is back.
    """
    tcp.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (
        ("TCP_USER_TIMEOUT", SILENCE_S * 1000),
        ("TCP_KEEPIDLE", SILENCE_S),
        ("TCP_KEEPINTVL", 1),
        ("TCP_KEEPCNT", SILENCE_S),
    ):
        option = getattr(socket, name, None)
        if option is not None:
            tcp.setsockopt(socket.IPPROTO_TCP, option, value)


async def dial(address: Address, tls: ssl.SSLContext | None) -> trio.abc.Stream:
    """Connect to a member.

    Raises:
        OSError: no member listens there.
        trio.BrokenResourceError: no TLS connection comes about.
    """
    host, port = address
    tcp = await trio.open_tcp_stream(host, port)
    give_up_early(tcp)
    if tls is None:
        return tcp
    stream = trio.SSLStream(tcp, tls, server_hostname=host)
    try:
        await stream.do_handshake()
    except BaseException:
        await trio.aclose_forcefully(tcp)
        raise
    return stream


class PeerLink:
    """Carries messages to one member. `greeting` opens every connection.

    `on_refused` is told with which words the other end does not want it.
    """

    def __init__(
        self,
        address: Address,
        greeting: list[Any],
        tls: ssl.SSLContext | None,
        on_refused: Callable[[StoreError], None],
    ) -> None:
        self.address = address
        self.connected = False
        self.dropped_frames = 0
        self.sent_bytes = 0
        self.scope = trio.CancelScope()
        self._greeting = greeting
        self._tls = tls
        self._on_refused = on_refused
        self._queue: list[bytes] = []
        self._behind: deque[bytes] = deque()
        self._queued_bytes = 0
        self._gate = Gate()
        self._complaint = ""

    def send(self, payload: bytes, *, behind: bool = False) -> None:
        """Send a packed payload, or drop it if there is no way at present.

        With `behind`, everything else goes first.
        """
        size = len(payload)
        if (
            not self.connected
            or self._queued_bytes + size > MAX_QUEUED_BYTES
            or size > MAX_FRAME_BYTES
        ):
            self.dropped_frames += 1
            return
        self._queued_bytes += size
        (self._behind if behind else self._queue).append(frame(payload))
        self._gate.open()

    async def run(self) -> None:
        """Connect, send, and connect again, until cancelled."""
        wait_s = FIRST_WAIT_S
        with self.scope:
            while True:
                try:
                    if await self._connect_and_send():
                        wait_s = FIRST_WAIT_S
                except (OSError, trio.BrokenResourceError, trio.ClosedResourceError) as error:
                    self._complain(reason_of(error))
                except trio.TooSlowError:
                    self._complain("it does not answer in time")
                except PeerProtocolError as error:
                    self._complain(str(error))
                except StoreError as refusal:
                    self._complain(refusal.message)
                    self._on_refused(refusal)
                finally:
                    self._disconnected()
                await trio.sleep(wait_s)
                wait_s = min(2 * wait_s, LONGEST_WAIT_S)

    def _complain(self, text: str) -> None:
        """Say each reason once: a member that is down is dialled every second."""
        if text != self._complaint:
            self._complaint = text
            host, port = self.address
            _log.warning("no connection to the member at %s:%s: %s", host, port, text)

    def _disconnected(self) -> None:
        self.connected = False
        self._queue.clear()
        self._behind.clear()
        self._queued_bytes = 0
        self._gate.close()

    async def _connect_and_send(self) -> bool:
        """Returns when the other end closes; whether there was a connection at all."""
        with trio.fail_after(CONNECT_TIMEOUT_S):
            stream = await dial(self.address, self._tls)
        async with stream:
            reader = FrameReader(stream)
            with trio.fail_after(CONNECT_TIMEOUT_S):
                await stream.send_all(pack_frame(self._greeting))
                check_answer(await reader.read(MAX_HELLO_BYTES))
            self.connected = True
            self._complaint = ""
            await self._send_until_closed(reader, stream)
        return True

    async def _send_until_closed(self, reader: FrameReader, stream: trio.abc.Stream) -> None:
        failure: Exception | None = None
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._until_closed, reader, nursery.cancel_scope)
            try:
                await self._send_queued(stream)
            except (OSError, trio.BrokenResourceError, trio.TooSlowError) as error:
                # Out of the nursery it would be one of a group, which no caller expects.
                failure = error
                nursery.cancel_scope.cancel()
        if failure is not None:
            raise failure

    async def _until_closed(self, reader: FrameReader, scope: trio.CancelScope) -> None:
        """Nothing is said back: whatever comes is the end."""
        try:
            await reader.read(MAX_HELLO_BYTES)
        except (OSError, trio.BrokenResourceError, PeerProtocolError):
            _log.debug("the connection to %s was broken", self.address, exc_info=True)
        scope.cancel()

    async def _send_queued(self, stream: trio.abc.Stream) -> None:
        while True:
            await self._gate.wait()
            while self._queue or self._behind:
                frames, self._queue = self._queue, []
                if not frames:
                    frames.append(self._behind.popleft())
                data = b"".join(frames)
                self._queued_bytes -= len(data) - len(frames) * HEAD_BYTES
                with trio.fail_after(SEND_TIMEOUT_S):
                    await stream.send_all(data)
                self.sent_bytes += len(data)


def reason_of(error: BaseException) -> str:
    """What a failed dial comes down to: trio tells of all attempts, of which there is one."""
    while error.__cause__ is not None:
        error = error.__cause__
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return str(error) or type(error).__name__


def check_answer(payload: bytes | None) -> list[Any]:
    """The rest of a positive answer to a greeting.

    Raises:
        StoreError: the greeting was refused.
        PeerProtocolError: there was no answer, or one in another protocol.
    """
    if payload is None:
        raise PeerProtocolError("the connection was closed without an answer")
    code, *rest = unpack(payload) or [None]
    if code == 0:
        return rest
    if isinstance(code, str) and rest and isinstance(rest[0], str):
        raise StoreError(code, rest[0])
    raise PeerProtocolError("the answer is none of a raftstore member")
