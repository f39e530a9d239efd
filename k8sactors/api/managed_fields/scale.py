"""The managers of a workload as its Scale shows them, and back.

A Scale has one field of its workload, the number of replicas. Who manages the one manages the
other.

Source: apimachinery's `managedfields` (scalehandler.go).
"""

from __future__ import annotations

from typing import Final

from k8sactors.api.kind import ResourceInfo
from k8sactors.api.managed_fields.field_set import EMPTY, FieldSet, difference, intersection
from k8sactors.api.managed_fields.managers import Entries, Managed, Manager, Owned, decode, encode

SCALE_VERSION: Final = "autoscaling/v1"
REPLICAS: Final[FieldSet] = {"f:spec": {"f:replicas": EMPTY}}


def entries_of_scale(info: ResourceInfo, entries: Entries | None) -> Entries:
    """The entries that the Scale of a workload with these entries has."""
    shown = Managed()
    replicas = _replicas_of_versions(info)
    for manager, owned, time in _managers(entries):
        field = replicas.get(owned.api_version)
        if field and intersection(owned.fields, field):
            shown.owned[manager] = Owned(REPLICAS, SCALE_VERSION, owned.applied)
            if time:
                shown.times[manager] = time
    return encode(shown)


def entries_of_workload(
    info: ResourceInfo, entries: Entries | None, of_scale: Entries | None
) -> Entries:
    """The entries of a workload after its Scale has got other ones."""
    scale = {manager._replace(api_version=""): owned for manager, owned, _ in _managers(of_scale)}
    result = Managed()
    replicas = _replicas_of_versions(info)
    for manager, owned, time in _managers(entries):
        field = replicas.get(owned.api_version)
        if field is None:
            continue
        fields = owned.fields
        if intersection(fields, field):
            # Else another manager has taken the number of replicas.
            kept = scale.pop(manager._replace(api_version=""), None) is not None
            fields = fields if kept else difference(fields, field)
        if fields:
            result.owned[manager] = owned._replace(fields=fields)
            if time:
                result.times[manager] = time
    field = replicas[info.api_version]
    for manager, owned in scale.items():
        if field and intersection(owned.fields, REPLICAS):
            version = "" if owned.applied else info.api_version
            added = manager._replace(api_version=version)
            result.owned[added] = Owned(field, info.api_version, owned.applied)
    return encode(result)


def _replicas_of_versions(info: ResourceInfo) -> dict[str, FieldSet]:
    """By served version: the field with the number of replicas, empty where there is none."""
    own = info.record.schema is not None or info.schema is not None
    return {
        served.api_version: (EMPTY if own else REPLICAS)
        if served.scale is None
        else _field(served.scale.spec_replicas)
        for served in info.record.served
        if not served.only_stored
    }


def _field(path: str) -> FieldSet:
    """The set of one field: `.spec.replicas`."""
    node: FieldSet = EMPTY
    for name in reversed(path.strip(".").split(".")):
        node = {f"f:{name}": node}
    return node


def _managers(entries: Entries | None) -> list[tuple[Manager, Owned, str | None]]:
    managed = decode(entries) or Managed()
    return [
        (manager, owned, managed.times.get(manager)) for manager, owned in managed.owned.items()
    ]
