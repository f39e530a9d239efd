"""Defaults of volumes, claims and storage classes."""

from __future__ import annotations

from k8sactors.api.defaulting.fields import Fields, fill, inside

_RBD: Fields = {"pool": "rbd", "user": "admin", "keyring": "/etc/ceph/keyring"}
_CSI_DRIVER: Fields = {
    "attachRequired": True,
    "podInfoOnMount": False,
    "volumeLifecycleModes": ["Persistent"],
    "storageCapacity": False,
    "fsGroupPolicy": "ReadWriteOnceWithFSType",
    "requiresRepublish": False,
    "seLinuxMount": False,
}


def _volume_spec(spec: Fields) -> Fields:
    spec = fill(spec, {"persistentVolumeReclaimPolicy": "Retain", "volumeMode": "Filesystem"})
    spec = inside(spec, "hostPath", lambda source: fill(source, {"type": ""}))
    return inside(spec, "rbd", lambda source: fill(source, _RBD))


def default_persistent_volume(obj: Fields) -> Fields:
    """A PersistentVolume."""
    return inside(obj, "spec", _volume_spec)


def _claim_spec(spec: Fields) -> Fields:
    return fill(spec, {"volumeMode": "Filesystem"})


def default_claim(obj: Fields) -> Fields:
    """A PersistentVolumeClaim."""
    return inside(obj, "spec", _claim_spec)


def default_claim_template(obj: Fields) -> Fields:
    """A claim inside a StatefulSet: a whole object, with kind and status."""
    obj = fill(obj, {"apiVersion": "v1", "kind": "PersistentVolumeClaim"})
    return fill(default_claim(obj), {"status": {"phase": "Pending"}})


def default_storage_class(obj: Fields) -> Fields:
    """A StorageClass."""
    return fill(obj, {"reclaimPolicy": "Delete", "volumeBindingMode": "Immediate"})


def default_csi_driver(obj: Fields) -> Fields:
    """A CSIDriver."""
    return inside(obj, "spec", lambda spec: fill(spec, _CSI_DRIVER))
