"""What an update or an apply does to an object and to the fields of all its managers.

Each manager's fields are in the version in which it has set them. Objects are converted to that
version before they are compared with them; a manager whose version is no longer served loses its
fields.

Source: `merge` of structured-merge-diff (update.go).
"""

from __future__ import annotations

from typing import Any, Final

from k8sactors.api.errors import FieldConflictError
from k8sactors.api.kind import ResourceInfo
from k8sactors.api.managed_fields.comparing import Comparison, compare
from k8sactors.api.managed_fields.field_set import (
    EMPTY,
    FieldSet,
    difference,
    intersection,
    paths,
    union,
    without,
)
from k8sactors.api.managed_fields.field_types import (
    FieldType,
    type_of_kind,
    type_of_schema,
)
from k8sactors.api.managed_fields.managers import Managed, Manager, Owned
from k8sactors.api.managed_fields.merging import merge, remove, with_named_fields
from k8sactors.api.managed_fields.typed import live_field_set, reconciled

Object = dict[str, Any]

# What every object has, and what the server keeps to itself: no manager owns these.
_SYSTEM_METADATA: Final = (
    "creationTimestamp",
    "generation",
    "managedFields",
    "name",
    "namespace",
    "resourceVersion",
    "selfLink",
    "uid",
)
SYSTEM_FIELDS: Final[FieldSet] = {
    "f:apiVersion": EMPTY,
    "f:kind": EMPTY,
    "f:metadata": {".": EMPTY, **{f"f:{name}": EMPTY for name in _SYSTEM_METADATA}},
}


class Versions:
    """The versions of a kind: their types, and conversion between them."""

    def __init__(self, info: ResourceInfo) -> None:
        self._kind = info.kind
        self._schema = info.record.schema
        self._served = {served.api_version: served for served in info.record.served}
        # The schema of a custom resource may change while its objects live.
        self.may_change = info.schema is not None

    def __contains__(self, api_version: str) -> bool:
        served = self._served.get(api_version)
        return served is not None and not served.only_stored

    def type_of(self, api_version: str) -> FieldType:
        """The type of the kind in a version."""
        schema = self._served[api_version].schema or self._schema
        if schema is not None:
            return type_of_schema(schema)
        return type_of_kind(api_version, self._kind)

    def convert(self, obj: Object, api_version: str, wanted: str) -> Object:
        """An object of one version in another one."""
        if api_version == wanted:
            return obj
        to_storage = self._served[api_version].to_storage
        from_storage = self._served[wanted].from_storage
        if to_storage is not None:
            obj = to_storage(obj)
        return obj if from_storage is None else from_storage(obj)


class Ownership:
    """What is done to objects of one kind by requests in one version.

    `ignored` are fields that such requests cannot set (the strategy resets them).
    """

    def __init__(self, versions: Versions, api_version: str, ignored: FieldSet) -> None:
        self._versions = versions
        self._api_version = api_version
        self._type = versions.type_of(api_version)
        self._ignored = ignored

    def update(self, live: Object, new: Object, managed: Managed, manager: Manager) -> FieldSet:
        """Give the fields in which `new` differs to a manager; the other managers lose them.

        Returns the fields.
        """
        self._follow_schema(managed)
        comparison = compare(live, new, self._type).without(self._ignored)
        self._take(live, new, comparison, managed, None, force=True)
        taken = difference(comparison.written(), SYSTEM_FIELDS)
        if taken:
            before = managed.owned.get(manager)
            if before is not None:
                taken = union(taken, before.fields)
            managed.owned[manager] = Owned(taken, self._api_version)
        return taken

    def apply(
        self,
        live: Object,
        applied: Object,
        fields: FieldSet,
        managed: Managed,
        manager: Manager,
        *,
        force: bool,
    ) -> Object:
        """The live object with an applied configuration; its fields are the manager's then.

        `fields` are those that the configuration names. What the manager has applied before and no
        manager owns now is removed.

        Raises:
            FieldConflictError: fields of other managers would change, and `force` is not set.
            SchemaMismatchError: an item of a list in the configuration has no key.
        """
        self._follow_schema(managed)
        fields = without(fields, self._ignored)
        kept = difference(fields, SYSTEM_FIELDS)
        new: Object = merge(live, applied, self._type)
        last = managed.owned.get(manager)
        if last is not None and (last.fields != kept or last.api_version != self._api_version):
            managed.owned[manager] = Owned(fields, self._api_version, applied=True)
            new = self._prune(new, last, fields, managed)
        if new is not live:
            comparison = compare(live, new, self._type).without(self._ignored)
            self._take(live, new, comparison, managed, manager, force=force)
        if kept:
            managed.owned[manager] = Owned(kept, self._api_version, applied=True)
        else:
            managed.owned.pop(manager, None)
        return new

    def _follow_schema(self, managed: Managed) -> None:
        """Let managers own as a whole what has become atomic since they have set it."""
        if not self._versions.may_change:
            return
        for manager, owned in managed.owned.items():
            if owned.api_version in self._versions:
                field_type = self._versions.type_of(owned.api_version)
                fields = reconciled(owned.fields, field_type)
                if fields is not owned.fields:
                    managed.owned[manager] = owned._replace(fields=fields)

    def _take(
        self,
        live: Object,
        new: Object,
        comparison: Comparison,
        managed: Managed,
        manager: Manager | None,
        *,
        force: bool,
    ) -> None:
        """Take the fields that have changed from all managers but one."""
        comparisons = {self._api_version: comparison}
        left: dict[Manager, FieldSet] = {}
        conflicts: list[tuple[Manager, FieldSet]] = []
        for other, owned in managed.owned.items():
            if other == manager:
                continue
            version = owned.api_version
            if version not in self._versions:
                left[other] = EMPTY
                continue
            found = comparisons.get(version)
            if found is None:
                found = comparisons[version] = self._compare_in(version, live, new)
            conflict = intersection(owned.fields, found.written())
            if conflict:
                conflicts.append((other, conflict))
            if conflict or found.removed:
                left[other] = difference(difference(owned.fields, conflict), found.removed)
        if conflicts and not force:
            conflicts.sort()
            raise FieldConflictError([(str(other), [*paths(each)]) for other, each in conflicts])
        for other, fields in left.items():
            if fields:
                managed.owned[other] = managed.owned[other]._replace(fields=fields)
            else:
                del managed.owned[other]

    def _compare_in(self, version: str, live: Object, new: Object) -> Comparison:
        convert, own = self._versions.convert, self._api_version
        old = convert(live, own, version) if live else live
        field_type = self._versions.type_of(version)
        return compare(old, convert(new, own, version), field_type).without(self._ignored)

    def _prune(self, merged: Object, last: Owned, fields: FieldSet, managed: Managed) -> Object:
        """Remove what was applied last time, is not applied now, and has no other owner."""
        version = last.api_version
        if version not in self._versions:
            return merged
        if version == self._api_version and not difference(last.fields, fields):
            return merged
        convert, own = self._versions.convert, self._api_version
        field_type = self._versions.type_of(version)
        obj = convert(merged, own, version)
        gone = with_named_fields(last.fields, field_type)
        pruned = remove(obj, gone, field_type) or {}
        pruned = self._add_back(obj, pruned, version, managed)
        everything = with_named_fields(live_field_set(obj, field_type), field_type)
        kept = with_named_fields(live_field_set(pruned, field_type), field_type)
        dangling = intersection(difference(everything, kept), gone)
        if not dangling:
            return merged
        return convert(remove(obj, dangling, field_type) or {}, version, own)

    def _add_back(self, obj: Object, pruned: Object, version: str, managed: Managed) -> Object:
        """The pruned object with all that some manager owns, in the version of `obj`."""
        owned: dict[str, FieldSet] = {version: EMPTY}
        for each in managed.owned.values():
            if each.api_version in self._versions:
                before = owned.get(each.api_version, EMPTY)
                owned[each.api_version] = union(before, each.fields)
        at = version
        for wanted, fields in owned.items():
            obj = self._versions.convert(obj, at, wanted)
            pruned = self._versions.convert(pruned, at, wanted)
            at = wanted
            field_type = self._versions.type_of(wanted)
            everything = with_named_fields(live_field_set(obj, field_type), field_type)
            kept = with_named_fields(live_field_set(pruned, field_type), field_type)
            kept = union(kept, with_named_fields(fields, field_type))
            pruned = remove(obj, difference(everything, kept), field_type) or {}
        return self._versions.convert(pruned, at, version)
