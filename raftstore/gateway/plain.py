"""What is asked over HTTP without a client: health, version, metrics."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import parse_qs

import trio
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.registry import Collector, CollectorRegistry

from raftstore.auth.refusals import PERMISSION_DENIED, USER_EMPTY
from raftstore.errors import NO_LEADER, RaftStoreError, StoreError
from raftstore.gateway.counting import Counters
from raftstore.gateway.endpoint import Endpoint
from raftstore.gateway.exchange import Exchange
from raftstore.gateway.peer_metrics import peer_metrics
from raftstore.server.answers import VERSION
from raftstore.wire import RangeRequest

HEALTH_TIMEOUT_S: Final = 5.0
JSON: Final = b"application/json"
METHOD_LABELS: Final = ("grpc_type", "grpc_service", "grpc_method")


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


async def metrics(endpoint: Endpoint, exchange: Exchange) -> None:
    """Etcd's metrics, as far as there is something true to say."""
    registry = CollectorRegistry()
    registry.register(_EndpointCollector(endpoint))
    text = generate_latest(registry)
    await exchange.respond(200, CONTENT_TYPE_PLAIN_0_0_4.encode(), text)


HANDLERS: Final = {"/health": health, "/version": version, "/metrics": metrics}

# Name, what it tells, the key in the member's statistics. Etcd, too, counts the entries of the log
# with gauges, by their index.
GAUGES: Final = (
    ("etcd_server_proposals_committed_total", "Index of the last commit.", "committed"),
    ("etcd_server_proposals_applied_total", "Index of the last applied entry.", "applied"),
    ("etcd_server_proposals_pending", "Writes that wait for their answer.", "pending_proposals"),
    ("etcd_debugging_mvcc_current_revision", "The newest revision.", "revision"),
    ("etcd_debugging_mvcc_compact_revision", "The oldest revision kept.", "compact_revision"),
    ("etcd_debugging_mvcc_keys_total", "Live keys.", "keys"),
    ("etcd_debugging_mvcc_watcher_total", "Watches.", "watchers"),
    ("etcd_debugging_mvcc_slow_watcher_total", "Watches that are behind.", "waiting"),
    ("etcd_mvcc_db_total_size_in_bytes", "The most since defragmentation.", "allocated_bytes"),
    ("etcd_mvcc_db_total_size_in_use_in_bytes", "Size of all versions.", "in_use_bytes"),
    ("etcd_server_quota_backend_bytes", "Limit of the size; 0: none.", "quota_bytes"),
)


class _EndpointCollector(Collector):
    """Reads the member's statistics and the endpoint's counters when metrics are asked for."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint

    def collect(self) -> list[Metric]:
        """All metrics."""
        statistics = self._endpoint.backend.statistics()
        found: list[Metric] = [
            GaugeMetricFamily(name, text, value=statistics[key])
            for name, text, key in GAUGES
            if key in statistics
        ]
        found += _server(statistics)
        found += peer_metrics(statistics)
        found += _traffic(self._endpoint.counters)
        return found


def _server(statistics: dict[str, Any]) -> list[Metric]:
    leader = statistics.get("leader", 0)
    own = statistics.get("id", 0)
    identity = GaugeMetricFamily("etcd_server_id", "This member.", labels=["server_id"])
    identity.add_metric([f"{own:x}"], 1)
    release = GaugeMetricFamily("etcd_server_version", "Release.", labels=["server_version"])
    release.add_metric([VERSION], 1)
    return [
        identity,
        release,
        GaugeMetricFamily("etcd_server_has_leader", "Knows of a leader.", value=int(leader != 0)),
        GaugeMetricFamily(
            "etcd_server_is_leader", "Leads.", value=int(leader == own and leader != 0)
        ),
        GaugeMetricFamily(
            "etcd_server_is_learner", "Has no vote.", value=int(statistics.get("is_learner", False))
        ),
    ]


def _traffic(counters: Counters) -> list[Metric]:
    handled = CounterMetricFamily(
        "grpc_server_handled_total", "Calls answered.", labels=(*METHOD_LABELS, "grpc_code")
    )
    for (*call, code), count in sorted(counters.handled.items()):
        handled.add_metric((*_full(call), code), count)
    found: list[Metric] = [handled]
    for name, text, totals in (
        ("grpc_server_started_total", "Calls begun.", counters.started),
        ("grpc_server_msg_received_total", "Messages received.", counters.messages_received),
        ("grpc_server_msg_sent_total", "Messages sent.", counters.messages_sent),
    ):
        family = CounterMetricFamily(name, text, labels=METHOD_LABELS)
        for labels, count in sorted(totals.items()):
            family.add_metric(_full(labels), count)
        found.append(family)
    found += [
        CounterMetricFamily(
            "etcd_network_client_grpc_received_bytes_total",
            "Bytes received from clients.",
            value=counters.received_bytes,
        ),
        CounterMetricFamily(
            "etcd_network_client_grpc_sent_bytes_total",
            "Bytes sent to clients.",
            value=counters.sent_bytes,
        ),
        GaugeMetricFamily(
            "etcd_debugging_mvcc_watch_stream_total",
            "Watch streams.",
            value=counters.watch_streams,
        ),
    ]
    return found


def _full(labels: Sequence[str]) -> tuple[str, str, str]:
    kind, service, name = labels
    return kind, service, name
