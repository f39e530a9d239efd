"""The network of a member in a process of its own: clients here, other members over TCP."""

from __future__ import annotations

import logging
import ssl
from collections.abc import Callable, Mapping
from typing import Any, Final

import trio

from raftstore.errors import RESOURCE_EXHAUSTED, StoreError
from raftstore.server.local_network import Network

from .link import Address, PeerLink
from .protocol import (
    MAX_HELLO_BYTES,
    PURPOSE_MEMBERS,
    FrameReader,
    PeerProtocolError,
    check_hello,
    check_purpose,
    hello,
    pack_frame,
    unpack,
)

HELLO_TIMEOUT_S: Final = 5.0
MAX_CONNECTIONS: Final = 64

_log: Final = logging.getLogger(__name__)


class PeerNetwork(Network):
    """Carries frames to the own clients as usual, and to the other members over links.

    `tls` is what the accepting and the dialling end need; both None: plain TCP. `receive` takes
    the messages that a member has sent. `members` tells who belongs to the cluster, in the fields
    of a member list, to processes that want to join.
    """

    def __init__(
        self,
        cluster_id: int,
        own_id: int,
        tls: tuple[ssl.SSLContext | None, ssl.SSLContext | None],
        receive: Callable[[int, list[Any]], None],
        members: Callable[[], list[Any]],
    ) -> None:
        super().__init__()
        self._cluster_id = cluster_id
        self._own_id = own_id
        self._accepting_tls, self._dialling_tls = tls
        self._receive = receive
        self._members = members
        self._links: dict[int, PeerLink] = {}
        self._nursery: trio.Nursery | None = None
        self._connections_open = 0
        self.received_bytes = 0

    def to_member(self, sender: int, member: int, frame: bytes) -> None:
        """Carry a frame to another member; one that cannot be delivered is lost."""
        del sender
        link = self._links.get(member)
        if link is not None:
            link.send(frame)

    def connect_to(self, addresses: Mapping[int, Address]) -> None:
        """Keep links to these members, by id, and to no others."""
        assert self._nursery is not None, "the network does not run"
        for member, link in list(self._links.items()):
            if addresses.get(member) != link.address:
                link.scope.cancel()
                del self._links[member]
        for member, address in addresses.items():
            if member == self._own_id or member in self._links:
                continue
            greeting = hello(self._cluster_id, self._own_id, member)
            link = self._links[member] = PeerLink(address, greeting, self._dialling_tls)
            self._nursery.start_soon(link.run)

    def statistics(self) -> dict[str, Any]:
        """Traffic with the other members."""
        links = self._links
        return {
            "peers_connected": sum(link.connected for link in links.values()),
            "peer_sent_bytes": {member: link.sent_bytes for member, link in links.items()},
            "peer_dropped_frames": {member: link.dropped_frames for member, link in links.items()},
            "peer_received_bytes": self.received_bytes,
        }

    async def run(
        self,
        listener: trio.SocketListener,
        *,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Carry frames and accept members until cancelled."""
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            task_status.started()
            nursery.start_soon(self.break_refused)
            await trio.serve_listeners(self._accept, [listener], handler_nursery=nursery)

    async def _accept(self, tcp: trio.SocketStream) -> None:
        self._connections_open += 1
        try:
            await self._listen_to(tcp)
        except (OSError, trio.BrokenResourceError, trio.TooSlowError, PeerProtocolError) as error:
            _log.info("a connection at the peer port ended: %s", str(error) or type(error).__name__)
        finally:
            self._connections_open -= 1
            await trio.aclose_forcefully(tcp)

    async def _listen_to(self, tcp: trio.SocketStream) -> None:
        stream: trio.abc.Stream = tcp
        with trio.fail_after(HELLO_TIMEOUT_S):
            if self._accepting_tls is not None:
                stream = trio.SSLStream(tcp, self._accepting_tls, server_side=True)
                await stream.do_handshake()
            reader = FrameReader(stream)
            greeting = await reader.read(MAX_HELLO_BYTES)
            if greeting is None:
                return
            try:
                sender = await self._greet(stream, unpack(greeting))
            except StoreError as refusal:
                await stream.send_all(pack_frame(refusal.to_wire()))
                raise PeerProtocolError(str(refusal)) from refusal
        if sender is not None:
            await self._take_frames(reader, sender)

    async def _greet(self, stream: trio.abc.Stream, greeting: list[Any]) -> int | None:
        """The member that will send messages; None if only a question had to be answered."""
        if self._connections_open > MAX_CONNECTIONS:
            raise StoreError(RESOURCE_EXHAUSTED, "too many connections of members")
        if check_purpose(greeting) == PURPOSE_MEMBERS:
            await stream.send_all(pack_frame([0, self._cluster_id, self._members()]))
            return None
        sender = check_hello(greeting, self._cluster_id, self._own_id)
        await stream.send_all(pack_frame([0]))
        return sender

    async def _take_frames(self, reader: FrameReader, sender: int) -> None:
        while True:
            payload = await reader.read()
            if payload is None:
                return
            self.received_bytes += len(payload)
            self._receive(sender, _messages(payload, sender))


def _messages(payload: bytes, sender: int) -> list[Any]:
    match unpack(payload):
        case [True, its_id, list(messages)] if its_id == sender:
            return messages
    raise PeerProtocolError(f"member {sender:x} sends what is no messages of its own")
