"""EIO: the member stops at its next write and cannot start until the disk is exchanged."""

from __future__ import annotations

from k8sactors.faults.disks import disk_fault

FAULT = disk_fault(
    "disk-error",
    "break the disk of a store host: its member stops at the next write (EIO)",
    field="broken",
    verb="break the disk of",
    value=lambda _: True,
)
