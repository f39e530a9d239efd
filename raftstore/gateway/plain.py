"""What is asked over HTTP without a client: health, probes, version, metrics."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Final
from urllib.parse import parse_qs, unquote

from raftstore.errors import NO_LEADER
from raftstore.gateway.endpoint import Endpoint
from raftstore.gateway.metrics import metrics
from raftstore.gateway.probes import checks_of, probe, why_unread
from raftstore.http import Exchange
from raftstore.server.answers import VERSION

GET: Final = "GET"
JSON: Final = b"application/json"
TEXT: Final = b"text/plain; charset=utf-8"


async def handle(endpoint: Endpoint, exchange: Exchange) -> None:
    """Answer what is no call of a method."""
    path = unquote(exchange.head.path)
    handler, checks = HANDLERS.get(path), checks_of(path)
    if handler is None and not checks:
        await _say(exchange, 404, "404 page not found\n")
    elif exchange.head.method != GET and handler is not metrics:
        allow = [(b"allow", GET.encode())]
        await _say(exchange, 405, "Method Not Allowed\n", allow)
    elif handler is not None:
        await handler(endpoint, exchange)
    else:
        query = parse_qs(exchange.head.query, keep_blank_values=True)
        well, text = await probe(endpoint, checks, query)
        await _say(exchange, 200 if well else 503, text)


async def _say(
    exchange: Exchange, status: int, text: str, headers: Sequence[tuple[bytes, bytes]] = ()
) -> None:
    headers = [*headers, (b"x-content-type-options", b"nosniff")]
    await exchange.respond(status, TEXT, text.encode(), headers)


async def health(endpoint: Endpoint, exchange: Exchange) -> None:
    """Whether there is no alarm, the member has a leader and a quorum confirms a read.

    As in etcd, ``?exclude=NOSPACE`` overlooks an alarm, and ``?serializable=true`` asks for a read
    of the member's own state.
    """
    query = parse_qs(exchange.head.query)
    reason = _alarm(endpoint, query.get("exclude", []))
    if not reason:
        serializable = query.get("serializable") == ["true"]
        reason = _told(await why_unread(endpoint, serializable=serializable))
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


def _told(reason: str) -> str:
    if reason == NO_LEADER.message:
        return "RAFT NO LEADER"
    return f"RANGE ERROR:{reason}" if reason else ""


async def version(_endpoint: Endpoint, exchange: Exchange) -> None:
    """The etcd release whose behaviour is followed."""
    cluster = ".".join((*VERSION.split(".")[:2], "0"))
    answer = {"etcdserver": VERSION, "etcdcluster": cluster}
    await exchange.respond(200, JSON, json.dumps(answer, separators=(",", ":")).encode())


HANDLERS: Final = {"/health": health, "/version": version, "/metrics": metrics}
