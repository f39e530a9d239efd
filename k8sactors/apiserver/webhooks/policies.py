"""Admission policies: their bindings, parameters and variables, and what they come to.

Sources: documentation of validating and mutating admission policies, KEP-3488 and KEP-3962. A
policy does nothing by itself; each binding applies it, once for each of its parameters.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from k8sactors.api import errors, selectors
from k8sactors.api.errors import FIELD_VALUE_INVALID, Cause, StatusError, UnknownKindError
from k8sactors.api.kind import ResourceInfo
from k8sactors.apiserver.admission_chain import Attributes, Cluster
from k8sactors.apiserver.webhooks import matching, review

Object = dict[str, Any]

_VARIABLE: Final = re.compile(r"\bvariables\s*\.\s*([A-Za-z_]\w*)")


class PolicyError(Exception):
    """A policy cannot be evaluated: its failure policy decides."""


class Use(NamedTuple):
    """A policy with one of its bindings, for one write."""

    policy: Object
    binding: Object
    shown: ResourceInfo

    @property
    def spec(self) -> Object:
        """What the policy says."""
        found: Object = self.policy.get("spec") or {}
        return found

    @property
    def policy_name(self) -> str:
        """The name of the policy."""
        return str(self.policy["metadata"]["name"])

    @property
    def binding_name(self) -> str:
        """The name of the binding."""
        return str(self.binding["metadata"]["name"])

    @property
    def fails_closed(self) -> bool:
        """Whether an error of the policy refuses the write."""
        return self.spec.get("failurePolicy") != "Ignore"


class Policies:
    """The policies of one kind with their bindings."""

    def __init__(self, cluster: Cluster, policies: str, bindings: str) -> None:
        self._cluster = cluster
        self._policies = cluster.objects(policies)
        self._bindings = cluster.objects(bindings)
        self._versions = (-1, -1)
        self._pairs: list[tuple[Object, Object]] = []

    def _bound(self) -> list[tuple[Object, Object]]:
        versions = (self._policies.version, self._bindings.version)
        if versions != self._versions:
            self._versions = versions
            by_name: dict[str, list[Object]] = {}
            for binding in self._bindings.all():
                name = (binding.get("spec") or {}).get("policyName", "")
                by_name.setdefault(name, []).append(binding)
            self._pairs = [
                (policy, binding)
                for policy in self._policies.all()
                for binding in by_name.get(policy["metadata"]["name"], ())
            ]
        return self._pairs

    def uses(self, attributes: Attributes) -> list[Use]:
        """What applies to a write: by the names of policies, then of bindings."""
        if attributes.resource in matching.EXEMPT:
            return []
        found = []
        for policy, binding in self._bound():
            constraints = (policy.get("spec") or {}).get("matchConstraints") or {}
            shown = self._version_for(constraints, attributes, "resourceRules")
            if shown is None:
                continue
            own = (binding.get("spec") or {}).get("matchResources")
            if own and self._version_for(own, attributes, "resourceRules", every=True) is None:
                continue
            found.append(Use(policy, binding, shown))
        return found

    def _version_for(
        self, constraints: Object, attributes: Attributes, field: str, *, every: bool = False
    ) -> ResourceInfo | None:
        rules, policy = constraints.get(field), constraints.get("matchPolicy")
        excluded = constraints.get("excludeResourceRules") or ()
        if excluded and matching.is_excluded(excluded, policy, attributes):
            return None
        if not rules and every:
            shown: ResourceInfo | None = attributes.info
        else:
            shown = matching.matched_version(rules or (), policy, attributes)
        if shown is None or not matching.selected(self._cluster, constraints, attributes):
            return None
        return shown

    def values(self, use: Use, attributes: Attributes) -> Object:
        """The variables of the policy's expressions, without parameters."""
        asked = review.request_of(attributes, use.shown, "")
        namespace = None
        if attributes.info.namespaced:
            namespace = self._cluster.get(attributes, "namespaces", None, attributes.namespace)
        return {
            "object": asked.pop("object"),
            "oldObject": asked.pop("oldObject"),
            "request": asked,
            "namespaceObject": namespace,
            "authorizer": matching.authorizer_of(self._cluster, attributes),
        }

    def parameters(self, use: Use, attributes: Attributes) -> list[Object | None]:
        """The parameters of a binding, [None] for a policy without.

        Raises:
            PolicyError: there are none, or their kind is unknown.
            LookupNeededError: an object must be read first.
        """
        kind, reference = use.spec.get("paramKind"), use.binding["spec"].get("paramRef")
        if not kind or not reference:
            return [None]
        try:
            info = self._cluster.scheme.kind(kind.get("apiVersion", ""), kind.get("kind", ""))
        except UnknownKindError as error:
            text = f"failed to find resource referenced by paramKind: '{error}'"
            raise PolicyError(f"failed to configure policy: {text}") from error
        namespace: str | None = None
        if info.namespaced:
            namespace = reference.get("namespace") or attributes.namespace
        name, found = reference.get("name"), []
        if name:
            param = self._cluster.get(attributes, info.storage_name, namespace, name)
            found = [] if param is None else [param]
        else:
            selector = selectors.parse_label_selector(reference.get("selector"))
            objects = self._cluster.objects(info.storage_name)
            listed = objects.of(namespace) if namespace else objects.all()
            found = [each for each in listed if selector.matches(each["metadata"].get("labels"))]
        if not found and reference.get("parameterNotFoundAction") == "Deny":
            raise PolicyError(
                "failed to configure binding: no params found for policy binding with `Deny` "
                "parameterNotFoundAction"
            )
        return list(found)


def conditions_hold(use: Use, values: Mapping[str, Any]) -> bool:
    """Whether all match conditions of the policy hold.

    Raises:
        PolicyError: one cannot be evaluated, and none says no.
    """
    failed: PolicyError | None = None
    for condition in use.spec.get("matchConditions") or ():
        try:
            if evaluate(use, condition.get("expression") or "", values) is False:
                return False
        except PolicyError as error:
            failed = failed or error
    if failed is not None:
        raise failed
    return True


def evaluate(use: Use, expression: str, values: Mapping[str, Any]) -> Any:
    """The value of an expression of the policy.

    Raises:
        PolicyError: it has none.
    """
    return _evaluate(use.spec.get("variables") or [], expression, values)


def _evaluate(variables: list[Object], expression: str, values: Mapping[str, Any]) -> Any:
    names = set(_VARIABLE.findall(expression))
    known: Object = {}
    # A variable may name those before it.
    for index, variable in enumerate(variables):
        if variable.get("name") in names:
            try:
                known[variable["name"]] = _evaluate(
                    variables[:index], variable.get("expression") or "", values
                )
            except PolicyError as error:
                text = f'composited variable "{variable["name"]}" fails to evaluate: {error}'
                raise PolicyError(text) from error
    try:
        return matching.compiled(expression)({**values, "variables": known})
    except matching.expression_errors() as error:
        raise PolicyError(f"expression '{expression}' resulted in error: {error}") from error


def expressions_of(spec: Object) -> Iterator[tuple[str, str]]:
    """The expressions of a policy with the paths of their fields."""
    lists = {
        "matchConditions": "expression",
        "variables": "expression",
        "validations": "expression",
        "auditAnnotations": "valueExpression",
    }
    for field, part in lists.items():
        for index, each in enumerate(spec.get(field) or ()):
            yield f"spec.{field}[{index}].{part}", each.get(part) or ""
            if each.get("messageExpression"):
                path = f"spec.{field}[{index}].messageExpression"
                yield path, each["messageExpression"]
    for index, each in enumerate(spec.get("mutations") or ()):
        for part in ("applyConfiguration", "jsonPatch"):
            if each.get(part):
                path = f"spec.mutations[{index}].{part}.expression"
                yield path, each[part].get("expression") or ""


def check_expressions(attributes: Attributes) -> StatusError | None:
    """422 for a policy with an expression that does not compile."""
    assert attributes.obj is not None
    causes = []
    for path, expression in expressions_of(attributes.obj.get("spec") or {}):
        try:
            matching.compiled(expression)
        except matching.expression_errors() as error:
            text = f'Invalid value: "{expression}": compilation failed: {error}'
            causes.append(Cause(path, FIELD_VALUE_INVALID, text))
    return errors.invalid(attributes.info, attributes.name, causes) if causes else None
