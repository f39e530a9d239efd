"""The patch in a request's body: what it makes of an object, and its errors in the API's words.

A patch that is no patch is a 400 with the text of Go's decoder. A JSON patch that cannot be applied
is a 422 without details, as the real server answers. A result that has not the form of its kind is
a 422 that shows the patch. Source: `endpoints/handlers/patch.go` of the real server.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

from k8sactors.api import errors, schema
from k8sactors.api import patch as patches
from k8sactors.api.errors import FIELD_VALUE_INVALID, Cause, DecodingError, PatchError, StatusError
from k8sactors.api.go_text import go_format, go_json, go_quoted
from k8sactors.apiserver import request_body
from k8sactors.apiserver.call import Call

Object = dict[str, Any]

JSON, MERGE, STRATEGIC = "json", "merge", "strategic"
_OPERATION_FIELDS = ("op", "path", "from")
_REJECTED: Final = "the server rejected our request due to an error in our request"
_UNMARSHAL = re.compile(
    r"json: cannot unmarshal (\w+)(?: \S+)? into Go struct field \S+ of type (.+)"
)
# JSON types as reflection names the values that a decoder has made of them: type and kind.
_GO_VALUES = {
    "string": ("string", "string"),
    "bool": ("bool", "bool"),
    "number": ("int64", "int64"),
    "array": ("[]interface {}", "slice"),
    "object": ("map[string]interface {}", "map"),
}
# Types with a decoder of their own, whose errors are the decoder's.
_DECODED = frozenset({"v1.Time", "v1.MicroTime", "intstr.IntOrString", "resource.Quantity"})


class Patch:
    """A patch of one of the three types, decoded."""

    def __init__(self, call: Call) -> None:
        """Decode the patch in a call's body.

        Raises:
            StatusError: 400, 413 or 415, it is no patch.
        """
        self.kind: str = call.options.get("patchType") or MERGE
        if self.kind not in {MERGE, JSON, STRATEGIC}:
            raise errors.unsupported_media_type(
                f"the body of the request was in an unknown format: patch type {self.kind}"
            )
        self.document: Any = request_body.decode_value(call)
        if self.kind == JSON:
            _check_operations(self.document)
        elif not isinstance(self.document, dict):
            prefix = "" if self.kind == STRATEGIC else "error decoding patch: "
            raise errors.bad_request(
                f"{prefix}json: cannot unmarshal {schema.json_type(self.document)} into Go value "
                "of type map[string]interface {}"
            )

    def apply(self, obj: Object) -> Object:
        """The patched object.

        Raises:
            StatusError: 400 or 422, the patch does not fit the object.
        """
        try:
            if self.kind == JSON:
                return patches.json_patch(obj, self.document)
            if self.kind == STRATEGIC:
                return patches.strategic_merge(obj, self.document)
        except PatchError as error:
            raise _refusal(error) from error
        patched: Object = patches.merge_patch(obj, self.document)
        return patched

    def decode(self, call: Call, decode: Callable[[Call, Object], Object], obj: Object) -> Object:
        """What `decode` makes of the patched object.

        Raises:
            StatusError: 422, the patch has led to an object that is not of its kind's form.
        """
        try:
            return decode(call, obj)
        except DecodingError as error:
            detail = error.detail
            if self.kind == STRATEGIC:
                shown, detail = go_format(self.document), _conversion_error(detail)
            else:
                shown = go_json(obj)
            text = f"Invalid value: {go_quoted(shown)}: {detail}"
            cause = Cause("patch", FIELD_VALUE_INVALID, text)
            message = f' "" is invalid: {cause}'
            raise StatusError(422, "Invalid", message, causes=[cause]) from error


def _refusal(error: PatchError) -> StatusError:
    if error.code == errors.UNPROCESSABLE:
        return StatusError(errors.UNPROCESSABLE, "Invalid", _REJECTED)
    if error.code == errors.INTERNAL:
        return StatusError(errors.INTERNAL, "", str(error))
    return StatusError(error.code, "BadRequest", str(error))


def _check_operations(document: Any) -> None:
    if not isinstance(document, list):
        raise errors.bad_request(
            f"error decoding patch: json: cannot unmarshal {schema.json_type(document)} into Go "
            "value of type []handlers.jsonPatchOp"
        )
    for operation in document:
        if not isinstance(operation, dict):
            raise errors.bad_request(
                f"error decoding patch: json: cannot unmarshal {schema.json_type(operation)} into "
                "Go value of type handlers.jsonPatchOp"
            )
        for field in _OPERATION_FIELDS:
            value = operation.get(field)
            if value is not None and not isinstance(value, str):
                raise errors.bad_request(
                    f"error decoding patch: json: cannot unmarshal {schema.json_type(value)} into "
                    f"Go struct field jsonPatchOp.{field} of type string"
                )
    if len(document) > patches.OPERATIONS_MAX:
        raise errors.request_entity_too_large(
            f"The allowed maximum operations in a JSON patch is {patches.OPERATIONS_MAX}, got "
            f"{len(document)}"
        )


def _conversion_error(detail: str) -> str:
    """The text of the converter that makes the result of a strategic merge an object again."""
    found = _UNMARSHAL.fullmatch(detail)
    if found is None:
        return detail
    given, wanted = found.groups()
    go_type, go_kind = _GO_VALUES.get(given, (given, given))
    if wanted in _DECODED:
        return detail
    if wanted.startswith("[]"):
        return f"cannot restore slice from {go_kind}"
    if wanted.startswith("map["):
        return f"cannot restore map from {go_kind}"
    if "." in wanted:
        return f"cannot restore struct from: {go_kind}"
    return f"cannot convert {go_type} to {wanted}"
