"""What is asked over HTTP without a client: health, version, metrics."""

from __future__ import annotations

import json
from typing import Final
from urllib.parse import parse_qs

import trio

from raftstore.auth.refusals import PERMISSION_DENIED, USER_EMPTY
from raftstore.errors import NO_LEADER, RaftStoreError, StoreError
from raftstore.gateway.endpoint import Endpoint
from raftstore.gateway.exchange import Exchange
from raftstore.gateway.metrics import metrics
from raftstore.server.answers import VERSION
from raftstore.wire import RangeRequest

HEALTH_TIMEOUT_S: Final = 5.0
JSON: Final = b"application/json"


async def health(endpoint: Endpoint, exchange: Exchange) -> None:
    """Whether there is no alarm, the member has a leader and a quorum confirms a read.

    As in etcd, ``?exclude=NOSPACE`` overlooks an alarm, and ``?serializable=true`` asks for a read
    of the member's own state.
    """
    query = parse_qs(exchange.query)
    reason = _alarm(endpoint, query.get("exclude", []))
    if not reason:
        serializable = query.get("serializable") == ["true"]
        reason = await _unanswered(endpoint, serializable=serializable)
    if reason:
        endpoint.counters.health_failures += 1
    else:
        endpoint.counters.health_successes += 1
    answer = {"health": "false" if reason else "true", "reason": reason}
    await exchange.respond(
        503 if reason else 200, JSON, json.dumps(answer, separators=(",", ":")).encode()
    )


def _alarm(endpoint: Endpoint, excluded: list[str]) -> str:
    """Why an alarm makes the member unhealthy; "": there is none."""
    raised = endpoint.backend.statistics().get("alarms", ())
    return next((f"ALARM {name}" for name in raised if name not in excluded), "")


async def _unanswered(endpoint: Endpoint, *, serializable: bool) -> str:
    """Why a read is not answered; "": it is."""
    request = RangeRequest(b"health", serializable=serializable)
    try:
        with trio.move_on_after(HEALTH_TIMEOUT_S) as scope:
            await endpoint.caller.ask("range", request.to_wire())
        if scope.cancelled_caught:
            return "QGET ERROR: timed out"
    except RaftStoreError as error:
        status = error.status if isinstance(error, StoreError) else None
        if status == NO_LEADER:
            return "RAFT NO LEADER"
        if status not in {USER_EMPTY, PERMISSION_DENIED}:
            return f"QGET ERROR: {error}"
    # Whoever may not read has been answered all the same.
    return ""


async def version(_endpoint: Endpoint, exchange: Exchange) -> None:
    """The etcd release whose behaviour is followed."""
    cluster = ".".join((*VERSION.split(".")[:2], "0"))
    answer = {"etcdserver": VERSION, "etcdcluster": cluster}
    await exchange.respond(200, JSON, json.dumps(answer, separators=(",", ":")).encode())


HANDLERS: Final = {"/health": health, "/version": version, "/metrics": metrics}
