"""Failed fsync: what it was to write is gone, and no member may believe that it is not."""

from __future__ import annotations

from k8sactors.faults.disks import disk_fault

FAULT = disk_fault(
    "sync-failure",
    "fail the next sync of a store host's disk; what it was to write is gone",
    field="failing_syncs",
    verb="fail the next sync of",
    value=lambda _: 1,
)
