"""Persistent volumes and the claims to them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from k8sactors.api.columns import AGE, NAME, UNSET, Column, Tell, field, value_at
from k8sactors.api.defaulting import storage as storage_defaulting
from k8sactors.api.kind import Kind, Served
from k8sactors.api.strategies import ReturnedStrategy
from k8sactors.api.validation import storage as storage_validation

_SHORT_MODES = {
    "ReadWriteOnce": "RWO",
    "ReadOnlyMany": "ROX",
    "ReadWriteMany": "RWX",
    "ReadWriteOncePod": "RWOP",
}


def _modes(given: list[str]) -> str:
    return ",".join(short for mode, short in _SHORT_MODES.items() if mode in given)


def _phase(obj: Mapping[str, Any], _now_ns: int) -> str:
    if value_at(obj, "metadata.deletionTimestamp"):
        return "Terminating"
    return str(value_at(obj, "status.phase", ""))


def _claim(volume: Mapping[str, Any], _now_ns: int) -> str:
    claim = value_at(volume, "spec.claimRef")
    return "" if claim is None else f"{claim.get('namespace', '')}/{claim.get('name', '')}"


def _bound(path: str) -> Tell:
    """What a claim's status says, once a volume is bound to it."""

    def tell(claim: Mapping[str, Any], _now_ns: int) -> str:
        if not value_at(claim, "spec.volumeName"):
            return ""
        value = value_at(claim, path, "")
        return _modes(value) if isinstance(value, list) else str(value)

    return tell


def _class(obj: Mapping[str, Any], _now_ns: int) -> str:
    annotations = value_at(obj, "metadata.annotations", {})
    beta = annotations.get("volume.beta.kubernetes.io/storage-class")
    return str(beta if beta is not None else value_at(obj, "spec.storageClassName", ""))


KINDS = (
    Kind(
        kind="PersistentVolume",
        plural="persistentvolumes",
        columns=(
            NAME,
            field("Capacity", "spec.capacity.storage", "0"),
            Column("Access Modes", lambda obj, _: _modes(value_at(obj, "spec.accessModes", []))),
            field("Reclaim Policy", "spec.persistentVolumeReclaimPolicy"),
            Column("Status", _phase),
            Column("Claim", _claim),
            Column("StorageClass", _class),
            field("VolumeAttributesClass", "spec.volumeAttributesClassName", UNSET),
            field("Reason", "status.reason"),
            AGE,
            field("VolumeMode", "spec.volumeMode", UNSET, priority=1),
        ),
        served=(Served("", "v1", default=storage_defaulting.default_persistent_volume),),
        namespaced=False,
        subresources=("status",),
        short_names=("pv",),
        initial_status={"phase": "Pending"},
        check=storage_validation.check_persistent_volume,
        check_update=storage_validation.check_persistent_volume_update,
        strategy=ReturnedStrategy,
    ),
    Kind(
        kind="PersistentVolumeClaim",
        plural="persistentvolumeclaims",
        columns=(
            NAME,
            Column("Status", _phase),
            field("Volume", "spec.volumeName"),
            Column("Capacity", _bound("status.capacity.storage")),
            Column("Access Modes", _bound("status.accessModes")),
            Column("StorageClass", _class),
            field("VolumeAttributesClass", "spec.volumeAttributesClassName", UNSET),
            AGE,
            field("VolumeMode", "spec.volumeMode", UNSET, priority=1),
        ),
        served=(Served("", "v1", default=storage_defaulting.default_claim),),
        subresources=("status",),
        short_names=("pvc",),
        initial_status={"phase": "Pending"},
        check=storage_validation.check_claim,
        check_update=storage_validation.check_claim_update,
        strategy=ReturnedStrategy,
    ),
)
