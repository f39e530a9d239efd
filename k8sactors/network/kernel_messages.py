"""Message kinds of a node's kernel network, the actor called `dataplane`.

Rules and routes live there, not in the agents that write them: traffic flows on when kube-proxy or
the network agent die.
"""

from __future__ import annotations

from typing import Any

import attrs

from k8sactors.actors.record import Record
from k8sactors.simulation import SECOND

# full?, removed as (namespace, name), changed as (namespace, name, rules)
REPLACE_RULES = "netfilter.replace"
LIST_RULES = "netfilter.list"  # [] -> netfilter.rules {chain: [rule text, ...]}
RULES = "netfilter.rules"
# All routes as (node, node_ip, pod_cidr).
REPLACE_ROUTES = "route.replace"
FOLLOW_MISSES = "route.follow_misses"  # [] from a network agent: tell me of missing routes
ROUTE_MISS = "route.miss"  # [] from the kernel to its network agent
PROBE = "dataplane.probe"  # ProbeRequest -> RESULT
RESULT = "dataplane.result"  # ProbeResult
PACKET = "dataplane.packet"  # Packet -> VERDICT
VERDICT = "dataplane.verdict"  # [error, hops, answer, source_ip]

Hop = dict[str, Any]


@attrs.frozen
class Packet(Record):
    """The first packet of a connection, on its way."""

    source_ip: str
    ip: str
    port: int
    protocol: str
    hops_left: int
    timeout_ns: int


@attrs.frozen
class ProbeRequest(Record):
    """What a probe tries."""

    # Service name (`web`, `web.shop`, `web.shop.svc.cluster.local`), IP address, or node
    # name.
    target: str
    # Service or node port; 0 takes the Service's first one.
    port: int = 0
    # "namespace/pod" for a pod of this node, "" for the host itself.
    source: str = ""
    # Where a bare service name is looked for; "" takes the source pod's, or `default`.
    namespace: str = ""
    # TCP or UDP.
    protocol: str = "TCP"
    # How long to wait for an answer.
    timeout_ns: int = 3 * SECOND


@attrs.frozen
class ProbeResult(Record):
    """What came of a probe."""

    # Whether a program answered.
    ok: bool
    # "" or one of: name not resolved, no endpoints, connection refused, timeout, no route to
    # host, source not found.
    error: str
    # The way, each `{hop, node, address, detail}`.
    hops: list[Hop]
    # `[namespace, pod, container, image, text]` of the program that answered.
    answer: list[str] | None
    # The client's address, as the receiver saw it.
    source_ip: str


def hop(kind: str, node: str, address: str, detail: str) -> Hop:
    """One step of the way."""
    return {"hop": kind, "node": node, "address": address, "detail": detail}
