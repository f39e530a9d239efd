"""The approval subresource of certificate signing requests: an approver's decision.

Sources: documentation of certificate signing requests ("Approval or rejection"), and the approval
strategy of the real registry: only conditions change here, and a decision stays.
"""

from __future__ import annotations

from typing import Any, ClassVar

from k8sactors.api import errors
from k8sactors.api.errors import FIELD_VALUE_FORBIDDEN, FIELD_VALUE_INVALID, Cause
from k8sactors.api.validation.certificates import APPROVED, DENIED
from k8sactors.apiserver.call import Call
from k8sactors.apiserver.subresource import Subresource
from k8sactors.apiserver.transaction import Stored

Object = dict[str, Any]


class Approval(Subresource):
    """`approval`: sets the conditions of a CertificateSigningRequest."""

    name: ClassVar[str] = "approval"

    def merge(self, call: Call, stored: Stored, given: Object) -> Object:
        """The stored request with the conditions that the approver has set."""
        old, now = stored.obj, call.environment.now()
        before = {one["type"]: one for one in _conditions(old)}
        conditions = []
        for condition in _conditions(given):
            present = before.get(condition.get("type"), {})
            since = present.get("lastTransitionTime", now)
            if present.get("status") != condition.get("status"):
                since = now
            times = {"lastUpdateTime": now, "lastTransitionTime": since}
            conditions.append({**times, **condition})
        status = {**(old.get("status") or {}), "conditions": conditions}
        if not conditions:
            del status["conditions"]
        return {**old, "status": status}

    def validate(self, call: Call, old: Object, new: Object) -> None:
        """A request is approved or denied, never both, and neither is taken back."""
        causes: list[Cause] = []
        types = [condition.get("type") for condition in _conditions(new)]
        for index, condition in enumerate(_conditions(new)):
            _check_condition(condition, f"status.conditions[{index}]", causes)
        if APPROVED in types and DENIED in types:
            second = max(types.index(APPROVED), types.index(DENIED))
            text = "Approved and Denied conditions are mutually exclusive"
            text = f'Invalid value: "{types[second]}": {text}'
            causes.append(Cause(f"status.conditions[{second}].type", FIELD_VALUE_INVALID, text))
        causes.extend(
            Cause(
                "status.conditions",
                FIELD_VALUE_FORBIDDEN,
                f"Forbidden: updates may not remove a condition of type {condition['type']!r}",
            )
            for condition in _conditions(old)
            if condition["type"] in {APPROVED, DENIED} and condition["type"] not in types
        )
        if causes:
            raise errors.invalid(call.resource.info, call.name, causes)


def _check_condition(condition: Object, path: str, causes: list[Cause]) -> None:
    if not condition.get("type"):
        causes.append(Cause(f"{path}.type", errors.FIELD_VALUE_REQUIRED, "Required value"))
    status = condition.get("status")
    if not status:
        causes.append(Cause(f"{path}.status", errors.FIELD_VALUE_REQUIRED, "Required value"))
    elif condition.get("type") in {APPROVED, DENIED} and status != "True":
        text = f'Unsupported value: "{status}": supported values: "True"'
        causes.append(Cause(f"{path}.status", errors.FIELD_VALUE_NOT_SUPPORTED, text))


def _conditions(obj: Object) -> list[Object]:
    return (obj.get("status") or {}).get("conditions") or []
