"""Metrics: etcd's names, with values that follow what is done."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.gateway.real import ETCD, WITHOUT_ETCD, real_etcd
from tests.gateway.served import Served, ask, post, start, stopping

KEY = {"key": "bWV0cmlj"}

# Names of a real etcd that are not told here, by how they begin.
ABSENT = {
    "go_": "the runtime is Python: python_info, python_gc_...",
    "etcd_server_go_version": "as above",
    "promhttp_": "of Go's HTTP handler",
    "etcd_grpc_proxy_": "there is no proxy",
    "etcd_debugging_store_": "of the v2 store",
    "etcd_debugging_disk_backend_": "of the bbolt file, which is not used",
    "etcd_disk_backend_": "as above",
    "etcd_disk_defrag_inflight": "as above",
    "etcd_mvcc_db_open_read_transactions": "as above",
    "etcd_snap_": "snapshots have another format; a thread writes them, on which no call waits",
    "etcd_debugging_snap_": "as above",
    "etcd_debugging_lease_ttl_total": "a histogram of what clients ask for, which is not kept",
    "etcd_debugging_mvcc_db_compaction_": "compaction runs in steps between other work",
    "etcd_debugging_mvcc_index_compaction_": "as above",
    "etcd_debugging_mvcc_pending_events_total": "events wait packed, per connection",
    "etcd_debugging_mvcc_total_put_size_in_bytes": "the size in use tells it",
    "etcd_mvcc_hash_": "hashes are made in steps between other work",
    "etcd_server_client_requests_total": "grpc_server_started_total tells it",
    "etcd_server_heartbeat_send_failures_total": "heartbeats go with everything else",
    "etcd_server_learner_promote_": "the member list tells it",
    "etcd_server_slow_apply_total": "entries are applied in batches",
    "os_fd_": "process_open_fds and process_max_fds tell it",
    "process_virtual_memory_max_bytes": "not told by the collector of the process",
}


def values(served: Served) -> dict[str, float]:
    """What a metric without labels has, by name."""
    text = ask(served, "GET", "/metrics")[1].decode()
    found = re.findall(r"^(\w+) (\S+)$", text, re.MULTILINE)
    return {name: float(value) for name, value in found}


def names(text: str) -> set[str]:
    return set(re.findall(r"^# TYPE (\w+) ", text, re.MULTILINE))


@pytest.mark.skipif(ETCD is None, reason=WITHOUT_ETCD)
def test_every_metric_of_a_real_etcd_is_there_or_absent_for_a_reason(
    served: Served, tmp_path: Path
) -> None:
    with real_etcd(tmp_path) as theirs:
        real = Served(theirs.processes[0], [theirs.url])
        # Some are there only when there is something to tell.
        post(real, "/v3/kv/put", KEY)
        expected = names(ask(real, "GET", "/metrics")[1].decode())
    ours = names(ask(served, "GET", "/metrics")[1].decode())
    absent = expected - ours
    unexplained = {name for name in absent if not name.startswith(tuple(ABSENT))}
    assert unexplained == set()
    assert {
        begin for begin in ABSENT if not any(name.startswith(begin) for name in absent)
    } == set()
    assert {"process_cpu_seconds_total", "process_resident_memory_bytes"} <= ours


def test_counters_follow_what_is_done(fresh: Served) -> None:
    before = values(fresh)
    operations = [{"requestPut": KEY}, {"requestRange": KEY}]
    post(fresh, "/v3/kv/put", KEY)
    post(fresh, "/v3/kv/range", KEY)
    post(fresh, "/v3/kv/txn", {"success": operations})
    post(fresh, "/v3/kv/deleterange", KEY)
    post(fresh, "/v3/lease/grant", {"ID": 7, "TTL": 60})
    post(fresh, "/v3/lease/revoke", {"ID": 7})
    ask(fresh, "GET", "/health")
    after = values(fresh)
    grown = {name: after[name] - before[name] for name in after if name.startswith("etcd_")}
    expected = {
        "etcd_mvcc_put_total": 2,
        "etcd_debugging_mvcc_put_total": 2,
        # Health reads a key as well.
        "etcd_mvcc_range_total": 3,
        "etcd_mvcc_txn_total": 1,
        "etcd_mvcc_delete_total": 1,
        "etcd_debugging_lease_granted_total": 1,
        "etcd_debugging_lease_revoked_total": 1,
        "etcd_server_health_success": 1,
        "etcd_server_health_failures": 0,
        "etcd_server_proposals_failed_total": 0,
        "etcd_debugging_mvcc_current_revision": 3,
    }
    assert expected == {name: grown[name] for name in expected}
    assert after["etcd_server_leader_changes_seen_total"] >= 1
    assert after["etcd_server_has_leader"] == 1
    assert after["process_resident_memory_bytes"] > 10_000_000


def test_syncs_of_a_real_disk_are_timed(tmp_path: Path) -> None:
    option = str(tmp_path / "data")
    with stopping(start("--port", "0", "--members", "1", "--data-dir", option)) as running:
        before = values(running)
        for _ in range(5):
            post(running, "/v3/kv/put", KEY)
        after = values(running)
    name = "etcd_disk_wal_fsync_duration_seconds"
    assert after[f"{name}_count"] - before[f"{name}_count"] >= 5
    assert 0 < after[f"{name}_sum"] < 60
    assert after["etcd_disk_wal_write_bytes_total"] > before["etcd_disk_wal_write_bytes_total"]
