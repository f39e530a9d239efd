"""The volumes that the simulated driver makes. Pure functions."""

from __future__ import annotations

from typing import Any, Final

from k8sactors.api.persistent_volumes import PROVISIONED_BY

Object = dict[str, Any]
ZONE: Final = "topology.kubernetes.io/zone"
FINALIZER: Final = "external-provisioner.volume.kubernetes.io/finalizer"


def _topology(storage_class: Object, node: Object | None) -> list[Object]:
    """The node selector terms of a volume: the zone of the node that it was made for."""
    zone = ((node or {}).get("metadata", {}).get("labels") or {}).get(ZONE)
    if zone:
        return [{"matchExpressions": [{"key": ZONE, "operator": "In", "values": [zone]}]}]
    return [
        {
            "matchExpressions": [
                {"key": each["key"], "operator": "In", "values": each["values"]}
                for each in term.get("matchLabelExpressions") or ()
            ]
        }
        for term in storage_class.get("allowedTopologies") or ()
    ]


def volume_for(claim: Object, storage_class: Object, node: Object | None) -> Object:
    """The volume of a claim, already bound to it."""
    metadata, spec = claim["metadata"], claim["spec"]
    provisioner = storage_class["provisioner"]
    name = f"pvc-{metadata['uid']}"
    wanted: Object = {
        "accessModes": spec["accessModes"],
        "capacity": {"storage": spec["resources"]["requests"]["storage"]},
        "claimRef": {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "namespace": metadata["namespace"],
            "name": metadata["name"],
            "uid": metadata["uid"],
            "resourceVersion": metadata["resourceVersion"],
        },
        "csi": {"driver": provisioner, "volumeHandle": f"vol-{metadata['uid']}"},
        "persistentVolumeReclaimPolicy": storage_class.get("reclaimPolicy") or "Delete",
        "storageClassName": storage_class["metadata"]["name"],
        "volumeMode": spec.get("volumeMode") or "Filesystem",
    }
    if storage_class.get("mountOptions"):
        wanted["mountOptions"] = storage_class["mountOptions"]
    terms = _topology(storage_class, node)
    if terms:
        wanted["nodeAffinity"] = {"required": {"nodeSelectorTerms": terms}}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {
            "name": name,
            "annotations": {PROVISIONED_BY: provisioner},
            "finalizers": [FINALIZER],
        },
        "spec": wanted,
    }
