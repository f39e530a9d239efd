"""From what a client sends to what is stored, and back: form, defaults, conversion.

A client writes and reads objects in the version that it asks for; stored is one form per kind. What
arrives is decoded strictly, gets the defaults of its own version and is converted; what leaves is
converted back. In the storage version, leaving costs nothing.
"""

from __future__ import annotations

from typing import Any

from k8sactors.api import schema
from k8sactors.api.errors import FIELD_VALUE_TYPE_INVALID, Base64Error, Cause
from k8sactors.api.go_values import is_exact, metadata_struct, struct_of
from k8sactors.api.kind import ResourceInfo
from k8sactors.api.schema import Schema

Object = dict[str, Any]


def decode(info: ResourceInfo, obj: Object) -> Object:
    """Strict decoding of an object in the version of `info`: what its types hold of it.

    Raises:
        StatusError: 400, unknown fields, wrong types or bytes that are no base64.
    """
    own = info.schema
    if own is None and is_exact(obj):
        return obj
    causes = schema.validate(obj, own)
    if causes:
        raise schema.decoding_error(obj, causes)
    return held(obj, own)


def held(obj: Object, own: Schema | None = None) -> Object:
    """What the types of a server hold of an object of the right form.

    `own` is the schema of a kind that is not built in.

    Raises:
        StatusError: 400, bytes that are no base64.
    """
    if own is not None:
        metadata = obj.get("metadata")
        kept = metadata_struct()(metadata)
        return obj if kept is metadata else {**obj, "metadata": kept}
    try:
        found: Object = struct_of(obj["apiVersion"], obj["kind"])(obj)
    except Base64Error as error:
        cause = Cause("", FIELD_VALUE_TYPE_INVALID, str(error))
        raise schema.decoding_error(obj, [cause]) from error
    return found


def with_defaults(info: ResourceInfo, obj: Object) -> Object:
    """The object with the defaults of its version."""
    default = info.served.default
    return obj if default is None else default(obj)


def to_storage(info: ResourceInfo, obj: Object) -> Object:
    """The object, given in the version of `info`, in the form in which it is stored."""
    convert = info.served.to_storage
    return obj if convert is None else convert(obj)


def from_storage(info: ResourceInfo, obj: Object) -> Object:
    """A stored object in the version of `info`."""
    convert = info.served.from_storage
    return obj if convert is None else convert(obj)


def complete(info: ResourceInfo, obj: Object) -> Object:
    """What an object that a client has sent is stored as, before admission.

    Raises:
        StatusError: 400, unknown fields, wrong types or bytes that are no base64.
    """
    return to_storage(info, with_defaults(info, decode(info, obj)))
