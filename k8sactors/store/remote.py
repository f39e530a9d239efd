"""A store that is no part of the cluster: actors that stand for its endpoints.

Where the members of the built-in store would stand (`etcd-1/etcd` ...), each endpoint of a real
etcd has a `RemoteStore`, which hands the requests and watches of API servers on over gRPC. It
needs real time, and the packages of the `serve` extra.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from functools import partial
from typing import Final

import trio

from k8sactors.actors import Actor, Connection, Message
from k8sactors.simulation import SECOND
from k8sactors.store.errors import StoreUnreachableError
from raftstore.future import Future
from raftstore.gateway.client import Dialer, Target, open_client
from raftstore.gateway.client.connection import Answer, WireConnection
from raftstore.wire import EVENTS, REQUEST, RESPONSE, WATCH, WATCH_CANCEL, RangeRequest

REGISTRY: Final = b"/registry/"
REGISTRY_END: Final = b"/registry0"
CHECK_TIMEOUT_S: Final = 5.0
POLL_NS: Final = SECOND // 2


class RemoteStore(Actor):
    """Carries one endpoint, ``host:port``: a connection of its own for each connection here.

    It also asks the endpoint who leads, as an operator would.
    """

    started = False

    def __init__(
        self,
        endpoint: str,
        tls: ssl.SSLContext | None = None,
        on_revision: Callable[[int], None] | None = None,
    ) -> None:
        self._endpoint = endpoint
        self._tls = tls
        self._on_revision = on_revision
        self._upstream: dict[int, WireConnection] = {}
        self._probe: WireConnection | None = None
        self._leading_term: int | None = None

    def on_start(self) -> None:
        """Begin to ask who leads."""
        self._dialer = Dialer(self.ctx.spawn_task, tls=self._tls)
        self.started = True
        self._ask()

    @property
    def leading_term(self) -> int | None:
        """The term in which this endpoint's member leads; None: it does not, or is not reached."""
        return self._leading_term

    def on_message(self, message: Message) -> None:
        """Hand a request on; its answers go back where it came from."""
        connection = message.connection
        if connection is None:
            return  # a stray datagram has no sender to answer
        upstream = self._upstream.get(connection.id)
        if upstream is None:
            lost = partial(self._lost, connection)
            upstream = self._upstream[connection.id] = self._dialer(self._endpoint, lost)
        if message.kind in {REQUEST, WATCH}:
            upstream.subscribe(message.kind, message.payload, partial(_hand_back, message))
        elif message.kind == WATCH_CANCEL:
            upstream.send(WATCH_CANCEL, message.payload)

    def on_disconnect(self, connection: Connection, reason: str) -> None:
        """Whatever the client had at the endpoint ends."""
        upstream = self._upstream.pop(connection.id, None)
        if upstream is not None:
            upstream.close(reason)

    def on_stop(self) -> None:
        """Let go of the endpoint."""
        for upstream in self._upstream.values():
            upstream.close("stopped")
        if self._probe is not None:
            self._probe.close("stopped")

    def _lost(self, connection: Connection, reason: str) -> None:
        self._upstream.pop(connection.id, None)
        self.ctx.log.info("store endpoint lost", endpoint=self._endpoint, reason=reason)
        connection.close(reason)

    # Who leads

    def _ask(self) -> None:
        self.ctx.after(POLL_NS, self._ask)
        if self._probe is None:
            self._probe = self._dialer(self._endpoint, self._probe_lost)
        self._probe.subscribe(REQUEST, ["status", []], self._told)

    def _told(self, answer: Answer) -> None:
        self._leading_term = None
        if answer.payload[0] != 0:
            return
        about, _, _, leader, _, term, *_ = answer.payload[1]
        if leader == about[1]:
            self._leading_term = term
        if self._on_revision is not None:
            self._on_revision(about[2])

    def _probe_lost(self, _reason: str) -> None:
        self._probe = None
        self._leading_term = None


def _hand_back(message: Message, answer: Answer) -> None:
    refused = isinstance(answer.payload[0], str)
    is_item = message.kind == WATCH and not refused
    message.reply(EVENTS if is_item else RESPONSE, answer.payload)


async def check_store(
    target: Target, tls: ssl.SSLContext | None = None, *, empty: bool = True
) -> list[str]:
    """Look at a store before a cluster begins in it; returns why endpoints do not answer.

    Raises:
        StoreUnreachableError: none answers, or the store should be `empty` and holds a cluster.
    """
    reasons: list[str] = []
    async with trio.open_nursery() as nursery:
        for endpoint in target.endpoints:
            nursery.start_soon(_check_endpoint, endpoint, tls, reasons)
    if len(reasons) == len(target.endpoints):
        remedy = "start one there (`raftstore serve` does)"
        if not target.secure:
            remedy += ", or write etcds:// if it wants TLS"
        raise StoreUnreachableError(f"no etcd answers: {'; '.join(sorted(reasons))}: {remedy}")
    async with open_client(target, tls=tls) as client:
        wanted = RangeRequest(REGISTRY, REGISTRY_END, count_only=True)
        kept = (await client.range(wanted)).count
    if kept and empty:
        raise StoreUnreachableError(
            f"the store holds {kept} objects of another cluster under /registry; a run begins with "
            "an empty one: etcdctl del --prefix /registry/"
        )
    return reasons


async def _check_endpoint(endpoint: str, tls: ssl.SSLContext | None, reasons: list[str]) -> None:
    told: Future[str] = Future()
    async with trio.open_nursery() as nursery:
        connection = Dialer(nursery.start_soon, tls=tls)(endpoint, told.set_result)
        connection.subscribe(REQUEST, ["status", []], lambda _answer: told.set_result(""))
        reason = f"{endpoint}: says nothing within {CHECK_TIMEOUT_S:g} s"
        with trio.move_on_after(CHECK_TIMEOUT_S):
            reason = await told.wait()
        nursery.cancel_scope.cancel()
    if reason:
        reasons.append(reason)
