"""A member's way to members in other processes: links to them, and connections from them.

Every member has at most one incoming connection. A new one takes the place of the old: the other
end would not have dialled again if the old one were of any use, and nothing tells that the machine
at its end is gone. A peer that says nothing sensible in time is let go, and first if many come at
once.
"""

from __future__ import annotations

import logging
import ssl
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

import trio

from raftstore.errors import MEMBER_REMOVED, RESOURCE_EXHAUSTED, StoreError
from raftstore.server.initial_cluster import Address
from raftstore.server.peers.link import PeerLink, give_up_early
from raftstore.server.peers.protocol import (
    MAX_HELLO_BYTES,
    PURPOSE_MEMBERS,
    FrameReader,
    PeerProtocolError,
    check_hello,
    check_messages,
    check_purpose,
    hello,
    pack_frame,
    unpack,
)

HELLO_TIMEOUT_S: Final = 5.0
# Connections that have not said yet whose they are; beyond, the oldest goes.
MAX_STRANGERS: Final = 64
MAX_SENDERS: Final = 64
# How long the same complaint about the same host is not repeated.
QUIET_S: Final = 60.0
MAX_COMPLAINTS: Final = 1_000

_log: Final = logging.getLogger(__name__)


class Host(Protocol):
    """The member that speaks with others."""

    def take(self, sender: int, messages: list[Any], /) -> None:
        """Messages of another member."""

    def members(self) -> list[Any]:
        """Who belongs to the cluster, in the fields of a member list."""

    def is_former(self, member_id: int, /) -> bool:
        """Whether the cluster continues without that member."""

    def met(self, member_id: int, url: str, /) -> None:
        """Another member has introduced itself, and said where it is reached."""

    def told_removed(self) -> None:
        """Another member says that the cluster continues without this one."""


class PeerNetwork:
    """Links and connections of one member.

    `tls` is what the accepting and the dialling end need; both None: plain TCP.
    """

    def __init__(
        self,
        cluster_id: int,
        own_id: int,
        own_url: str,
        tls: tuple[ssl.SSLContext | None, ssl.SSLContext | None],
        host: Host,
    ) -> None:
        self._cluster_id = cluster_id
        self._own_id = own_id
        self._own_url = own_url
        self._accepting_tls, self._dialling_tls = tls
        self._host = host
        self._links: dict[int, PeerLink] = {}
        self._nursery: trio.Nursery | None = None
        self._strangers: dict[trio.CancelScope, None] = {}
        self._senders: dict[int, trio.CancelScope] = {}
        self._complaints: dict[tuple[str, str], float] = {}
        self._received_bytes: dict[int, int] = {}

    def send(self, member: int, frame: bytes, *, behind: bool = False) -> None:
        """Carry a frame to another member; one that cannot be delivered is lost.

        With `behind`, frames that are sent later may arrive earlier.
        """
        link = self._links.get(member)
        if link is not None:
            link.send(frame, behind=behind)

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
            greeting = hello(self._cluster_id, self._own_id, member, self._own_url)
            link = PeerLink(address, greeting, self._dialling_tls, self._refused)
            self._links[member] = link
            self._nursery.start_soon(link.run)

    def disconnect(self, member: int) -> None:
        """End the connection from a member."""
        scope = self._senders.get(member)
        if scope is not None:
            scope.cancel()

    def after(self, delay_s: float, callback: Callable[[], None]) -> None:
        """Call back, unless the network has ended by then."""

        async def wait() -> None:
            await trio.sleep(delay_s)
            callback()

        assert self._nursery is not None, "the network does not run"
        self._nursery.start_soon(wait)

    def statistics(self) -> dict[str, Any]:
        """Traffic with the other members, by id."""
        links = self._links
        return {
            "peers_active": {member: link.connected for member, link in links.items()},
            "peer_sent_bytes": {member: link.sent_bytes for member, link in links.items()},
            "peer_dropped_frames": {member: link.dropped_frames for member, link in links.items()},
            "peer_received_bytes": dict(self._received_bytes),
            "peer_strangers": len(self._strangers),
            "peer_senders": len(self._senders),
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
            await trio.serve_listeners(self._accept, [listener], handler_nursery=nursery)

    def _refused(self, refusal: StoreError) -> None:
        """A link was refused by the other end."""
        if refusal.status == MEMBER_REMOVED:
            self._host.told_removed()

    # -- incoming connections -----------------------------------------------------------------

    async def _accept(self, tcp: trio.SocketStream) -> None:
        stream: trio.abc.Stream = tcp
        try:
            give_up_early(tcp)
            if self._accepting_tls is not None:
                stream = trio.SSLStream(tcp, self._accepting_tls, server_side=True)
            reader = FrameReader(stream)
            sender = await self._meet(stream, reader)
            if sender is not None:
                await self._listen_to(reader, sender)
        except StoreError as refusal:
            self._complain(tcp, refusal.message)
        except (OSError, trio.BrokenResourceError, trio.TooSlowError, PeerProtocolError) as error:
            self._complain(tcp, str(error) or str(error.__cause__ or type(error).__name__))
        finally:
            await trio.aclose_forcefully(tcp)

    async def _meet(self, stream: trio.abc.Stream, reader: FrameReader) -> int | None:
        """Learn who it is; None: not a peer that will send messages."""
        with trio.fail_after(HELLO_TIMEOUT_S) as scope:
            if len(self._strangers) >= MAX_STRANGERS:
                next(iter(self._strangers)).deadline = trio.current_time()
            self._strangers[scope] = None
            try:
                if isinstance(stream, trio.SSLStream):
                    await stream.do_handshake()
                greeting = await reader.read(MAX_HELLO_BYTES)
                if greeting is None:
                    return None
                try:
                    return await self._greet(stream, unpack(greeting))
                except StoreError as refusal:
                    await stream.send_all(pack_frame(refusal.to_wire()))
                    raise
            finally:
                del self._strangers[scope]

    async def _greet(self, stream: trio.abc.Stream, greeting: list[Any]) -> int | None:
        if check_purpose(greeting) == PURPOSE_MEMBERS:
            await stream.send_all(pack_frame([0, self._cluster_id, self._host.members()]))
            return None
        sender, url = check_hello(greeting, self._cluster_id, self._own_id)
        if self._host.is_former(sender):
            raise StoreError(*MEMBER_REMOVED)
        if len(self._senders) >= MAX_SENDERS and sender not in self._senders:
            raise StoreError(RESOURCE_EXHAUSTED, "too many connections of members")
        await stream.send_all(pack_frame([0]))
        self._host.met(sender, url)
        return sender

    async def _listen_to(self, reader: FrameReader, sender: int) -> None:
        with trio.CancelScope() as scope:
            former = self._senders.get(sender)
            if former is not None:
                former.cancel()
            self._senders[sender] = scope
            try:
                await self._take_frames(reader, sender)
            finally:
                if self._senders[sender] is scope:
                    del self._senders[sender]

    async def _take_frames(self, reader: FrameReader, sender: int) -> None:
        while True:
            payload = await reader.read()
            if payload is None:
                return
            messages = check_messages(payload, sender)
            self._received_bytes[sender] = self._received_bytes.get(sender, 0) + len(payload)
            self._host.take(sender, messages)

    def _complain(self, tcp: trio.SocketStream, text: str) -> None:
        """Say it, but the same about the same host only now and then."""
        try:
            host = str(tcp.socket.getpeername()[0])
        except OSError:
            host = "a host that is gone"
        now, key = trio.current_time(), (host, text)
        if self._complaints.get(key, now) > now:
            return
        if len(self._complaints) >= MAX_COMPLAINTS:
            self._complaints.clear()
        self._complaints[key] = now + QUIET_S
        _log.warning("a connection from %s to the peer port ended: %s", host, text)
