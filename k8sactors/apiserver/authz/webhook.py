"""Webhook authorizers: another program is asked with a SubjectAccessReview, its answers are kept.

An answer that allows holds for five minutes, any other for 30 seconds, unless the configuration
says otherwise. What the program does not know is left to the next authorizer; what it denies is
refused at once. Source: documentation of authorization ("Webhook Mode", "Using a configuration file
for authorization"), reference of SubjectAccessReview v1.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

import attrs

from k8sactors.api import selectors
from k8sactors.api.errors import AnswerNeededError, SelectorError
from k8sactors.apiserver.authz.attributes import Attributes
from k8sactors.apiserver.authz.rbac import Decision
from k8sactors.apiserver.webhook_authorizer_options import VERSIONS, WebhookAuthorizerOptions
from k8sactors.simulation import SECOND

Object = dict[str, Any]

ANSWERS_MAX: Final = 10_000
# Longer questions are not kept, as in the real server: clients choose what is in them.
KEPT_CHARACTERS_MAX: Final = 10_000
# An answer that is not to be kept, or a failure, still serves the request that has waited for it:
# one request may ask about several rights, one after the other.
_LEAST_NS: Final = SECOND
_BOTH: Final = "webhook subject access review returned both allow and deny response"
_FIELD_OPERATORS: Final = {True: "In", False: "NotIn"}
_LABEL_OPERATORS: Final = {"in": "In", "notin": "NotIn", "exists": "Exists", "!": "DoesNotExist"}


class Caller(Protocol):
    """What asks webhooks (`webhooks.calling.Caller`)."""

    def ask(
        self,
        config: Object,
        timeout_s: float,
        review: Object,
        done: Callable[[Any], None],
        fail: Callable[[Any], None],
    ) -> None:
        """Ask; exactly one of the two functions is called, in a later turn."""


@attrs.frozen
class Asking:
    """The webhooks of a server, in the order of the modes that name them, and what asks them."""

    options: tuple[WebhookAuthorizerOptions, ...]
    caller: Caller
    now_ns: Callable[[], int]


class WebhookAuthorizer:
    """Asks one program for one server."""

    def __init__(
        self, options: WebhookAuthorizerOptions, caller: Caller, now_ns: Callable[[], int]
    ) -> None:
        self._options = options
        self._caller = caller
        self._now_ns = now_ns
        self._conditions = tuple(compile_condition(each) for each in options.conditions)
        # By question: the decision, and until when it holds.
        self._answers: dict[str, tuple[Decision, int]] = {}
        # By question that is under way: what continues with its answer.
        self._waiting: dict[str, list[Callable[[], None]]] = {}

    def decide(self, attributes: Attributes) -> Decision:
        """What the program says.

        Raises:
            AnswerNeededError: it has not been asked yet, or its answer no longer holds.
        """
        if self._conditions:
            decision = self._excluded(spec_of(attributes, complete=True))
            if decision is not None:
                return decision
        spec = spec_of(attributes)
        key = json.dumps(spec)
        known = self._answers.get(key)
        if known is None or known[1] < self._now_ns():
            raise AnswerNeededError(lambda resume: self._ask(key, spec, resume))
        return known[0]

    def _excluded(self, spec: Object) -> Decision | None:
        """The decision when the conditions keep the program from being asked."""
        failed = ""
        for holds in self._conditions:
            try:
                if holds(spec) is not True:
                    return Decision(False)
            except condition_errors() as error:
                failed = failed or str(error)
        return self._failure(failed) if failed else None

    def _failure(self, text: str) -> Decision:
        return Decision(False, "", self._options.denies_on_failure, text)

    def _ask(self, key: str, spec: Object, resume: Callable[[], None]) -> None:
        waiting = self._waiting.get(key)
        if waiting is not None:
            waiting.append(resume)
            return
        self._waiting[key] = [resume]
        options = self._options
        if options.version != VERSIONS[0]:
            # The only difference between the versions.
            spec = {("group" if name == "groups" else name): spec[name] for name in spec}
        review: Object = {
            "apiVersion": f"authorization.k8s.io/{options.version}",
            "kind": "SubjectAccessReview",
            "metadata": {},
            "spec": spec,
        }

        def keep(decision: Decision, for_ns: int) -> None:
            if len(key) > KEPT_CHARACTERS_MAX:
                for_ns = 0
            self._answers.pop(key, None)
            if len(self._answers) >= ANSWERS_MAX:
                del self._answers[next(iter(self._answers))]
            self._answers[key] = (decision, self._now_ns() + max(for_ns, _LEAST_NS))
            for each in self._waiting.pop(key):
                each()

        def done(answer: Any) -> None:
            decision = self._read(answer)
            allowed_ns, other_ns = options.authorized_ttl_ns, options.unauthorized_ttl_ns
            keep(decision, 0 if decision.error else allowed_ns if decision.allowed else other_ns)

        def failed(error: Any) -> None:
            keep(self._failure(str(error)), 0)

        self._caller.ask(options.client, options.timeout_s, review, done, failed)

    def _read(self, answer: Any) -> Decision:
        status = answer.get("status") if isinstance(answer, Mapping) else None
        if not isinstance(status, Mapping):
            return self._failure("the answer of the webhook is no SubjectAccessReview")
        reason = status.get("reason")
        text = reason if isinstance(reason, str) else ""
        allowed, denied = status.get("allowed") is True, status.get("denied") is True
        if allowed and denied:
            return Decision(False, text, True, _BOTH)
        return Decision(allowed, text, denied)


def spec_of(attributes: Attributes, *, complete: bool = False) -> Object:
    """The spec of a SubjectAccessReview.

    `complete`: with what is empty, as conditions see it; selectors are absent when there are none.
    """
    user = attributes.user
    about: Object
    if attributes.path:
        about = {"path": attributes.path, "verb": attributes.verb}
    else:
        about = {
            "namespace": attributes.namespace,
            "verb": attributes.verb,
            "group": attributes.group,
            "version": attributes.version,
            "resource": attributes.resource,
            "subresource": attributes.subresource,
            "name": attributes.name,
        }
    spec: Object = {
        "user": user.name,
        "groups": list(user.groups),
        "extra": {name: list(values) for name, values in sorted(user.extra.items())},
        "uid": user.uid,
    }
    if not complete:
        about = {name: value for name, value in about.items() if value}
        spec = {name: value for name, value in spec.items() if value}
    if attributes.field_selector:
        _add(about, "fieldSelector", _field_requirements(attributes.field_selector))
    if attributes.label_selector:
        _add(about, "labelSelector", _label_requirements(attributes.label_selector))
    spec["nonResourceAttributes" if attributes.path else "resourceAttributes"] = about
    return spec


def _add(about: Object, name: str, requirements: list[Object]) -> None:
    # As in the real server a selector that cannot be read is left out: the request fails later.
    if requirements:
        about[name] = {"requirements": requirements}


def _field_requirements(text: str) -> list[Object]:
    try:
        parsed = selectors.parse_field_selector(text)
    except SelectorError:
        return []
    return [
        {"key": each.path, "operator": _FIELD_OPERATORS[each.equal], "values": [each.value]}
        for each in parsed.requirements
    ]


def _label_requirements(text: str) -> list[Object]:
    try:
        parsed = selectors.parse_label_selector(text)
    except SelectorError:
        return []
    return [
        {
            "key": each.key,
            "operator": _LABEL_OPERATORS[each.operator],
            **({"values": list(each.values)} if each.values else {}),
        }
        for each in parsed.requirements
        if each.operator in _LABEL_OPERATORS
    ]


def compile_condition(expression: str) -> Callable[[Object], Any]:
    """What evaluates a match condition over the spec of a review.

    Raises:
        CompileError: it is invalid, or no condition.
    """
    # Loads native code: only a configuration that has conditions pays for it.
    from k8sactors import cel  # noqa: PLC0415

    program = cel.Environment({"request": cel.Type.DYN}).compile(expression)
    if program.type_name not in {"BOOL", "DYN"}:
        raise cel.CompileError("must evaluate to bool")
    names = program.names
    return lambda spec: program.evaluate({"request": spec} if "request" in names else {})


def condition_errors() -> type[Exception]:
    """The class of everything that a condition can fail with."""
    from k8sactors.cel.errors import CelError  # noqa: PLC0415 - as above

    return CelError
