"""Etcd's metrics of the traffic with members in other processes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

# Name, what it tells, the label of the other member, the key in the member's statistics.
COUNTERS: Final = (
    ("etcd_network_peer_sent_bytes_total", "Bytes sent.", "To", "peer_sent_bytes"),
    ("etcd_network_peer_received_bytes_total", "Bytes received.", "From", "peer_received_bytes"),
    ("etcd_network_peer_sent_failures_total", "Frames not sent.", "To", "peer_dropped_frames"),
)


def peer_metrics(statistics: Mapping[str, Any]) -> list[Metric]:
    """The metrics; none of a member that has no way to other processes."""
    if "peers_active" not in statistics:
        return []
    local = f"{statistics.get('id', 0):x}"
    active = GaugeMetricFamily(
        "etcd_network_active_peers", "Members that are connected.", labels=("Local", "Remote")
    )
    for member, connected in statistics["peers_active"].items():
        active.add_metric((local, f"{member:x}"), int(connected))
    found: list[Metric] = [active]
    for name, text, label, key in COUNTERS:
        family = CounterMetricFamily(name, text, labels=(label,))
        for member, count in statistics[key].items():
            family.add_metric((f"{member:x}",), count)
        found.append(family)
    return found
