"""Revisions, key index, transactions, watches, leases and compaction, without I/O.

A member uses it so::

    store = Store(cluster_id=..., member_id=...)
    watches = WatchHub(store)

    check_request(op, fields)                     # before proposing; raises StoreError
    reply = store.apply_wire(op, fields, now_ns)  # per committed entry, the same on every member
    reply = store.read_wire(op, fields, now_ns)   # range and the like; never goes through the log
    watch_id = watches.create(fields, sink)       # WatchCreateRequest fields; sink is handed back
    for sink, payload in watches.collect():       # once per applied batch: WatchResponse fields
        ...
    watches.cancel(watch_id)                      # with a last item; `drop` without one

A reply is ``[0, response fields]`` or ``[code, message]``. `apply_wire` takes put, delete_range,
txn, compact, lease_grant and lease_revoke; `read_wire` range, hash_kv, lease_time_to_live and
lease_leases. Lease time runs on the leader alone: `store.leases.promote(now_ns)`, `.demote()`,
`.renew(id, now_ns)`, `.expired(now_ns)`; the leader proposes lease_revoke for what has expired.
`store.extend(section)` adds a part of the state next to the keys (a `Section`), with the
requests that change it. `store.snapshot()` yields chunks of bytes that `store.restore(chunks)`
takes.
"""

from __future__ import annotations

from raftstore.mvcc.base import KV
from raftstore.mvcc.keyspace import KeySpace
from raftstore.mvcc.snapshot import SnapshotFormatError
from raftstore.mvcc.store import Section, Store
from raftstore.mvcc.validation import MAX_TXN_OPERATIONS, check_request
from raftstore.mvcc.watch import WatchHub

__all__ = [
    "KV",
    "MAX_TXN_OPERATIONS",
    "KeySpace",
    "Section",
    "SnapshotFormatError",
    "Store",
    "WatchHub",
    "check_request",
]
