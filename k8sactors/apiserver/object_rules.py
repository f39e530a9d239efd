"""What every object must obey on its way in: identity, system fields, what cannot change.

Sources: API conventions ("Metadata") and the generic registry's BeforeCreate and BeforeUpdate.
"""

from __future__ import annotations

from typing import Any

from k8sactors.api import errors, meta
from k8sactors.api.errors import Cause
from k8sactors.apiserver.call import Call
from k8sactors.apiserver.resource import Resource

Object = dict[str, Any]

UNSET_VERSIONS = {None, "", "0"}


def set_namespace(metadata: Object, call: Call) -> None:
    """Put the object where the request says.

    Raises:
        StatusError: 400, the object says something else.
    """
    if not call.resource.info.namespaced:
        metadata.pop("namespace", None)
        return
    given = metadata.get("namespace")
    if given != call.namespace:
        if given:
            raise errors.bad_request(
                "the namespace of the provided object does not match the namespace sent on the "
                "request"
            )
        metadata["namespace"] = call.namespace


def check_name(metadata: Object, call: Call) -> None:
    """Refuse an object that is not the one in the request's path.

    Raises:
        StatusError: 400.
    """
    given = metadata.get("name")
    if not given:
        metadata["name"] = call.name
    elif given != call.name:
        raise errors.bad_request(
            f"the name of the object ({given}) does not match the name on the URL ({call.name})"
        )


def stamp_new(metadata: Object, rng: Any, now: str) -> None:
    """Set identity and creation time; what the client sent in system fields is dropped.

    Raises:
        StatusError: 400, the client has set resourceVersion.
    """
    if metadata.pop("resourceVersion", None):
        raise errors.bad_request("resourceVersion should not be set on objects to be created")
    for field in ("deletionTimestamp", "deletionGracePeriodSeconds", "selfLink", "managedFields"):
        metadata.pop(field, None)
    if not metadata.get("name") and metadata.get("generateName"):
        metadata["name"] = meta.generate_name(metadata["generateName"], rng)
    metadata["uid"] = meta.new_uid(rng)
    metadata["creationTimestamp"] = now


_CARRIED = (
    "uid",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "generation",
    "generateName",
)


def carry_system_fields(new: Object, old: Object, resource: Resource) -> None:
    """What an update cannot change, it keeps.

    Raises:
        StatusError: 409, the update means an object of another uid.
    """
    metadata, before = new["metadata"], old["metadata"]
    uid = metadata.get("uid")
    if uid and uid != before.get("uid"):
        raise errors.conflict(
            resource.info,
            before["name"],
            f"Precondition failed: UID in precondition: {uid}, UID in object meta: "
            f"{before.get('uid')}",
        )
    metadata.pop("selfLink", None)
    for field in _CARRIED:
        if field in before:
            metadata[field] = before[field]
        else:
            metadata.pop(field, None)


def check_resource_version(
    metadata: Object, mod_revision: int, resource: Resource, name: str
) -> None:
    """Optimistic concurrency: the client's version must be the stored one, if it names one.

    Raises:
        StatusError: 409 stale, 422 the kind demands a version.
    """
    version = metadata.pop("resourceVersion", None)
    if version in UNSET_VERSIONS:
        if not resource.strategy.unconditional_update:
            raise version_required(resource, name)
        return
    if version != str(mod_revision):
        raise errors.conflict(resource.info, name)


def version_required(resource: Resource, name: str) -> errors.StatusError:
    """422: this kind has no unconditional update."""
    cause = Cause(
        "metadata.resourceVersion",
        "FieldValueInvalid",
        "Invalid value: 0: must be specified for an update",
    )
    info = resource.info
    message = f'{info.name} "{name}" is invalid: {cause}'
    return errors.StatusError(
        422, "Invalid", message, causes=[cause], name=name, group=info.group, kind=info.plural
    )


def check_finalizers(new: Object, old: Object, resource: Resource) -> None:
    """No finalizer may be added to an object that is being deleted.

    Raises:
        StatusError: 422.
    """
    before = old["metadata"]
    if not before.get("deletionTimestamp"):
        return
    present = before.get("finalizers") or ()
    added = [name for name in new["metadata"].get("finalizers") or () if name not in present]
    if added:
        listed = ", ".join(f'"{name}"' for name in added)
        cause = Cause(
            "metadata.finalizers",
            "FieldValueForbidden",
            "Forbidden: no new finalizers can be added if the object is being deleted, found "
            f"new finalizers []string{{{listed}}}",
        )
        raise errors.invalid(resource.info, before["name"], [cause])
