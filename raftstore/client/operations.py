"""The store's operations as awaitable methods, over `call_wire`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import trio

from raftstore.client.call import DEFAULT_TIMEOUT_NS, RequestSender
from raftstore.errors import RaftStoreError
from raftstore.future import Future
from raftstore.wire import (
    RESPONSES,
    CompactionRequest,
    CompactionResponse,
    Compare,
    DeleteRangeRequest,
    DeleteRangeResponse,
    HashKVRequest,
    HashKVResponse,
    KeyValue,
    LeaseGrantRequest,
    LeaseGrantResponse,
    LeaseKeepAliveRequest,
    LeaseKeepAliveResponse,
    LeaseLeasesRequest,
    LeaseLeasesResponse,
    LeaseRevokeRequest,
    LeaseRevokeResponse,
    LeaseTimeToLiveRequest,
    LeaseTimeToLiveResponse,
    MemberAddRequest,
    MemberAddResponse,
    MemberListRequest,
    MemberListResponse,
    MemberPromoteRequest,
    MemberRemoveRequest,
    MemberReplaceRequest,
    MembersResponse,
    MemberUpdateRequest,
    MoveLeaderRequest,
    MoveLeaderResponse,
    PutRequest,
    PutResponse,
    RangeRequest,
    RangeResponse,
    Response,
    StatusRequest,
    StatusResponse,
    TxnRequest,
    TxnResponse,
    Wire,
)

R = TypeVar("R", bound=Response)


def prefix_end(prefix: bytes) -> bytes:
    r"""The range_end of all keys that begin with `prefix` (b"\0", no end, if there is none)."""
    stem = prefix.rstrip(b"\xff")
    return stem[:-1] + bytes((stem[-1] + 1,)) if stem else b"\0"


class Operations(RequestSender):
    """Requests as methods. All of them raise the errors of `raftstore.errors`."""

    # Called by a task when it has asked for something, before it waits: it may be answered now.
    # Returns whether the task need not let others run if it is.
    about_to_wait: Callable[[], bool] | None = None

    def call(
        self,
        request: Wire,
        on_response: Callable[[Any], None],
        on_error: Callable[[RaftStoreError], None],
        timeout_ns: int = DEFAULT_TIMEOUT_NS,
    ) -> None:
        """Send a request; `on_response` takes its Response."""
        from_wire = RESPONSES[request.op].from_wire
        self.call_wire(
            request.op,
            request.to_wire(),
            lambda fields: on_response(from_wire(fields)),
            on_error,
            timeout_ns,
        )

    async def ask_wire(
        self, op: str, fields: list[Any], timeout_ns: int = DEFAULT_TIMEOUT_NS
    ) -> list[Any]:
        """Send positional fields and wait for those of the answer: the shortest way."""
        future: Future[list[Any]] = Future()
        self.call_wire(op, fields, future.set_result, future.set_error, timeout_ns)
        if self.about_to_wait is not None and self.about_to_wait() and future.is_settled:
            await trio.lowlevel.checkpoint_if_cancelled()
            return future.result()
        return await future.wait()

    async def request(self, request: Wire, *, timeout_ns: int = DEFAULT_TIMEOUT_NS) -> Any:
        """Send a request and wait for its Response."""
        fields = await self.ask_wire(request.op, request.to_wire(), timeout_ns)
        return RESPONSES[request.op].from_wire(fields)

    async def _typed(self, kind: type[R], request: Wire, timeout_ns: int) -> R:
        fields = await self.ask_wire(request.op, request.to_wire(), timeout_ns)
        return kind.from_wire(fields)

    async def put(
        self,
        key: bytes,
        value: bytes,
        *,
        lease: int = 0,
        prev_kv: bool = False,
        timeout_ns: int = DEFAULT_TIMEOUT_NS,
    ) -> PutResponse:
        """Write one key."""
        fields = [key, value, lease, prev_kv, False, False]
        answer = await self.ask_wire(PutRequest.op, fields, timeout_ns)
        return PutResponse.from_wire(answer)

    async def get(
        self,
        key: bytes,
        *,
        revision: int = 0,
        serializable: bool = False,
        timeout_ns: int = DEFAULT_TIMEOUT_NS,
    ) -> KeyValue | None:
        """One key, or None."""
        request = RangeRequest(key, revision=revision, serializable=serializable)
        response = await self.range(request, timeout_ns=timeout_ns)
        return response.kvs[0] if response.kvs else None

    async def range(
        self, request: RangeRequest, *, timeout_ns: int = DEFAULT_TIMEOUT_NS
    ) -> RangeResponse:
        """Keys of a range."""
        return await self._typed(RangeResponse, request, timeout_ns)

    async def get_prefix(
        self, prefix: bytes, *, limit: int = 0, revision: int = 0, keys_only: bool = False
    ) -> RangeResponse:
        """Keys that begin with `prefix`."""
        request = RangeRequest(
            prefix or b"\0", prefix_end(prefix), limit, revision, keys_only=keys_only
        )
        return await self.range(request)

    async def delete(
        self,
        key: bytes,
        range_end: bytes = b"",
        *,
        prev_kv: bool = False,
        timeout_ns: int = DEFAULT_TIMEOUT_NS,
    ) -> DeleteRangeResponse:
        """Delete one key, or a range."""
        request = DeleteRangeRequest(key, range_end, prev_kv)
        return await self._typed(DeleteRangeResponse, request, timeout_ns)

    async def txn(
        self,
        request: TxnRequest | list[Compare],
        success: list[Any] | None = None,
        failure: list[Any] | None = None,
        *,
        timeout_ns: int = DEFAULT_TIMEOUT_NS,
    ) -> TxnResponse:
        """A transaction: a TxnRequest, or its compares and branches."""
        if isinstance(request, list):
            request = TxnRequest(request, success or [], failure or [])
        return await self._typed(TxnResponse, request, timeout_ns)

    async def compact(
        self, revision: int, *, physical: bool = False, timeout_ns: int = DEFAULT_TIMEOUT_NS
    ) -> CompactionResponse:
        """Forget history before `revision`; `physical` waits until the member has freed it."""
        request = CompactionRequest(revision, physical)
        return await self._typed(CompactionResponse, request, timeout_ns)

    async def lease_grant(
        self, ttl_s: int, lease_id: int = 0, *, timeout_ns: int = DEFAULT_TIMEOUT_NS
    ) -> LeaseGrantResponse:
        """A lease of `ttl_s` seconds."""
        request = LeaseGrantRequest(ttl_s, lease_id)
        return await self._typed(LeaseGrantResponse, request, timeout_ns)

    async def lease_revoke(
        self, lease_id: int, *, timeout_ns: int = DEFAULT_TIMEOUT_NS
    ) -> LeaseRevokeResponse:
        """End a lease and its keys."""
        return await self._typed(LeaseRevokeResponse, LeaseRevokeRequest(lease_id), timeout_ns)

    async def lease_keep_alive(
        self, lease_id: int, *, timeout_ns: int = DEFAULT_TIMEOUT_NS
    ) -> LeaseKeepAliveResponse:
        """Renew a lease once."""
        request = LeaseKeepAliveRequest(lease_id)
        return await self._typed(LeaseKeepAliveResponse, request, timeout_ns)

    async def lease_time_to_live(
        self, lease_id: int, *, keys: bool = False, timeout_ns: int = DEFAULT_TIMEOUT_NS
    ) -> LeaseTimeToLiveResponse:
        """What is left of a lease."""
        request = LeaseTimeToLiveRequest(lease_id, keys)
        return await self._typed(LeaseTimeToLiveResponse, request, timeout_ns)

    async def leases(self, *, timeout_ns: int = DEFAULT_TIMEOUT_NS) -> list[int]:
        """Identifiers of all leases."""
        response = await self._typed(LeaseLeasesResponse, LeaseLeasesRequest(), timeout_ns)
        return response.leases

    async def member_list(self, *, timeout_ns: int = DEFAULT_TIMEOUT_NS) -> MemberListResponse:
        """The members of the cluster."""
        return await self._typed(MemberListResponse, MemberListRequest(), timeout_ns)

    async def member_add(
        self,
        peer_urls: list[str],
        *,
        is_learner: bool = False,
        timeout_ns: int = DEFAULT_TIMEOUT_NS,
    ) -> MemberAddResponse:
        """Let a member join; it is to be started after the answer."""
        request = MemberAddRequest(peer_urls, is_learner)
        return await self._typed(MemberAddResponse, request, timeout_ns)

    async def member_replace(
        self, member_id: int, peer_urls: list[str], *, timeout_ns: int = DEFAULT_TIMEOUT_NS
    ) -> MemberAddResponse:
        """Put a new member in the place of a voter, in one step; it is to be started after that.

        A real etcd has no such request.
        """
        request = MemberReplaceRequest(peer_urls, member_id)
        return await self._typed(MemberAddResponse, request, timeout_ns)

    async def member_remove(
        self, member_id: int, *, timeout_ns: int = DEFAULT_TIMEOUT_NS
    ) -> MembersResponse:
        """Continue without a member, forever."""
        return await self._typed(MembersResponse, MemberRemoveRequest(member_id), timeout_ns)

    async def member_update(
        self, member_id: int, peer_urls: list[str], *, timeout_ns: int = DEFAULT_TIMEOUT_NS
    ) -> MembersResponse:
        """A member has moved."""
        request = MemberUpdateRequest(member_id, peer_urls)
        return await self._typed(MembersResponse, request, timeout_ns)

    async def member_promote(
        self, member_id: int, *, timeout_ns: int = DEFAULT_TIMEOUT_NS
    ) -> MembersResponse:
        """Let a learner that has caught up vote."""
        return await self._typed(MembersResponse, MemberPromoteRequest(member_id), timeout_ns)

    async def status(self, *, timeout_ns: int = DEFAULT_TIMEOUT_NS) -> StatusResponse:
        """How the member that this client uses fares."""
        return await self._typed(StatusResponse, StatusRequest(), timeout_ns)

    async def hash_kv(
        self, revision: int = 0, *, timeout_ns: int = DEFAULT_TIMEOUT_NS
    ) -> HashKVResponse:
        """Hash of the key space of the member that this client uses."""
        return await self._typed(HashKVResponse, HashKVRequest(revision), timeout_ns)

    async def move_leader(
        self, target_id: int, *, timeout_ns: int = DEFAULT_TIMEOUT_NS
    ) -> MoveLeaderResponse:
        """Hand the leadership to another member."""
        return await self._typed(MoveLeaderResponse, MoveLeaderRequest(target_id), timeout_ns)
