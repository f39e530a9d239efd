"""Facts about persistent volumes and claims: class, capacity, who is bound to whom.

Controllers, the scheduler and provisioners share them, and the annotations of the real components.
"""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from typing import Any, Final

from k8sactors.api import quantity

Object = dict[str, Any]
CLAIMS: Final = "persistentvolumeclaims"
VOLUMES: Final = "persistentvolumes"
STORAGE_CLASSES: Final = "storageclasses.storage.k8s.io"
BIND_COMPLETED: Final = "pv.kubernetes.io/bind-completed"
BOUND_BY_CONTROLLER: Final = "pv.kubernetes.io/bound-by-controller"
PROVISIONED_BY: Final = "pv.kubernetes.io/provisioned-by"
SELECTED_NODE: Final = "volume.kubernetes.io/selected-node"
STORAGE_PROVISIONER: Final = "volume.kubernetes.io/storage-provisioner"
BETA_STORAGE_PROVISIONER: Final = "volume.beta.kubernetes.io/storage-provisioner"
_BETA_CLASS: Final = "volume.beta.kubernetes.io/storage-class"
_DEFAULT_CLASS: Final = (
    "storageclass.kubernetes.io/is-default-class",
    "storageclass.beta.kubernetes.io/is-default-class",
)
WAIT_FOR_FIRST_CONSUMER: Final = "WaitForFirstConsumer"


def annotations_of(obj: Object) -> dict[str, str]:
    """The annotations, never None."""
    return obj["metadata"].get("annotations") or {}


def with_annotation(obj: Object, name: str, value: str) -> Object:
    """The object with one annotation set."""
    annotations = {**annotations_of(obj), name: value}
    return {**obj, "metadata": {**obj["metadata"], "annotations": annotations}}


def phase_of(obj: Object) -> str:
    """`status.phase` of a claim or volume; Pending until it is set."""
    return str((obj.get("status") or {}).get("phase") or "Pending")


def class_of(obj: Object) -> str:
    """The name of the StorageClass of a claim or volume, "" without one."""
    beta = annotations_of(obj).get(_BETA_CLASS)
    return str(beta if beta is not None else obj["spec"].get("storageClassName") or "")


def names_no_class(claim: Object) -> bool:
    """Whether a claim leaves its class to the default, which "" does not."""
    return (
        _BETA_CLASS not in annotations_of(claim) and claim["spec"].get("storageClassName") is None
    )


def default_class(classes: Iterable[Object]) -> Object | None:
    """The newest StorageClass that is marked as the default; by name among equals."""
    marked = [
        each
        for each in classes
        if any(annotations_of(each).get(name) == "true" for name in _DEFAULT_CLASS)
    ]
    marked.sort(key=lambda each: each["metadata"]["name"])
    return max(marked, key=lambda each: each["metadata"]["creationTimestamp"], default=None)


def delays_binding(storage_class: Object | None) -> bool:
    """Whether claims of a class wait for a pod that the scheduler has placed."""
    return (
        storage_class is not None
        and storage_class.get("volumeBindingMode") == WAIT_FOR_FIRST_CONSUMER
    )


def capacity_of(volume: Object) -> Fraction:
    """The size of a volume in bytes."""
    return quantity.parse((volume["spec"].get("capacity") or {}).get("storage") or "0")


def request_of(claim: Object) -> Fraction:
    """The size that a claim asks for, in bytes."""
    requests = (claim["spec"].get("resources") or {}).get("requests") or {}
    return quantity.parse(requests.get("storage") or "0")


def claim_key(volume: Object) -> str | None:
    """`namespace/name` of the claim that a volume refers to."""
    reference = volume["spec"].get("claimRef")
    return f"{reference['namespace']}/{reference['name']}" if reference else None


def is_bound_to(volume: Object, claim: Object) -> bool:
    """Whether a volume refers to the claim, if only by name (before the claim has come)."""
    reference = volume["spec"].get("claimRef")
    if reference is None:
        return False
    metadata = claim["metadata"]
    names = reference.get("namespace") == metadata["namespace"], reference.get("name")
    if names != (True, metadata["name"]):
        return False
    return not reference.get("uid") or bool(reference["uid"] == metadata["uid"])


def is_fully_bound(claim: Object, volume: Object | None) -> bool:
    """Whether claim and volume name each other and the binder has finished."""
    return (
        volume is not None
        and BIND_COMPLETED in annotations_of(claim)
        and claim["spec"].get("volumeName") == volume["metadata"]["name"]
        and (volume["spec"].get("claimRef") or {}).get("uid") == claim["metadata"]["uid"]
    )
