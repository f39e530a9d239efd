"""Who manages which field: server-side apply and the `managedFields` of every object.

    field_set    sets of fields in their stored form (fieldsV1), and set arithmetic
    field_types  how the fields of a kind merge, from its schema: scalar, list, set, map, atomic
    typed        does an applied configuration fit the schema?
    merging      one object merged into another; items taken out of an object
    comparing    which fields two objects differ in
    managers     the entries of `metadata.managedFields`
    ownership    what an update or an apply does to the sets of all managers; conflicts
    field_manager  the two operations of a server: an update was made, a configuration is applied

All of it is driven by schemas: a custom resource is merged by the same code as a pod. Sources:
KEP-555 (server-side apply), the documentation of server-side apply, and the behaviour of
sigs.k8s.io/structured-merge-diff and apimachinery's `managedfields`.
"""

from __future__ import annotations

from k8sactors.api.managed_fields.field_manager import FieldManager
from k8sactors.api.managed_fields.managers import Entries, is_reset

__all__ = ["Entries", "FieldManager", "is_reset"]
