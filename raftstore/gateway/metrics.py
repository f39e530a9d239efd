"""Etcd's metrics, as far as there is something true to say, and those of the process."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from prometheus_client import GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.registry import Collector, CollectorRegistry

from raftstore.gateway.counting import Counters
from raftstore.gateway.endpoint import Endpoint
from raftstore.gateway.peer_metrics import peer_metrics
from raftstore.http import Exchange
from raftstore.server.answers import VERSION
from raftstore.storage import Durations

METHOD_LABELS: Final = ("grpc_type", "grpc_service", "grpc_method")


async def metrics(endpoint: Endpoint, exchange: Exchange) -> None:
    """Answer with all of them."""
    registry = CollectorRegistry()
    registry.register(_EndpointCollector(endpoint))
    for collector in (ProcessCollector, PlatformCollector, GCCollector):
        collector(registry=registry)
    text = generate_latest(registry)
    await exchange.respond(200, CONTENT_TYPE_PLAIN_0_0_4.encode(), text)


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
    ("etcd_debugging_mvcc_db_total_size_in_bytes", "The same.", "allocated_bytes"),
    ("etcd_server_quota_backend_bytes", "Limit of the size; 0: none.", "quota_bytes"),
    ("etcd_server_snapshot_apply_in_progress_total", "Takes in a snapshot.", "receiving_snapshot"),
    ("etcd_debugging_auth_revision", "Revision of users and roles.", "auth_revision"),
    ("etcd_disk_wal_write_bytes_total", "Bytes written to the log.", "wal_bytes"),
)
COUNTERS: Final = (
    ("etcd_server_leader_changes_seen_total", "Changes of the leader.", "leader_changes"),
    ("etcd_server_proposals_failed_total", "Writes refused after all.", "failed_proposals"),
    ("etcd_server_read_indexes_failed_total", "Reads refused after all.", "failed_reads"),
    ("etcd_server_slow_read_indexes_total", "Rounds of reads asked again.", "slow_reads"),
    ("etcd_mvcc_put_total", "Puts.", "puts"),
    ("etcd_mvcc_delete_total", "Keys deleted.", "deletes"),
    ("etcd_mvcc_range_total", "Ranges read.", "ranges"),
    ("etcd_mvcc_txn_total", "Transactions.", "txns"),
    ("etcd_debugging_mvcc_put_total", "Puts.", "puts"),
    ("etcd_debugging_mvcc_delete_total", "Keys deleted.", "deletes"),
    ("etcd_debugging_mvcc_range_total", "Ranges read.", "ranges"),
    ("etcd_debugging_mvcc_txn_total", "Transactions.", "txns"),
    ("etcd_debugging_mvcc_events_total", "Events given to watches.", "sent_events"),
    ("etcd_debugging_lease_granted_total", "Leases granted.", "leases_granted"),
    ("etcd_debugging_lease_revoked_total", "Leases revoked.", "leases_revoked"),
    ("etcd_debugging_lease_renewed_total", "Leases renewed by the leader.", "leases_renewed"),
    ("etcd_debugging_server_lease_expired_total", "Leases expired.", "leases_expired"),
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
        found += [
            CounterMetricFamily(name, text, value=statistics[key])
            for name, text, key in COUNTERS
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
    cluster = GaugeMetricFamily("etcd_cluster_version", "Release.", labels=["cluster_version"])
    cluster.add_metric([".".join(VERSION.split(".")[:2])], 1)
    durations: Durations = statistics.get("sync_durations") or Durations()
    syncs = HistogramMetricFamily(
        "etcd_disk_wal_fsync_duration_seconds",
        "Writing and syncing the log, as a write that waits for it sees it.",
        buckets=durations.buckets(),
        sum_value=durations.sum_s,
    )
    release = GaugeMetricFamily("etcd_server_version", "Release.", labels=["server_version"])
    release.add_metric([VERSION], 1)
    return [
        identity,
        release,
        cluster,
        syncs,
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
        # A counter's name would have to end with "total".
        GaugeMetricFamily(
            "etcd_server_health_success", "Times healthy.", value=counters.health_successes
        ),
        GaugeMetricFamily(
            "etcd_server_health_failures", "Times not.", value=counters.health_failures
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
