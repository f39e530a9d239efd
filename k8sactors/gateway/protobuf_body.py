"""The protobuf side of a request: which kinds have that form, and the object in a body.

Custom resources have none; the options of a delete have it whatever is deleted.
"""

from __future__ import annotations

from typing import Any, Final

from k8sactors.api import errors, protobuf
from k8sactors.api.errors import DecodingError, ProtobufError, StatusError
from k8sactors.api.kind import ResourceInfo
from k8sactors.gateway.negotiation import (
    CUSTOM_OBJECTS,
    CUSTOM_WATCHES,
    OBJECTS,
    WATCHES,
    Offer,
)
from k8sactors.gateway.paths import Target

DELETES: Final = frozenset({"delete", "deletecollection"})
_DELETE_OPTIONS: Final = "DeleteOptions"
# How much of a body an error shows.
_SUMMARY_BYTES: Final = 30


def has_form(info: ResourceInfo) -> bool:
    """Whether the objects of a resource can be had in protobuf."""
    return info.schema is None and protobuf.has_form(info.api_version, info.kind)


def offer_of(info: ResourceInfo, *, streams: bool) -> Offer:
    """The forms in which the objects of a resource can be had."""
    if has_form(info):
        return WATCHES if streams else OBJECTS
    return CUSTOM_WATCHES if streams else CUSTOM_OBJECTS


def takes(target: Target, verb: str) -> bool:
    """Whether the body of a request may be protobuf."""
    return verb in DELETES or (verb != "patch" and has_form(target.info))


def decode_body(data: bytes, target: Target, verb: str) -> Any:
    """The object in a body.

    Raises:
        StatusError: 400, it is malformed or says no kind that is known.
    """
    api_version, kind = target.info.api_version, target.info.kind
    if verb in DELETES:
        api_version, kind = "v1", _DELETE_OPTIONS
    # The kind of a subresource's object is known to the server alone.
    default = ("", "") if target.subresource else (api_version, kind)
    try:
        return protobuf.decode(data, *default)
    except ProtobufError as error:
        raise _refused(error, data, kind) from error


def _refused(error: ProtobufError, data: bytes, wanted: str) -> StatusError:
    if error.kind:
        version = error.api_version.rpartition("/")[2]
        return DecodingError(error.kind, version, str(error))
    shown = data[:_SUMMARY_BYTES].hex() + " ..." if len(data) > _SUMMARY_BYTES else data.hex()
    return errors.bad_request(
        f"the object provided is unrecognized (must be of type {wanted}): "
        f"{error} ({shown or '<empty>'})"
    )
