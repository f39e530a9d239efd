"""ENOSPC: the member stops at its next write and cannot start until there is space."""

from __future__ import annotations

from k8sactors.faults.disks import disk_fault

FAULT = disk_fault(
    "disk-full",
    "fill the disk of a store host: its member stops at the next write (ENOSPC)",
    field="full",
    verb="fill the disk of",
    value=lambda _: True,
)
