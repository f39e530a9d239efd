"""The limits and intervals of one API server; the defaults are the real server's unless noted."""

from __future__ import annotations

import attrs

from k8sactors.simulation import MILLISECOND, SECOND


@attrs.frozen
class APIServerConfig:
    """Settings. `store_endpoints` are actor addresses, tried in order."""

    store_endpoints: tuple[str, ...] = ()
    # The real defaults are 200 and 400, for requests that each hold a thread. Here a request in
    # flight is one small object, and thousands leave in one frame: the limits bound memory.
    max_mutating_in_flight: int = 10_000
    max_readonly_in_flight: int = 10_000
    request_timeout_ns: int = 60 * SECOND
    store_timeout_ns: int = 10 * SECOND
    # How long a read waits for the cache to reach a revision ("Too large resource version").
    freshness_timeout_ns: int = 3 * SECOND
    # How long a request waits for a server that has just started.
    startup_timeout_ns: int = 10 * SECOND
    # Events kept per resource for watches that resume.
    event_window: int = 10_000
    bookmark_interval_ns: int = 60 * SECOND
    relist_backoff_ns: int = 100 * MILLISECOND
    compaction_interval_ns: int = 300 * SECOND
    audit_window: int = 10_000
    event_ttl_seconds: int = 3600
    # A pod waits this long for its namespace's "default" ServiceAccount to be made.
    service_account_wait_ns: int = SECOND
    service_account_must_exist: bool = True
    # Off where no node lifecycle controller runs, which would take the taint away again.
    taint_new_nodes: bool = True
    service_cidr: str = "10.96.0.0/12"
    node_ports: tuple[int, int] = (30000, 32767)
    max_body_bytes: int = 3 * 1024 * 1024
    advertise_address: str = "10.0.0.1"
