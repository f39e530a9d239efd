"""The Election service (v3electionpb): the oldest key of an election is its leader's."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final

from raftstore.client.operations import prefix_end
from raftstore.errors import StoreError
from raftstore.gateway.codes import UNKNOWN
from raftstore.gateway.endpoint import Endpoint
from raftstore.gateway.messages import message
from raftstore.gateway.method import handled
from raftstore.gateway.ownership import (
    KEY,
    REVISION,
    Changes,
    Claim,
    claim,
    if_created,
    oldest,
    plain_errors,
    wait_first,
    withdraw,
)
from raftstore.gateway.translation import header, key_value
from raftstore.wire import DELETE, OP_DELETE_RANGE, OP_PUT, PUT

PACKAGE: Final = "v3electionpb"
SERVICE: Final = "Election"
NOT_LEADER: Final = "election: not leader"
NO_LEADER: Final = "election: no leader"
MISSING_LEADER: Final = '"leader" field must be provided'
CampaignResponse: Final = message("CampaignResponse", PACKAGE)
LeaderKey: Final = message("LeaderKey", PACKAGE)
LeaderResponse: Final = message("LeaderResponse", PACKAGE)
ProclaimResponse: Final = message("ProclaimResponse", PACKAGE)
ResignResponse: Final = message("ResignResponse", PACKAGE)


@plain_errors
async def campaign(endpoint: Endpoint, request: Any) -> Any:
    """Wait until one leads; the answer's key proves it."""
    made = await claim(endpoint, request.name, request.lease, request.value)
    if made.value != request.value:
        await _update(endpoint, made, request.value)
    await wait_first(endpoint, made)
    key = LeaderKey(name=request.name, key=made.key, rev=made.create_revision, lease=made.lease)
    return CampaignResponse(header=header(made.header), leader=key)


async def _update(endpoint: Endpoint, made: Claim, value: bytes) -> None:
    """The lease had a key already: it takes the new value."""
    try:
        await _put(endpoint, made.key, made.create_revision, made.lease, value)
    except BaseException:
        await withdraw(endpoint, made)
        raise


async def _put(
    endpoint: Endpoint, key: bytes, revision: int, lease: int, value: bytes
) -> list[int]:
    put = [OP_PUT, [key, value, lease, False, False, False]]
    head: list[int]
    head, succeeded, _ = await endpoint.caller.ask("txn", if_created(key, revision, [put], []))
    if not succeeded:
        raise StoreError(UNKNOWN, NOT_LEADER)
    return head


@plain_errors
async def proclaim(endpoint: Endpoint, request: Any) -> Any:
    """Change the leader's value, if it still leads."""
    leader = _leader(request)
    head = await _put(endpoint, leader.key, leader.rev, leader.lease, request.value)
    return ProclaimResponse(header=header(head))


@plain_errors
async def leader(endpoint: Endpoint, request: Any) -> Any:
    """The leader of an election now."""
    head, kvs, *_ = await endpoint.caller.ask("range", oldest(request.name))
    if not kvs:
        raise StoreError(UNKNOWN, NO_LEADER)
    return LeaderResponse(header=header(head), kv=key_value(kvs[0]))


@plain_errors
async def resign(endpoint: Endpoint, request: Any) -> Any:
    """Lead no longer; it is no mistake if another one leads already."""
    held = _leader(request)
    delete = [OP_DELETE_RANGE, [held.key, b"", False]]
    head, *_ = await endpoint.caller.ask("txn", if_created(held.key, held.rev, [delete], []))
    return ResignResponse(header=header(head))


def _leader(request: Any) -> Any:
    if not request.HasField("leader"):
        raise StoreError(UNKNOWN, MISSING_LEADER)
    return request.leader


async def observe(
    endpoint: Endpoint,
    receive: Callable[[], Awaitable[Any]],
    send: Callable[[Any], Awaitable[None]],
) -> None:
    """Tell the leaders and their values, in order, until the caller has heard enough."""
    request = await receive()
    if request is None:
        return
    try:
        with endpoint.waiters:
            while True:
                await _follow(endpoint, request.name, send)
    except StoreError as refusal:
        raise StoreError(UNKNOWN, refusal.message) from refusal


async def _follow(endpoint: Endpoint, name: bytes, send: Callable[[Any], Awaitable[None]]) -> None:
    """One leader: from its first word to its end."""
    head, kvs, *_ = await endpoint.caller.ask("range", oldest(name))
    if kvs:
        response = LeaderResponse(header=header(head), kv=key_value(kvs[0]))
        key, revision = kvs[0][KEY], head[REVISION]
    else:
        found = await _first(endpoint, name, head[REVISION] + 1)
        if found is None:
            return
        response, key, revision = found, found.kv.key, found.kv.mod_revision
    await send(response)
    with Changes(endpoint.backend, key, b"", revision + 1) as changes:
        while (events := await changes.next()) is not None:
            for event in events:
                if event.type == DELETE:
                    return
                await send(LeaderResponse(header=changes.header, kv=event.kv))


async def _first(endpoint: Endpoint, name: bytes, start_revision: int) -> Any:
    """Wait until there is a leader; None: look again, history is gone."""
    prefix = name + b"/"
    with Changes(endpoint.backend, prefix, prefix_end(prefix), start_revision) as changes:
        while (events := await changes.next()) is not None:
            for event in events:
                if event.type == PUT:
                    return LeaderResponse(header=changes.header, kv=event.kv)
    return None


ELECTION: Final = (
    handled(
        PACKAGE,
        SERVICE,
        "Campaign",
        ("CampaignRequest", "CampaignResponse"),
        campaign,
        "/v3/election/campaign",
    ),
    handled(
        PACKAGE,
        SERVICE,
        "Proclaim",
        ("ProclaimRequest", "ProclaimResponse"),
        proclaim,
        "/v3/election/proclaim",
    ),
    handled(
        PACKAGE,
        SERVICE,
        "Leader",
        ("LeaderRequest", "LeaderResponse"),
        leader,
        "/v3/election/leader",
    ),
    handled(
        PACKAGE,
        SERVICE,
        "Resign",
        ("ResignRequest", "ResignResponse"),
        resign,
        "/v3/election/resign",
    ),
)
OBSERVE: Final = handled(
    PACKAGE, SERVICE, "Observe", ("LeaderRequest", "LeaderResponse"), None, "/v3/election/observe"
)
