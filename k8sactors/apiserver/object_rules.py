"""What every object must obey on its way in: identity, system fields, what cannot change.

Sources: API conventions ("Metadata") and the generic registry's BeforeCreate and BeforeUpdate.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from k8sactors.api import codec, errors, meta
from k8sactors.api.errors import Cause

if TYPE_CHECKING:
    from k8sactors.apiserver.call import Call
    from k8sactors.apiserver.resource import Resource

Object = dict[str, Any]

UNSET_VERSIONS = {None, "", "0"}


def decode_body(call: Call, limit_bytes: int) -> Object:
    """The object in a request's body, of the resource's kind.

    Raises:
        StatusError: 400 or 413.
    """
    body = call.body
    if body is None:
        raise errors.bad_request("the request has no body")
    if len(body) > limit_bytes:
        raise errors.request_entity_too_large(f"limit is {limit_bytes}")
    obj = codec.decode_value(body)
    if not isinstance(obj, dict):
        raise errors.bad_request(
            "the object provided is unrecognized (must be of type "
            f"{call.resource.info.kind}): the body is not a JSON object"
        )
    return obj


def check_kind(obj: Object, resource: Resource) -> None:
    """Fill in or compare apiVersion and kind.

    Raises:
        StatusError: 400, the body is of another kind.
    """
    info = resource.info
    api_version, kind = info.api_version, info.kind
    if obj.get("kind") == kind and obj.get("apiVersion") == api_version:
        return
    given_version, given_kind = obj.get("apiVersion") or api_version, obj.get("kind") or kind
    if given_version != api_version or given_kind != kind:
        raise errors.bad_request(
            f"{given_kind} in version {_quoted(given_version)} cannot be handled as a {kind}: "
            f"no kind {_quoted(given_kind)} is registered for this resource ({api_version})"
        )
    # apiVersion and kind come first in an object that is printed.
    rest = {key: value for key, value in obj.items() if key not in {"apiVersion", "kind"}}
    obj.clear()
    obj["apiVersion"] = api_version
    obj["kind"] = kind
    obj.update(rest)


def _quoted(text: Any) -> str:
    return f'"{text}"'


def metadata_of(obj: Object) -> Object:
    """The object's metadata; an empty one is put in when it is missing.

    Raises:
        StatusError: 400, it is not an object.
    """
    metadata = obj.get("metadata")
    if metadata is None:
        metadata = obj["metadata"] = {}
    elif not isinstance(metadata, dict):
        raise errors.bad_request(
            f"{obj.get('kind')} in version {_quoted(obj.get('apiVersion'))} cannot be handled as "
            f"a {obj.get('kind')}: json: cannot unmarshal into Go struct field "
            f"{obj.get('kind')}.metadata of type v1.ObjectMeta"
        )
    return metadata


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
    metadata.pop("managedFields", None)
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
