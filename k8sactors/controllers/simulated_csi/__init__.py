"""A CSI driver without disks: it provisions, attaches, resizes and deletes volumes that are names.

It stands for what a cluster's storage vendor installs next to Kubernetes: external-provisioner,
external-attacher and external-resizer. A StorageClass uses it with `provisioner: csi.simulated`.
"""

from __future__ import annotations

from k8sactors.controllers.simulated_csi.controller import (
    ACCOUNT,
    DRIVER,
    SimulatedCSIController,
)

__all__ = ["ACCOUNT", "DRIVER", "SimulatedCSIController"]
