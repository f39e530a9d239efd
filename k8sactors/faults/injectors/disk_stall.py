"""Disk stall: no sync completes until it ends."""

from __future__ import annotations

from k8sactors.faults.disks import disk_fault

FAULT = disk_fault(
    "disk-stall",
    "let no sync of a store host's disk complete",
    field="stalled",
    verb="stall the disk of",
    value=lambda _: True,
)
