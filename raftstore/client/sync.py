"""Endpoints that follow the cluster's members, as etcd's clients do with AutoSyncInterval."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Protocol

from raftstore.client.call import Caller
from raftstore.clock import Timer
from raftstore.errors import RaftStoreError
from raftstore.units import SECOND
from raftstore.wire import MemberListRequest, MemberListResponse

LIST_TIMEOUT_NS: Final = 5 * SECOND


class EndpointUser(Caller, Protocol):
    """The client whose endpoints are kept."""

    @property
    def closed(self) -> bool:
        """Whether it has been closed."""

    def use_endpoints(self, endpoints: Sequence[str]) -> None:
        """Use these from now on."""


class EndpointSync:
    """Asks for the members every `interval_ns`, and hands their addresses to the client."""

    def __init__(self, client: EndpointUser, interval_ns: int) -> None:
        self._client = client
        self._interval_ns = interval_ns
        self._timer: Timer | None = None
        self._wait()

    def stop(self) -> None:
        """Ask no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _wait(self) -> None:
        self._timer = self._client.after(self._interval_ns, self._ask)

    def _ask(self) -> None:
        self._timer = None
        # A member that lags behind, or was removed long ago, must not be believed.
        fields = MemberListRequest(linearizable=True).to_wire()
        op = MemberListRequest.op
        self._client.call_wire(op, fields, self._answered, self._failed, LIST_TIMEOUT_NS)

    def _answered(self, fields: list[Any]) -> None:
        """Members that have not started, and learners, serve no client (etcd: `Client.Sync`)."""
        self._client.use_endpoints(
            [
                url
                for member in MemberListResponse.from_wire(fields).members
                if member.name and not member.is_learner
                for url in member.client_urls
            ]
        )
        self._wait()

    def _failed(self, _error: RaftStoreError) -> None:
        if not self._client.closed:
            self._wait()
