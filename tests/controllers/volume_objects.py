"""Claims, volumes and classes, as the tests of the volume controllers use them."""

from __future__ import annotations

from typing import Any

from tests.controllers.harness import World

Object = dict[str, Any]
CLAIMS = "persistentvolumeclaims"
VOLUMES = "persistentvolumes"
CLASSES = "storageclasses.storage.k8s.io"
ATTACHMENTS = "volumeattachments.storage.k8s.io"


def claim(name: str = "data", size: str = "1Gi", cls: str | None = "shop", **spec: Any) -> Object:
    named = {} if cls is None else {"storageClassName": cls}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": size}},
            **named,
            **spec,
        },
    }


def volume(name: str, size: str = "1Gi", cls: str = "shop", **spec: Any) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name, "labels": {"name": name}},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "capacity": {"storage": size},
            "persistentVolumeReclaimPolicy": "Retain",
            "storageClassName": cls,
            "nfs": {"server": "10.1.1.1", "path": f"/{name}"},
            **spec,
        },
    }


def storage_class(name: str = "shop", provisioner: str = "shop.io/disks", **fields: Any) -> Object:
    return {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": name},
        "provisioner": provisioner,
        "reclaimPolicy": "Delete",
        "volumeBindingMode": "Immediate",
        **fields,
    }


def phase(world: World, name: str, resource: str = CLAIMS) -> str:
    namespace = "default" if resource == CLAIMS else ""
    return str(world.store.get(resource, name, namespace).get("status", {}).get("phase", "Pending"))


def volume_of(world: World, name: str = "data") -> str:
    return str(world.store.get(CLAIMS, name, "default")["spec"].get("volumeName") or "")


def claimant(world: World, name: str) -> str:
    reference = world.store.get(VOLUMES, name, "")["spec"].get("claimRef") or {}
    return str(reference.get("name") or "")
