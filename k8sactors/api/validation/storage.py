"""Rules for volumes, claims, storage classes and attachments."""

from __future__ import annotations

from fractions import Fraction

from k8sactors.api import quantity
from k8sactors.api.errors import QuantityError
from k8sactors.api.validation.fields import (
    Causes,
    Object,
    check_one_of,
    forbidden,
    not_supported,
    required,
)
from k8sactors.api.validation.metadata import check_selector
from k8sactors.api.validation.resources import check_amount

_ACCESS_MODES = ("ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod")
_VOLUME_MODES = ("Block", "Filesystem")
_RECLAIM = ("Delete", "Recycle", "Retain")
_NOT_SOURCES = {
    "accessModes",
    "capacity",
    "claimRef",
    "mountOptions",
    "nodeAffinity",
    "persistentVolumeReclaimPolicy",
    "storageClassName",
    "volumeAttributesClassName",
    "volumeMode",
}


def _check_access_modes(spec: Object, causes: Causes) -> None:
    modes = spec.get("accessModes") or []
    if not modes:
        causes.append(required("spec.accessModes", "at least 1 access mode is required"))
    for mode in modes:
        if mode not in _ACCESS_MODES:
            causes.append(not_supported("spec.accessModes", mode, _ACCESS_MODES))


def check_claim(obj: Object, causes: Causes) -> None:
    """A PersistentVolumeClaim."""
    spec = obj.get("spec") or {}
    _check_access_modes(spec, causes)
    check_selector(spec.get("selector"), "spec.selector", causes)
    storage = ((spec.get("resources") or {}).get("requests") or {}).get("storage")
    if storage is None:
        causes.append(required("spec.resources[storage]"))
    else:
        check_amount(storage, "spec.resources[storage]", causes)
    check_one_of(spec, "volumeMode", _VOLUME_MODES, "spec", causes)


def _storage(spec: Object) -> Fraction:
    text = ((spec.get("resources") or {}).get("requests") or {}).get("storage")
    try:
        return quantity.parse(text) if text is not None else Fraction()
    except QuantityError:
        return Fraction()


def check_claim_update(old: Object, new: Object, causes: Causes) -> None:
    """A claim's spec is fixed, except that it may be bound, and may ask for more when bound."""
    before, after = old.get("spec") or {}, new.get("spec") or {}
    bound = not before.get("volumeName") and after.get("volumeName")
    free = {"resources", "volumeAttributesClassName"} | ({"volumeName"} if bound else set())
    if before.get("storageClassName") is None and not before.get("volumeName"):
        free.add("storageClassName")  # a default class may come after the claim (KEP-3333)
    fields = dict.fromkeys([*before, *after])
    if any(before.get(key) != after.get(key) for key in fields if key not in free):
        detail = (
            "spec is immutable after creation except resources.requests and "
            "volumeAttributesClassName for bound claims"
        )
        causes.append(forbidden("spec", detail))
    if _storage(after) < _storage(before):
        detail = "field can not be less than previous value"
        causes.append(forbidden("spec.resources.requests.storage", detail))


def check_persistent_volume(obj: Object, causes: Causes) -> None:
    """A PersistentVolume."""
    spec = obj.get("spec") or {}
    _check_access_modes(spec, causes)
    capacity = spec.get("capacity") or {}
    if not capacity:
        causes.append(required("spec.capacity"))
    elif "storage" not in capacity:
        causes.append(not_supported("spec.capacity", next(iter(capacity)), ("storage",)))
    for name, value in capacity.items():
        check_amount(value, f"spec.capacity[{name}]", causes)
    check_one_of(spec, "persistentVolumeReclaimPolicy", _RECLAIM, "spec", causes)
    check_one_of(spec, "volumeMode", _VOLUME_MODES, "spec", causes)
    sources = [key for key in spec if key not in _NOT_SOURCES and spec[key] is not None]
    if not sources:
        causes.append(required("spec", "must specify a volume type"))
    for other in sorted(sources, key=lambda name: name != "hostPath")[1:]:
        detail = "may not specify more than 1 volume type"
        causes.append(forbidden(f"spec.{other}", detail))


def check_persistent_volume_update(old: Object, new: Object, causes: Causes) -> None:
    """Where a volume's data is cannot change."""
    before, after = old.get("spec") or {}, new.get("spec") or {}
    fields = dict.fromkeys([*before, *after])
    if any(before.get(key) != after.get(key) for key in fields if key not in _NOT_SOURCES):
        detail = "spec.persistentvolumesource is immutable after creation"
        causes.append(forbidden("spec.persistentvolumesource", detail))


def check_storage_class(obj: Object, causes: Causes) -> None:
    """A StorageClass."""
    if not obj.get("provisioner"):
        causes.append(required("provisioner"))
    check_one_of(obj, "reclaimPolicy", ("Delete", "Retain"), "", causes)
    modes = ("Immediate", "WaitForFirstConsumer")
    if not obj.get("volumeBindingMode"):
        causes.append(required("volumeBindingMode"))
    check_one_of(obj, "volumeBindingMode", modes, "", causes)


def check_storage_class_update(old: Object, new: Object, causes: Causes) -> None:
    """What a StorageClass makes cannot change."""
    for field in ("parameters", "provisioner", "reclaimPolicy", "volumeBindingMode"):
        if (old.get(field) or {}) != (new.get(field) or {}):
            causes.append(forbidden(field, f"updates to {field} are forbidden."))


def check_volume_attachment(obj: Object, causes: Causes) -> None:
    """A VolumeAttachment."""
    spec = obj.get("spec") or {}
    for field in ("attacher", "nodeName"):
        if not spec.get(field):
            causes.append(required(f"spec.{field}"))
    source = spec.get("source") or {}
    if not source.get("persistentVolumeName") and not source.get("inlineVolumeSpec"):
        detail = "must specify exactly one of inlineVolumeSpec and persistentVolumeName"
        causes.append(required("spec.source", detail))
