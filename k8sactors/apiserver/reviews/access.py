"""Reviews of what is allowed (`authorization.k8s.io`)."""

from __future__ import annotations

from typing import Any, ClassVar, Final

from k8sactors.api import errors
from k8sactors.api.errors import FIELD_VALUE_INVALID, Cause
from k8sactors.api.go_text import go_format
from k8sactors.api.user import UserInfo
from k8sactors.apiserver.authz.attributes import Attributes
from k8sactors.apiserver.authz.authorizer import Authorizer
from k8sactors.apiserver.call import Call
from k8sactors.apiserver.reviews.review import Object, Review

_GROUP: Final = "authorization.k8s.io"
_RESOURCE: Final = "resourceAttributes"
_PATH: Final = "nonResourceAttributes"
_ONE: Final = "exactly one of nonResourceAttributes or resourceAttributes must be specified"
_BOTH: Final = "cannot be specified in combination with resourceAttributes"
_NO_SUBJECT: Final = "at least one of user or group must be specified"


class _AccessReview(Review):
    def __init__(self, authorizer: Authorizer) -> None:
        self._authorizer = authorizer

    def _status(self, user: UserInfo, spec: Object) -> Object:
        decision = self._authorizer.decide(_attributes(user, spec))
        status: Object = {"allowed": decision.allowed}
        if decision.reason:
            status["reason"] = decision.reason
        if decision.denied:
            status["denied"] = True
        if decision.error:
            status["evaluationError"] = decision.error
        return status


class SelfSubjectAccessReview(_AccessReview):
    """What the requester may do."""

    resource: ClassVar[str] = f"selfsubjectaccessreviews.{_GROUP}"

    def decide(self, call: Call, spec: Object, obj: Object) -> Object:
        """Whether one request is allowed."""
        _refuse(call, obj, _attribute_causes(spec))
        return self._status(call.user, spec)


class SubjectAccessReview(_AccessReview):
    """What any user may do."""

    resource: ClassVar[str] = f"subjectaccessreviews.{_GROUP}"

    def decide(self, call: Call, spec: Object, obj: Object) -> Object:
        """Whether one request is allowed."""
        causes = _attribute_causes(spec)
        if not spec.get("user") and not spec.get("groups"):
            causes.append(_invalid("spec.user", "", _NO_SUBJECT))
        _refuse(call, obj, causes)
        return self._status(_user(spec), spec)


class LocalSubjectAccessReview(SubjectAccessReview):
    """What any user may do in the namespace of the review."""

    resource: ClassVar[str] = f"localsubjectaccessreviews.{_GROUP}"

    def decide(self, call: Call, spec: Object, obj: Object) -> Object:
        """Whether one request is allowed."""
        causes: list[Cause] = []
        asked = spec.get(_RESOURCE)
        if asked is not None and (asked.get("namespace") or "") != call.namespace:
            field = f"spec.{_RESOURCE}.namespace"
            causes.append(
                _invalid(field, asked.get("namespace") or "", "must match metadata.namespace")
            )
        if spec.get(_PATH) is not None:
            text = "disallowed on this kind of request"
            causes.append(_invalid(f"spec.{_PATH}", spec[_PATH], text))
        _refuse(call, obj, causes)
        return super().decide(call, spec, obj)


class SelfSubjectRulesReview(_AccessReview):
    """All that the requester may do in a namespace."""

    resource: ClassVar[str] = f"selfsubjectrulesreviews.{_GROUP}"

    def decide(self, call: Call, spec: Object, obj: Object) -> Object:
        """The rules that hold there."""
        del obj
        namespace = spec.get("namespace")
        if not namespace:
            raise errors.bad_request("no namespace on request")
        held = self._authorizer.rules_of(call.user, namespace)
        rules = [rule.to_object() for rule in held.rules]
        status: Object = {
            "incomplete": bool(held.problems),
            "nonResourceRules": [rule for rule in rules if "nonResourceURLs" in rule],
            "resourceRules": [rule for rule in rules if "nonResourceURLs" not in rule],
        }
        if held.problems:
            status["evaluationError"] = held.problem
        return status


def _user(spec: Object) -> UserInfo:
    groups = tuple(spec.get("groups") or ())
    return UserInfo(spec.get("user") or "", spec.get("uid") or "", groups, spec.get("extra") or {})


def _attributes(user: UserInfo, spec: Object) -> Attributes:
    asked = spec.get(_RESOURCE)
    if asked is None:
        asked = spec[_PATH]
        return Attributes(user, asked.get("verb") or "", path=asked.get("path") or "")
    fields = {
        name: asked.get(name) or ""
        for name in ("verb", "group", "resource", "subresource", "namespace", "name", "version")
    }
    return Attributes(user, **fields)


def _attribute_causes(spec: Object) -> list[Cause]:
    if spec.get(_RESOURCE) is not None and spec.get(_PATH) is not None:
        return [_invalid(f"spec.{_PATH}", spec[_PATH], _BOTH)]
    if spec.get(_RESOURCE) is None and spec.get(_PATH) is None:
        return [_invalid(f"spec.{_RESOURCE}", None, _ONE)]
    return []


def _invalid(field: str, value: Any, text: str) -> Cause:
    shown = f'"{value}"' if isinstance(value, str) else go_format(value)
    if value is None:
        shown = "null"
    return Cause(field, FIELD_VALUE_INVALID, f"Invalid value: {shown}: {text}")


def _refuse(call: Call, obj: Object, causes: list[Cause]) -> None:
    if causes:
        name = obj["metadata"].get("name") or ""
        raise errors.invalid(call.resource.info, name, causes)
