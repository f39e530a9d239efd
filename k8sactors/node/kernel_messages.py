"""Message kinds of a node's kernel network, the actor called `dataplane`.

Rules and routes live there, not in the agents that write them: traffic flows on when kube-proxy or
the network agent die.
"""

from __future__ import annotations

from typing import Any

import attrs

from k8sactors.node.cri import Record

# full?, removed as (namespace, name), changed as (namespace, name, rules)
REPLACE_RULES = "netfilter.replace"
LIST_RULES = "netfilter.list"  # [] -> netfilter.rules {chain: [rule text, ...]}
RULES = "netfilter.rules"
# All routes as (node, node_ip, pod_cidr).
REPLACE_ROUTES = "route.replace"
ROUTE_MISS = "route.miss"  # [] from the kernel to its network agent
PROBE = "dataplane.probe"  # ProbeRequest -> RESULT
RESULT = "dataplane.result"  # ProbeResult
PACKET = "dataplane.packet"  # Packet -> VERDICT
VERDICT = "dataplane.verdict"  # [error, hops, answer, source_ip]

_SECOND = 1_000_000_000
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
    """What a probe tries.

    Args:
        target: service name (`web`, `web.shop`, `web.shop.svc.cluster.local`), IP address, or node
            name.
        port: service or node port; 0 takes the Service's first one.
        source: "namespace/pod" for a pod of this node, "" for the host itself.
        namespace: where a bare service name is looked for; "" takes the source pod's, or `default`.
        protocol: TCP or UDP.
        timeout_ns: how long to wait for an answer.
    """

    target: str
    port: int = 0
    source: str = ""
    namespace: str = ""
    protocol: str = "TCP"
    timeout_ns: int = 3 * _SECOND


@attrs.frozen
class ProbeResult(Record):
    """What came of a probe.

    Args:
        ok: whether a program answered.
        error: "" or one of: name not resolved, no endpoints, connection refused, timeout, no route
            to host, source not found.
        hops: the way, each `{hop, node, address, detail}`.
        answer: `[namespace, pod, container, image, text]` of the program that answered.
        source_ip: the client's address, as the receiver saw it.
    """

    ok: bool
    error: str
    hops: list[Hop]
    answer: list[str] | None
    source_ip: str


def hop(kind: str, node: str, address: str, detail: str) -> Hop:
    """One step of the way."""
    return {"hop": kind, "node": node, "address": address, "detail": detail}
