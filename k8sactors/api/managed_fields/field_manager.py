"""The field manager of a kind: what the server calls after an update, and to apply.

An object that has no `managedFields` is not tracked. The first apply to it gives all that is there
to the manager `before-first-apply`. What `kubectl apply` has written on the client's side (its
annotation says so) does not conflict with `kubectl apply --server-side`.

Source: apimachinery's `managedfields` (fieldmanager.go, skipnonapplied.go, lastappliedmanager.go,
lastappliedupdater.go).
"""

from __future__ import annotations

import json
from typing import Any, Final

from k8sactors.api import errors, schema
from k8sactors.api.errors import FIELD_MANAGER_CONFLICT, Cause, FieldConflictError, StatusError
from k8sactors.api.go_text import go_json
from k8sactors.api.kind import ResourceInfo
from k8sactors.api.managed_fields.comparing import compare
from k8sactors.api.managed_fields.field_set import EMPTY, FieldSet, difference, paths, union
from k8sactors.api.managed_fields.managers import (
    APPLY,
    UNKNOWN_MANAGER,
    UPDATE,
    Entries,
    Managed,
    Manager,
    Owned,
    decode,
    encode,
    is_reset,
    is_valid,
)
from k8sactors.api.managed_fields.ownership import Ownership, Versions
from k8sactors.api.managed_fields.typed import field_set, mismatches

Object = dict[str, Any]

BEFORE_FIRST_APPLY: Final = "before-first-apply"
KUBECTL: Final = "kubectl"
LAST_APPLIED: Final = "kubectl.kubernetes.io/last-applied-configuration"
_CONFLICT: Final = 409


class FieldManager:
    """Tracks the fields of one kind, as one version and subresource of it are written.

    `ignored` are the fields that such requests cannot set.
    """

    def __init__(
        self, info: ResourceInfo, subresource: str = "", ignored: FieldSet = EMPTY
    ) -> None:
        self._info = info
        self._subresource = subresource
        versions = Versions(info)
        self._type = versions.type_of(info.api_version)
        self._ownership = Ownership(versions, info.api_version, ignored)

    # updates

    def created(self, obj: Object, manager: str, now: str) -> Entries:
        """The entries of a new object; `obj` is in the version of the request."""
        managed = Managed()
        self._update(EMPTY, _plain(obj), managed, manager, now)
        return encode(managed)

    def entries_of(self, fields: FieldSet, manager: str, now: str) -> Entries:
        """The entries of a new object whose creator has set these fields."""
        creator = Manager(manager, UPDATE, self._info.api_version, self._subresource)
        return encode(Managed({creator: Owned(fields, self._info.api_version)}, {creator: now}))

    def updated(self, live: Object, new: Object, manager: str, now: str) -> Entries | None:
        """The entries of an object after an update; None: it has none.

        Both objects are in the version of the request. `new` has the entries that the client has
        sent: they count if they are valid, and a client may reset them. A subresource does not.
        """
        present: Entries = live["metadata"].get("managedFields") or []
        given = None if self._subresource else new["metadata"].get("managedFields")
        if is_reset(given):
            return None
        before = given if given and given is not present and is_valid(given) else present
        managed = decode(before)
        if managed is None or not managed.owned:
            return None
        if not self._update(_plain(live), _plain(new), managed, manager, now) and before is present:
            return present
        return encode(managed) or None

    def _update(self, live: Object, new: Object, managed: Managed, name: str, now: str) -> bool:
        """Whether any field has changed its manager."""
        before = dict(managed.owned)
        manager = Manager(
            name or UNKNOWN_MANAGER, UPDATE, self._info.api_version, self._subresource
        )
        if self._ownership.update(live, new, managed, manager):
            managed.times[manager] = now
            managed.merge_oldest()
        return managed.owned != before

    # apply

    def apply(
        self, live: Object | None, applied: Object, manager: str, now: str, *, force: bool
    ) -> Object:
        """The object that an applied configuration leads to, with its entries.

        `live` is the stored object in the version of the request, None: there is none. The result
        shares with it all that has not changed, and is `live` itself when nothing has.

        Raises:
            StatusError: 400, the configuration is malformed; 409, it changes fields of others.
        """
        fields = self._fields_of(applied)
        present = (live or EMPTY).get("metadata", EMPTY).get("managedFields")
        managed = decode(present)
        if managed is None:
            raise errors.internal_error("failed to decode managed fields")
        plain = EMPTY if live is None else _plain(live)
        if not managed.owned and live is not None:
            self._update(EMPTY, plain, managed, BEFORE_FIRST_APPLY, now)
        new, managed = self._merge(plain, applied, fields, managed, manager, force=force)
        changed = new is not plain and new != plain
        if changed:
            managed.times[Manager(manager, APPLY, "", self._subresource)] = now
        entries = encode(managed)
        if live is not None and not changed and entries == present:
            return live
        if manager == KUBECTL:
            new = _with_last_applied(new, applied)
        metadata = {**(new.get("metadata") or EMPTY)}
        if entries:
            metadata["managedFields"] = entries
        return {**new, "metadata": metadata}

    def _merge(
        self,
        live: Object,
        applied: Object,
        fields: FieldSet,
        managed: Managed,
        name: str,
        *,
        force: bool,
    ) -> tuple[Object, Managed]:
        manager = Manager(name, APPLY, "", self._subresource)
        attempt = managed if force else managed.copy()
        merge = self._ownership.apply
        try:
            return merge(live, applied, fields, attempt, manager, force=force), attempt
        except FieldConflictError as error:
            conflicts = error.conflicts
        if name == KUBECTL:
            conflicts = self._left_of_last_applied(live, conflicts)
        if conflicts:
            raise conflict(conflicts)
        attempt = managed.copy()
        return merge(live, applied, fields, attempt, manager, force=True), attempt

    def _fields_of(self, applied: Object) -> FieldSet:
        """The fields that a configuration names.

        Raises:
            StatusError: 400, it cannot be merged.
        """
        info = self._info
        version, kind = applied.get("apiVersion"), applied.get("kind")
        if version != info.api_version or kind != info.kind:
            raise errors.bad_request(f"invalid object type: {_gvk(version, kind)}")
        metadata = applied.get("metadata")
        if isinstance(metadata, dict) and metadata.get("managedFields") is not None:
            raise errors.bad_request("metadata.managedFields must be nil")
        text = ""
        if schema.validate(applied, info.schema):
            text = mismatches(applied, self._type)
        if not text:
            try:
                return field_set(applied, self._type)
            except errors.SchemaMismatchError:
                text = mismatches(applied, self._type)
        raise errors.bad_request(
            f"failed to create typed patch object ({_full_name(applied)}; {_gvk(version, kind)}): "
            f"{text}"
        )

    def _left_of_last_applied(self, live: Object, conflicts: Any) -> list[tuple[str, list[str]]]:
        """The conflicts that are not about what client-side apply has written and that is there."""
        annotations = (live.get("metadata") or EMPTY).get("annotations") or EMPTY
        try:
            last = json.loads(annotations.get(LAST_APPLIED) or "null")
        except ValueError:
            last = None
        if not isinstance(last, dict) or last.get("apiVersion") != self._info.api_version:
            return list(conflicts)
        try:
            fields = field_set(last, self._type)
        except errors.SchemaMismatchError:
            return list(conflicts)
        found = compare(last, live, self._type)
        changed = union(found.written(), found.removed)
        allowed = frozenset(paths(difference(fields, changed)))
        left = [
            (manager, [path for path in each if path not in allowed]) for manager, each in conflicts
        ]
        return [(manager, each) for manager, each in left if each]


def conflict(conflicts: Any) -> StatusError:
    """409: an applied configuration changes fields of other managers."""
    causes = [
        Cause(path, FIELD_MANAGER_CONFLICT, f"conflict with {manager}")
        for manager, each in conflicts
        for path in each
    ]
    if len(causes) == 1:
        cause = causes[0]
        text = f"Apply failed with 1 conflict: {cause.message}: {cause.field}"
    else:
        lines = [
            line
            for manager, each in conflicts
            for line in (f"conflicts with {manager}:", *(f"- {path}" for path in each))
        ]
        text = f"Apply failed with {len(causes)} conflicts: " + "\n".join(lines)
    return StatusError(_CONFLICT, "Conflict", text, causes=causes)


def _plain(obj: Object) -> Object:
    """The object without its entries."""
    metadata = obj["metadata"]
    if "managedFields" not in metadata:
        return obj
    rest = {key: value for key, value in metadata.items() if key != "managedFields"}
    return {**obj, "metadata": rest}


def _gvk(api_version: Any, kind: Any) -> str:
    """A kind as Go prints it: `apps/v1, Kind=Deployment`."""
    version = str(api_version or "")
    return f"{version if '/' in version else f'/{version}'}, Kind={kind or ''}"


def _full_name(obj: Object) -> str:
    metadata = obj.get("metadata")
    if not isinstance(metadata, dict):
        return "/"
    return f"{metadata.get('namespace') or ''}/{metadata.get('name') or ''}"


def _with_last_applied(new: Object, applied: Object) -> Object:
    """The object with its annotation of client-side apply up to date, if it has one."""
    metadata = new.get("metadata") or EMPTY
    annotations = metadata.get("annotations") or EMPTY
    if not annotations.get(LAST_APPLIED):
        return new
    given = applied.get("metadata") or EMPTY
    kept = {
        key: value
        for key, value in (given.get("annotations") or EMPTY).items()
        if key != LAST_APPLIED
    }
    written = {**given, "annotations": kept}
    text = go_json({**applied, "metadata": written}) + "\n"
    annotations = {**annotations, LAST_APPLIED: text}
    return {**new, "metadata": {**metadata, "annotations": annotations}}
