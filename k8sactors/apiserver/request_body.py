"""What a request carries, checked before anything is done with it: body, options, identity.

Everything after these checks may rely on the shape of what it reads: types are those of the kind's
schema, options have values that mean something.
"""

from __future__ import annotations

from typing import Any

import msgpack

from k8sactors.api import codec, decoding, errors, schema
from k8sactors.api.errors import (
    FIELD_UNKNOWN,
    FIELD_VALUE_NOT_SUPPORTED,
    Cause,
    DecodingError,
    StatusError,
)
from k8sactors.api.go_values import is_exact
from k8sactors.api.schema import Schema
from k8sactors.apiserver.call import Call

Object = dict[str, Any]

STRICT, WARN, IGNORE = "Strict", "Warn", "Ignore"
# The type of a patch that is an applied configuration.
APPLY = "apply"
# Fields of metadata that are read before the whole object is checked.
_TEXTS = ("name", "generateName", "namespace", "uid", "resourceVersion")


def decode_value(call: Call) -> Any:
    """The JSON value in a request's body.

    Raises:
        StatusError: 400, there is none, or it cannot be decoded; 413, it is too large.
    """
    body = call.body
    if body is None:
        raise errors.bad_request("the request has no body")
    if len(body) > call.environment.settings.max_body_bytes:
        limit_bytes = call.environment.settings.max_body_bytes
        raise errors.request_entity_too_large(f"limit is {limit_bytes}")
    try:
        return codec.decode_value(body)
    except (ValueError, msgpack.UnpackException) as error:
        raise errors.bad_request(f"the body of the request cannot be decoded: {error}") from error


def decode_object(call: Call, kind: str) -> Object:
    """The object in a request's body; `kind` is what it should be.

    Raises:
        StatusError: 400 or 413.
    """
    obj = decode_value(call)
    if not isinstance(obj, dict):
        raise errors.bad_request(
            f"the object provided is unrecognized (must be of type {kind}): the body is not a "
            "JSON object"
        )
    return obj


def mark_reset(obj: Object) -> None:
    """Keep that managedFields are reset: an empty list would be absent once it is decoded."""
    metadata = obj.get("metadata")
    if type(metadata) is dict and metadata.get("managedFields") == []:
        obj["metadata"] = {**metadata, "managedFields": [{}]}


def set_kind(obj: Object, api_version: str, kind: str, own: Schema | None = None) -> None:
    """Fill in or compare apiVersion and kind; `own` is the schema of a kind that is not built in.

    Raises:
        StatusError: 400, the body is of another kind; 422, of another kind than a custom resource.
    """
    if obj.get("kind") == kind and obj.get("apiVersion") == api_version:
        return
    given_version, given_kind = obj.get("apiVersion") or api_version, obj.get("kind") or kind
    if own is not None and given_version == api_version and given_kind != kind:
        raise _other_kind(obj, api_version.rpartition("/")[0], str(given_kind), kind)
    if given_version != api_version or given_kind != kind:
        raise errors.bad_request(
            f'{given_kind} in version "{given_version}" cannot be handled as a {kind}: '
            f'no kind "{given_kind}" is registered for this resource ({api_version})'
        )
    # apiVersion and kind come first in an object that is printed.
    rest = {key: value for key, value in obj.items() if key not in {"apiVersion", "kind"}}
    obj.clear()
    obj["apiVersion"] = api_version
    obj["kind"] = kind
    obj.update(rest)


def _other_kind(obj: Object, group: str, given: str, kind: str) -> StatusError:
    metadata = obj.get("metadata")
    name = str(metadata.get("name") or "") if isinstance(metadata, dict) else ""
    cause = Cause("kind", errors.FIELD_VALUE_INVALID, f'Invalid value: "{given}": must be {kind}')
    message = f'{errors.qualified(given, group)} "{name}" is invalid: {cause}'
    return StatusError(
        errors.UNPROCESSABLE,
        "Invalid",
        message,
        causes=[cause],
        name=name,
        group=group,
        kind=given,
    )


def metadata_of(obj: Object) -> Object:
    """The object's metadata; an empty one is put in when it is missing.

    Raises:
        StatusError: 400, it is not an object, or what identifies the object is not text.
    """
    metadata = obj.get("metadata")
    if metadata is None:
        metadata = obj["metadata"] = {}
        return metadata
    if not isinstance(metadata, dict):
        raise _wrong_type(obj, metadata, "metadata", "v1.ObjectMeta")
    get = metadata.get
    for field in _TEXTS:
        value = get(field)
        if value is not None and type(value) is not str:
            raise _wrong_type(obj, value, f"ObjectMeta.metadata.{field}", "string")
    return metadata


def _wrong_type(obj: Object, value: Any, path: str, go_type: str) -> DecodingError:
    kind = obj.get("kind")
    field = path if path.startswith("ObjectMeta") else f"{kind}.{path}"
    version = str(obj.get("apiVersion", "")).rpartition("/")[2]
    found = schema.json_type(value)
    detail = f"json: cannot unmarshal {found} into Go struct field {field} of type {go_type}"
    return DecodingError(str(kind), version, detail)


def check_form(call: Call, obj: Object, own: Schema | None = None) -> Object:
    """What the types of its kind hold of an object: empty plain fields are absent.

    Unknown fields are refused or dropped, as asked for. `own` is the schema of a kind that is not
    built in.

    Raises:
        StatusError: 400, wrong types, bytes that are no base64, or unknown fields while validation
            is strict.
    """
    if own is None and is_exact(obj):
        return obj
    causes = schema.validate(obj, own)
    if not causes:
        return decoding.held(obj, own)
    directive = call.options.get("fieldValidation") or STRICT
    unknown = all(cause.reason == FIELD_UNKNOWN for cause in causes)
    if directive == STRICT or not unknown:
        raise schema.decoding_error(obj, causes)
    if directive == WARN:
        call.warnings = [*call.warnings, *(cause.message for cause in causes)]
    return decoding.held(schema.without_unknown_fields(obj, own), own)


def complete(call: Call, obj: Object) -> Object:
    """What an object that a client has sent is stored as, before admission.

    Raises:
        StatusError: 400.
    """
    info = call.resource.info
    checked = check_form(call, obj, info.schema)
    if info.served.warning:
        call.warnings = [*call.warnings, info.served.warning]
    return decoding.to_storage(info, decoding.with_defaults(info, checked))


_OPTIONS_KINDS = {"create": "CreateOptions", "update": "UpdateOptions", "patch": "PatchOptions"}
_FIELD_MANAGER_MAX = 128


def check_options(call: Call) -> None:
    """Refuse options of a write whose values mean nothing.

    Raises:
        StatusError: 422.
    """
    options = call.options
    causes: list[Cause] = []
    manager = options.get("fieldManager")
    if manager is not None:
        _check_manager(manager, causes)
    if call.verb == "patch":
        _check_apply(options, causes)
    if options.get("dryRun"):
        check_dry_run(options["dryRun"], causes)
    directive = options.get("fieldValidation")
    if directive and directive not in {STRICT, WARN, IGNORE}:
        text = f'Unsupported value: "{directive}": supported values: "", "Ignore", "Strict", "Warn"'
        causes.append(Cause("fieldValidation", FIELD_VALUE_NOT_SUPPORTED, text))
    if causes:
        raise invalid_options(_OPTIONS_KINDS.get(call.verb, "DeleteOptions"), causes)


def _check_apply(options: Object, causes: list[Cause]) -> None:
    """An apply says who applies; no other patch is forced."""
    if options.get("patchType") == APPLY:
        if not options.get("fieldManager"):
            text = "Required value: is required for apply patch"
            causes.append(Cause("fieldManager", errors.FIELD_VALUE_REQUIRED, text))
    elif options.get("force") is not None:
        text = "Forbidden: may not be specified for non-apply patch"
        causes.append(Cause("force", errors.FIELD_VALUE_FORBIDDEN, text))


def check_dry_run(value: Any, causes: list[Cause]) -> None:
    """`dryRun` is "All", alone or in a list."""
    values = value if isinstance(value, list) else [value]
    if any(item != "All" for item in values):
        shown = ", ".join(f'"{item}"' for item in values)
        text = f'Unsupported value: [{shown}]: supported values: "All"'
        causes.append(Cause("dryRun", FIELD_VALUE_NOT_SUPPORTED, text))


def _check_manager(manager: Any, causes: list[Cause]) -> None:
    text = str(manager)
    if len(text) > _FIELD_MANAGER_MAX:
        detail = f"Too long: may not be more than {_FIELD_MANAGER_MAX} bytes"
        causes.append(Cause("fieldManager", errors.FIELD_VALUE_TOO_LONG, detail))
    for place, character in enumerate(text):
        if not character.isprintable():
            detail = (
                f"Invalid value: {text!r}: invalid character U+{ord(character):04X} "
                f"(at position {place})"
            )
            causes.append(Cause("fieldManager", errors.FIELD_VALUE_INVALID, detail))


def invalid_options(kind: str, causes: list[Cause]) -> StatusError:
    """422: the options of a request mean nothing."""
    message = f'{kind}.meta.k8s.io "" is invalid: {errors.aggregate(causes)}'
    return StatusError(422, "Invalid", message, causes=causes, group="meta.k8s.io", kind=kind)


def decode_delete_options(call: Call) -> Object:
    """The DeleteOptions of a request: those of its query, replaced by those in its body.

    Raises:
        StatusError: 400 or 422.
    """
    options = dict(call.options)
    if call.body:
        body = decode_object(call, "DeleteOptions")
        if body.get("kind", "DeleteOptions") != "DeleteOptions":
            raise errors.bad_request("the body of a delete must be DeleteOptions")
        options.update(body)
    return check_delete_options(options)


def check_delete_options(options: Object) -> Object:
    """DeleteOptions whose types are right and whose values mean something.

    Raises:
        StatusError: 400 or 422.
    """
    given = options.get("dryRun")
    if given and not isinstance(given, list):
        options = {**options, "dryRun": [given]}
    known = schema.without_unknown_fields({**options, "apiVersion": "v1", "kind": "DeleteOptions"})
    causes = schema.validate(known)
    if causes:
        raise schema.decoding_error(known, causes)
    causes = []
    policy = known.get("propagationPolicy")
    if policy is not None and known.get("orphanDependents") is not None:
        text = f'Invalid value: "{policy}": orphanDependents and deletionPropagation cannot be both'
        causes.append(Cause("propagationPolicy", errors.FIELD_VALUE_INVALID, f"{text} set"))
    if policy not in {None, "Background", "Foreground", "Orphan"}:
        text = (
            f'Unsupported value: "{policy}": supported values: "Foreground", "Background", '
            '"Orphan", "nil"'
        )
        causes.append(Cause("propagationPolicy", FIELD_VALUE_NOT_SUPPORTED, text))
    check_dry_run(known.get("dryRun") or [], causes)
    if causes:
        raise invalid_options("DeleteOptions", causes)
    return known
