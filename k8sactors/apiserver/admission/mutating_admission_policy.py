"""MutatingAdmissionPolicy: expressions in CEL change objects on their way.

Source: documentation of mutating admission policies, and KEP-3962. A mutation is a configuration
that is applied, or a JSON patch; each one sees what those before it have made.
"""

from __future__ import annotations

from typing import Any, ClassVar, Final

from k8sactors.api import errors, patch
from k8sactors.api.errors import PatchError
from k8sactors.api.managed_fields.field_types import type_of_kind, type_of_schema
from k8sactors.api.managed_fields.merging import merge
from k8sactors.apiserver.admission_chain import Attributes, Cluster, Operation, Plugin
from k8sactors.apiserver.webhooks import review
from k8sactors.apiserver.webhooks.policies import (
    Policies,
    PolicyError,
    Use,
    check_expressions,
    conditions_hold,
    evaluate,
)

Object = dict[str, Any]

POLICIES: Final = "mutatingadmissionpolicies.admissionregistration.k8s.io"
BINDINGS: Final = "mutatingadmissionpolicybindings.admissionregistration.k8s.io"


class _Progress:
    """The policies that a write has been through."""

    def __init__(self) -> None:
        self.done: set[tuple[bool, str, str]] = set()


class MutatingAdmissionPolicy(Plugin):
    """Applies the mutations of the policies that are bound; a policy itself must compile."""

    order: ClassVar[int] = 320
    operations: ClassVar[tuple[Operation, ...]] = ("CREATE", "UPDATE", "CONNECT")
    subresources: ClassVar[tuple[str, ...] | None] = None
    gates: ClassVar[tuple[str, ...]] = (BINDINGS,)
    # A policy itself must compile.
    ungated: ClassVar[tuple[str, ...]] = (POLICIES,)

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(cluster)
        self._policies = Policies(cluster, POLICIES, BINDINGS)

    def admit(self, attributes: Attributes) -> None:
        """422 or 500 where a policy that must be applied cannot be."""
        if attributes.obj is None:
            return
        progress: _Progress = attributes.progress(self, _Progress)
        for use in self._policies.uses(attributes):
            again = attributes.reinvocation
            if again and use.spec.get("reinvocationPolicy") != "IfNeeded":
                continue
            key = (again, use.policy_name, use.binding_name)
            if key in progress.done:
                continue
            attributes.repeatable = False
            self._apply(use, attributes)
            progress.done.add(key)

    def validate(self, attributes: Attributes) -> None:
        """422 for a policy with an expression that does not compile."""
        if attributes.resource == POLICIES and attributes.obj is not None:
            refused = None if attributes.subresource else check_expressions(attributes)
            if refused is not None:
                raise refused

    def _apply(self, use: Use, attributes: Attributes) -> None:
        before = attributes.obj
        try:
            values = self._policies.values(use, attributes)
            if not conditions_hold(use, values):
                return
            for param in self._policies.parameters(use, attributes):
                for mutation in use.spec.get("mutations") or ():
                    values = {**self._policies.values(use, attributes), "params": param}
                    attributes.obj = _mutated(use, mutation, values, attributes)
        except PolicyError as error:
            attributes.obj = before
            if use.fails_closed:
                text = (
                    f"policy '{use.policy_name}' with binding '{use.binding_name}' denied request: "
                    f"{error}"
                )
                raise errors.forbidden(attributes.info, attributes.name, text) from error
        if attributes.obj != before:
            attributes.reinvoke = True


def _mutated(use: Use, mutation: Object, values: Object, attributes: Attributes) -> Object:
    shown = use.shown
    obj = values["object"]
    try:
        if mutation.get("patchType") == "JSONPatch":
            part = mutation.get("jsonPatch") or {}
            found = evaluate(use, part.get("expression") or "", values)
            if not isinstance(found, list):
                raise PolicyError("type mismatch: JSONPatchType evaluated to no list")
            new = patch.json_patch(obj, found)
        else:
            part = mutation.get("applyConfiguration") or {}
            found = evaluate(use, part.get("expression") or "", values)
            if not isinstance(found, dict):
                raise PolicyError("invalid ApplyConfiguration: it is no object")
            if any(field in found for field in ("apiVersion", "kind")):
                raise PolicyError("invalid ApplyConfiguration: may not mutate apiVersion or kind")
            own = attributes.info.record.schema
            if own is None:
                field_type = type_of_kind(shown.api_version, shown.kind)
            else:
                field_type = type_of_schema(own)
            new = merge(obj, found, field_type)
    except PatchError as error:
        raise PolicyError(str(error)) from error
    return review.admitted(attributes, shown, new)
