"""Storage classes, drivers and attachments (`storage.k8s.io`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from k8sactors.api.columns import AGE, NAME, NONE, UNSET, Column, boolean, count, field, value_at
from k8sactors.api.defaulting import storage as storage_defaulting
from k8sactors.api.kind import Kind, Served
from k8sactors.api.validation import storage as storage_validation


def _modes(driver: Mapping[str, Any], _now_ns: int) -> str:
    return ",".join(value_at(driver, "spec.volumeLifecycleModes", ())) or NONE


def _audiences(driver: Mapping[str, Any], _now_ns: int) -> str:
    requests = value_at(driver, "spec.tokenRequests")
    return UNSET if requests is None else ",".join(each.get("audience", "") for each in requests)


_DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class"


def _class_name(storage_class: Mapping[str, Any], _now_ns: int) -> str:
    name: str = value_at(storage_class, "metadata.name", "")
    annotations = value_at(storage_class, "metadata.annotations", {})
    return f"{name} (default)" if annotations.get(_DEFAULT_CLASS) == "true" else name


KINDS = (
    Kind(
        kind="StorageClass",
        plural="storageclasses",
        columns=(
            Column("Name", _class_name, format="name"),
            field("Provisioner", "provisioner"),
            field("ReclaimPolicy", "reclaimPolicy", "Delete"),
            field("VolumeBindingMode", "volumeBindingMode", UNSET),
            field("AllowVolumeExpansion", "allowVolumeExpansion", False),
            AGE,
        ),
        served=(Served("storage.k8s.io", "v1", default=storage_defaulting.default_storage_class),),
        namespaced=False,
        short_names=("sc",),
        check=storage_validation.check_storage_class,
        check_update=storage_validation.check_storage_class_update,
    ),
    Kind(
        kind="VolumeAttachment",
        plural="volumeattachments",
        initial_status={"attached": False},
        columns=(
            NAME,
            Column("Attacher", lambda obj, _: value_at(obj, "spec.attacher", ""), format="name"),
            field("PV", "spec.source.persistentVolumeName"),
            field("Node", "spec.nodeName"),
            boolean("Attached", "status.attached"),
            AGE,
        ),
        served=(Served("storage.k8s.io", "v1"),),
        namespaced=False,
        subresources=("status",),
        check=storage_validation.check_volume_attachment,
    ),
    Kind(
        kind="CSIDriver",
        plural="csidrivers",
        columns=(
            NAME,
            boolean("AttachRequired", "spec.attachRequired", True),
            boolean("PodInfoOnMount", "spec.podInfoOnMount"),
            boolean("StorageCapacity", "spec.storageCapacity"),
            Column("TokenRequests", _audiences),
            boolean("RequiresRepublish", "spec.requiresRepublish"),
            Column("Modes", _modes),
            AGE,
        ),
        served=(Served("storage.k8s.io", "v1", default=storage_defaulting.default_csi_driver),),
        namespaced=False,
    ),
    Kind(
        kind="CSINode",
        plural="csinodes",
        columns=(NAME, count("Drivers", "spec.drivers", type_="integer"), AGE),
        served=(Served("storage.k8s.io", "v1"),),
        namespaced=False,
    ),
    Kind(
        kind="CSIStorageCapacity",
        plural="csistoragecapacities",
        columns=(
            NAME,
            field("StorageClassName", "storageClassName"),
            field("Capacity", "capacity", UNSET),
        ),
        served=(Served("storage.k8s.io", "v1"),),
    ),
    Kind(
        kind="VolumeAttributesClass",
        plural="volumeattributesclasses",
        columns=(NAME, field("DriverName", "driverName"), AGE),
        served=(Served("storage.k8s.io", "v1"),),
        namespaced=False,
        short_names=("vac",),
    ),
)
