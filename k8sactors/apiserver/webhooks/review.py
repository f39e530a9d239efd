"""AdmissionReview v1: what a webhook is told, and what its answer means.

Sources: documentation of dynamic admission control, "Webhook request and response", and the checks
of the real server with their texts.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from typing import Any, Final

from k8sactors.api import decoding, meta, patch
from k8sactors.api.errors import (
    BAD_REQUEST,
    Cause,
    PatchError,
    StatusError,
    bad_request,
    internal_error,
)
from k8sactors.api.kind import ResourceInfo
from k8sactors.apiserver import request_body
from k8sactors.apiserver.admission_chain import Attributes
from k8sactors.apiserver.webhooks.errors import AnswerError

Object = dict[str, Any]

API_VERSION: Final = "admission.k8s.io/v1"
KIND: Final = "AdmissionReview"
_OPTIONS: Final = {
    "CREATE": "CreateOptions",
    "UPDATE": "UpdateOptions",
    "DELETE": "DeleteOptions",
}


def request_of(attributes: Attributes, shown: ResourceInfo, uid: str) -> Object:
    """The `request` of a review, with objects in the version of `shown`."""
    info, user = attributes.info, attributes.user
    asked: Object = {
        "uid": uid,
        "kind": _kind(attributes, shown),
        "resource": _resource(shown),
        "requestKind": _kind(attributes, info),
        "requestResource": _resource(info),
        "operation": attributes.operation,
        "userInfo": _user(user),
        "object": version_of(attributes, attributes.obj, shown),
        "oldObject": version_of(attributes, attributes.old, shown),
        "dryRun": attributes.dry_run,
        "options": None,
    }
    if attributes.operation in _OPTIONS:
        kind = _OPTIONS[attributes.operation]
        asked["options"] = {"kind": kind, "apiVersion": "meta.k8s.io/v1"}
    if attributes.subresource:
        asked["subResource"] = asked["requestSubResource"] = attributes.subresource
    if attributes.name:
        asked["name"] = attributes.name
    if attributes.namespace:
        asked["namespace"] = attributes.namespace
    elif attributes.resource == "namespaces":
        asked["namespace"] = attributes.name
    return asked


def _kind(attributes: Attributes, info: ResourceInfo) -> Object:
    obj = attributes.obj
    if obj is not None and obj.get("kind") != info.kind:
        # What was posted to a subresource: a Binding, a Scale.
        group, version = meta.split_api_version(str(obj.get("apiVersion", "v1")))
        return {"group": group, "version": version, "kind": obj.get("kind")}
    return {"group": info.group, "version": info.version, "kind": info.kind}


def _resource(info: ResourceInfo) -> Object:
    return {"group": info.group, "version": info.version, "resource": info.plural}


def _user(user: Any) -> Object:
    shown: Object = {"username": user.name}
    if user.uid:
        shown["uid"] = user.uid
    if user.groups:
        shown["groups"] = list(user.groups)
    if user.extra:
        shown["extra"] = user.extra
    return shown


def version_of(attributes: Attributes, obj: Object | None, shown: ResourceInfo) -> Object | None:
    """An object of the write in another version."""
    if obj is None or obj.get("kind") != attributes.info.kind:
        return obj
    return decoding.from_storage(shown, obj)


class Answer:
    """A valid answer of a webhook."""

    def __init__(self, response: Object) -> None:
        self.allowed = bool(response.get("allowed"))
        self.status: Object = response.get("status") or {}
        self.warnings: list[str] = [str(text) for text in response.get("warnings") or ()]
        self.annotations: Mapping[str, str] = response.get("auditAnnotations") or {}
        self.patch: list[Object] = response.get("patch") or []


def read_answer(answer: Any, uid: str, *, mutating: bool) -> Answer:
    """Check the AdmissionReview that a webhook has answered with.

    Raises:
        AnswerError: it is of another form, or answers another question.
    """
    if not isinstance(answer, dict):
        raise AnswerError("couldn't get version/kind; json parse error: not an object")
    response = answer.get("response")
    if not isinstance(response, dict):
        raise AnswerError("webhook response was absent")
    if response.get("uid") != uid:
        raise AnswerError(f'expected response.uid="{uid}", got "{response.get("uid") or ""}"')
    found = f"{answer.get('apiVersion', '')}, Kind={answer.get('kind', '')}"
    if found != f"{API_VERSION}, Kind={KIND}":
        raise AnswerError(f"expected webhook response of {API_VERSION}, Kind={KIND}, got {found}")
    if response.get("patch"):
        if not mutating:
            raise AnswerError("validating webhook response has a patch, which is not supported")
        if response.get("patchType") is None:
            raise AnswerError("webhook returned response.patch but not response.patchType")
        if response["patchType"] != "JSONPatch":
            raise AnswerError(
                f'webhook returned invalid response.patchType of "{response["patchType"]}"'
            )
        response = {**response, "patch": _patch(response["patch"])}
    return Answer(response)


def _patch(text: Any) -> list[Object]:
    try:
        operations = json.loads(base64.b64decode(text, validate=True))
    except (TypeError, ValueError, binascii.Error) as error:
        raise AnswerError(f"the patch cannot be decoded: {error}") from error
    if not isinstance(operations, list) or not all(isinstance(one, dict) for one in operations):
        raise AnswerError("the patch is not a list of operations")
    return operations


def refusal(name: str, status: Object) -> StatusError:
    """What the client gets when a webhook has refused its write."""
    denied = f'admission webhook "{name}" denied the request'
    text, reason = status.get("message"), status.get("reason")
    explained = f": {text or reason}" if text or reason else " without explanation"
    message = f"{denied}{explained}"
    code = status.get("code") or 0
    details = status.get("details") or {}
    return StatusError(
        code if isinstance(code, int) and code >= BAD_REQUEST else BAD_REQUEST,
        str(reason or ""),
        message,
        causes=[
            Cause(cause.get("field", ""), cause.get("reason", ""), cause.get("message", ""))
            for cause in details.get("causes") or ()
        ],
        name=details.get("name", ""),
        group=details.get("group", ""),
        kind=details.get("kind", ""),
    )


def patched(attributes: Attributes, shown: ResourceInfo, operations: list[Object]) -> Object:
    """The object of the write with what a webhook has changed, in the form that is stored.

    Raises:
        StatusError: 500, the patch does not fit; 400 or 422, what it makes is no object.
    """
    obj = version_of(attributes, attributes.obj, shown)
    if obj is None:
        raise bad_request("there is no object that could be patched")
    try:
        new = patch.json_patch(obj, operations)
    except PatchError as error:
        raise internal_error(str(error)) from error
    if new.get("kind") != attributes.info.kind:
        return {**new, "metadata": dict(new.get("metadata") or {})}
    return admitted(attributes, shown, new)


def admitted(attributes: Attributes, shown: ResourceInfo, new: Object) -> Object:
    """An object that was changed on its way, as it is stored: checked, with defaults."""
    checked = request_body.check_form(attributes.call, new, attributes.info.record.schema)
    stored = decoding.to_storage(shown, decoding.with_defaults(shown, checked))
    return {**stored, "metadata": dict(stored["metadata"])}
