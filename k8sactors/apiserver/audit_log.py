"""The audit log: one line of JSON for each request that the policy wants written down.

Events are those of `audit.k8s.io/v1`, at the stage ResponseComplete, and ResponseStarted for what
continues, such as a watch.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final

from k8sactors.api import codec, meta
from k8sactors.api.errors import StatusError
from k8sactors.apiserver.audit_policy import COMPLETE, AuditOptions, Level
from k8sactors.apiserver.authz import attributes as requests
from k8sactors.apiserver.authz.attributes import Attributes
from k8sactors.apiserver.call import Call

Object = dict[str, Any]

_FORBIDDEN: Final = 403


class AuditLog:
    """Writes events about the requests of one server."""

    def __init__(self, options: AuditOptions, random: Any, wall_ns: Callable[[], int]) -> None:
        self._policy = options.policy
        self._write = options.write
        self._random = random
        self._wall_ns = wall_ns

    def add(self, call: Call, code: int, stage: str = COMPLETE) -> None:
        """A request was answered, or its stream has begun."""
        attributes = requests.of_call(call)
        level = self._policy.level(attributes, stage)
        if level is Level.NONE:
            return
        event = self._event(call, attributes, code, stage, level)
        self._write(json.dumps(event, separators=(",", ":")) + "\n")

    def _event(
        self, call: Call, attributes: Attributes, code: int, stage: str, level: Level
    ) -> Object:
        now = meta.format_micro_time(self._wall_ns())
        forbidden = code == _FORBIDDEN
        annotations = {"authorization.k8s.io/decision": "forbid" if forbidden else "allow"}
        annotations.update(call.audit_annotations or {})
        event: Object = {
            "kind": "Event",
            "apiVersion": "audit.k8s.io/v1",
            "level": level.word,
            "auditID": meta.new_uid(self._random),
            "stage": stage,
            "requestURI": _uri(call),
            "verb": call.verb,
            "user": _user(call),
            "objectRef": _reference(call, attributes),
            "responseStatus": _status(call, code),
            "stageTimestamp": now,
            "annotations": annotations,
        }
        if level >= Level.REQUEST and call.body:
            event["requestObject"] = codec.decode_value(call.body)
        if level is Level.REQUEST_RESPONSE and isinstance(call.answer, bytes) and call.answer:
            event["responseObject"] = codec.decode_value(call.answer)
        return event


def _uri(call: Call) -> str:
    info = call.resource.info
    parts = ["api" if not info.group else "apis", info.api_version]
    if call.namespace and info.namespaced:
        parts += ["namespaces", call.namespace]
    parts.append(info.plural)
    if call.verb != "create" or call.subresource:
        parts += [part for part in (call.name, call.subresource) if part]
    return "/" + "/".join(parts)


def _user(call: Call) -> Object:
    user = call.user
    fields = {"username": user.name, "uid": user.uid, "groups": list(user.groups)}
    return {name: value for name, value in {**fields, "extra": user.extra}.items() if value}


def _reference(call: Call, attributes: Attributes) -> Object:
    fields = {
        "resource": attributes.resource,
        "namespace": attributes.namespace,
        "name": attributes.name,
        "apiGroup": attributes.group,
        "apiVersion": call.resource.info.version,
        "subresource": attributes.subresource,
    }
    return {name: value for name, value in fields.items() if value}


def _status(call: Call, code: int) -> Object:
    status: Object = {"metadata": {}, "code": code}
    if isinstance(call.answer, StatusError):
        status = {
            "metadata": {},
            "status": "Failure",
            "message": call.answer.message,
            "reason": call.answer.reason,
            "code": code,
        }
    return status
