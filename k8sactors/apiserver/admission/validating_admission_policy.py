"""ValidatingAdmissionPolicy: rules in CEL refuse, warn or are noted in the audit log.

Source: documentation of validating admission policies, and KEP-3488.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, ClassVar, Final, NamedTuple

from k8sactors.api import errors
from k8sactors.api.errors import Cause, StatusError
from k8sactors.apiserver.admission_chain import Attributes, Cluster, Operation, Plugin
from k8sactors.apiserver.webhooks.policies import (
    Policies,
    PolicyError,
    Use,
    check_expressions,
    conditions_hold,
    evaluate,
)

Object = dict[str, Any]

POLICIES: Final = "validatingadmissionpolicies.admissionregistration.k8s.io"
BINDINGS: Final = "validatingadmissionpolicybindings.admissionregistration.k8s.io"
_FAILURE: Final = "validation.policy.admission.k8s.io/validation_failure"
_MESSAGE_MAX: Final = 5 * 1024
_CODES: Final = {"Unauthorized": 401, "Forbidden": 403, "RequestEntityTooLarge": 413}
_INVALID: Final = "Invalid"


class Decision(NamedTuple):
    """A rule that does not hold, or could not be evaluated."""

    use: Use
    message: str
    place: int
    reason: str = ""


class ValidatingAdmissionPolicy(Plugin):
    """Evaluates the policies that are bound; a policy itself must compile."""

    order: ClassVar[int] = 340
    operations: ClassVar[tuple[Operation, ...]] = ("CREATE", "UPDATE", "DELETE", "CONNECT")
    subresources: ClassVar[tuple[str, ...] | None] = None
    gates: ClassVar[tuple[str, ...]] = (BINDINGS,)
    # A policy itself must compile.
    ungated: ClassVar[tuple[str, ...]] = (POLICIES,)

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(cluster)
        self._policies = Policies(cluster, POLICIES, BINDINGS)

    def validate(self, attributes: Attributes) -> None:
        """The refusal of a policy."""
        if attributes.resource == POLICIES and attributes.obj is not None:
            refused = None if attributes.subresource else check_expressions(attributes)
            if refused is not None:
                raise refused
        decisions: list[Decision] = []
        annotations: dict[str, list[str]] = {}
        for use in self._policies.uses(attributes):
            attributes.repeatable = False
            decisions += self._decide(use, attributes, annotations)
        for key, values in annotations.items():
            attributes.annotate(key, ", ".join(dict.fromkeys(values)))
        _act(attributes, decisions)

    def _decide(
        self, use: Use, attributes: Attributes, annotations: dict[str, list[str]]
    ) -> list[Decision]:
        found: list[Decision] = []
        try:
            values = self._policies.values(use, attributes)
            if not conditions_hold(use, values):
                return []
            for param in self._policies.parameters(use, attributes):
                found += _check(use, {**values, "params": param}, annotations)
        except PolicyError as error:
            if use.fails_closed:
                found.append(Decision(use, str(error), 0))
        return found


def _check(
    use: Use, values: Mapping[str, Any], annotations: dict[str, list[str]]
) -> list[Decision]:
    found = []
    for index, rule in enumerate(use.spec.get("validations") or ()):
        try:
            if evaluate(use, rule.get("expression") or "", values) is True:
                continue
            message = _message(use, rule, values)
            found.append(Decision(use, message, index, rule.get("reason") or ""))
        except PolicyError as error:
            if use.fails_closed:
                found.append(Decision(use, str(error), index))
    for annotation in use.spec.get("auditAnnotations") or ():
        key = f"{use.policy_name}/{annotation.get('key')}"
        try:
            value = evaluate(use, annotation.get("valueExpression") or "", values)
        except PolicyError as error:
            if use.fails_closed:
                found.append(Decision(use, str(error), 0))
            continue
        if value is not None:
            annotations.setdefault(key, []).append(str(value))
    return found


def _message(use: Use, rule: Object, values: Mapping[str, Any]) -> str:
    expression = rule.get("messageExpression")
    if expression:
        try:
            text = evaluate(use, expression, values)
        except PolicyError:
            text = None  # as if there was none
        usable = isinstance(text, str) and len(text) <= _MESSAGE_MAX and "\n" not in text.strip()
        if usable and text.strip():
            return str(text.strip())
    if rule.get("message"):
        return str(rule["message"]).strip()
    return f"failed expression: {str(rule.get('expression') or '').strip()}"


def _act(attributes: Attributes, decisions: list[Decision]) -> None:
    refusal: StatusError | None = None
    audited = []
    for decision in decisions:
        use = decision.use
        actions = use.binding["spec"].get("validationActions") or ["Deny"]
        who = f"ValidatingAdmissionPolicy '{use.policy_name}' with binding '{use.binding_name}'"
        if "Deny" in actions and refusal is None:
            refusal = _refusal(attributes, decision, f"{who} denied request: {decision.message}")
        if "Warn" in actions:
            attributes.warn(f"Validation failed for {who}: {decision.message}")
        if "Audit" in actions:
            audited.append(
                {
                    "message": decision.message,
                    "policy": use.policy_name,
                    "binding": use.binding_name,
                    "expressionIndex": str(decision.place),
                    "validationActions": actions,
                }
            )
    if audited:
        attributes.annotate(_FAILURE, json.dumps(audited, separators=(",", ":")))
    if refusal is not None:
        raise refusal


def _refusal(attributes: Attributes, decision: Decision, text: str) -> StatusError:
    error = errors.forbidden(attributes.info, attributes.name, text)
    error.reason = decision.reason or _INVALID
    error.code = _CODES.get(error.reason, errors.UNPROCESSABLE)
    error.causes = (Cause("", "", text),)
    return error
