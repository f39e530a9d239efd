"""What is known of each node's heartbeats.

A heartbeat is a new lastHeartbeatTime of the Ready condition or a renewed Lease. What counts is
when *this* controller saw it change, by its own clock: nodes' clocks are never trusted.
"""

from __future__ import annotations

from typing import Any

import attrs

from k8sactors.api.meta import format_time, get_condition

Object = dict[str, Any]
CONDITIONS = ("Ready", "MemoryPressure", "DiskPressure", "PIDPressure")


@attrs.define
class NodeHealth:
    """The last heartbeat of one node."""

    seen_at_ns: int
    heartbeat: str | None
    renew_time: str | None
    node: Object
    # Whether the node was ready and had no taint for eviction when it was looked at, and the zone
    # that it counts for (None: for none). It holds as long as the node object is the same.
    settled: bool = False
    zone: tuple[str, str] | None = None

    @classmethod
    def first_seen(cls, node: Object, lease: Object | None, now_ns: int) -> NodeHealth:
        """A node that was not known before gets the benefit of the doubt."""
        return cls(now_ns, _heartbeat(node), _renew_time(lease), node)

    def observe(self, node: Object, lease: Object | None, now_ns: int) -> None:
        """Take notice of a heartbeat, if there was one."""
        if node is not self.node:
            self.node = node
            self.settled = False
            heartbeat = _heartbeat(node)
            if heartbeat != self.heartbeat:
                self.heartbeat = heartbeat
                self.seen_at_ns = now_ns
        renew_time = _renew_time(lease)
        if renew_time is not None and (self.renew_time is None or renew_time > self.renew_time):
            self.renew_time = renew_time
            self.seen_at_ns = now_ns

    def settle(self, zone: tuple[str, str] | None, *, settled: bool) -> None:
        """Remember what was found out about the node object as it is."""
        self.zone = zone
        self.settled = settled


def _heartbeat(node: Object) -> str | None:
    ready = get_condition(node, "Ready")
    # A condition that we set ourselves keeps the last heartbeat's time.
    heartbeat: str | None = ready.get("lastHeartbeatTime") if ready else None
    return heartbeat


def _renew_time(lease: Object | None) -> str | None:
    if lease is None:
        return None
    renewed: str | None = (lease.get("spec") or {}).get("renewTime")
    return renewed


def unknown_status(node: Object, wall_ns: int) -> Object | None:
    """The status of a node that has gone silent; None when it says so already."""
    status = node.get("status") or {}
    conditions = list(status.get("conditions") or ())
    now = format_time(wall_ns)
    created = node["metadata"].get("creationTimestamp")
    changed = False
    known = {each["type"]: number for number, each in enumerate(conditions)}
    for kind in CONDITIONS:
        if kind not in known:
            conditions.append(
                {
                    "type": kind,
                    "status": "Unknown",
                    "reason": "NodeStatusNeverUpdated",
                    "message": "Kubelet never posted node status.",
                    "lastHeartbeatTime": created,
                    "lastTransitionTime": now,
                }
            )
            changed = True
        elif conditions[known[kind]]["status"] != "Unknown":
            conditions[known[kind]] = {
                **conditions[known[kind]],
                "status": "Unknown",
                "reason": "NodeStatusUnknown",
                "message": "Kubelet stopped posting node status.",
                "lastTransitionTime": now,
            }
            changed = True
    return {**status, "conditions": conditions} if changed else None
