"""Webhook configurations and admission policies (`admissionregistration.k8s.io`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from k8sactors.api.columns import AGE, NAME, UNSET, Column, count, field, value_at
from k8sactors.api.defaulting import cluster as cluster_defaulting
from k8sactors.api.kind import Kind, Served
from k8sactors.api.validation import cluster as cluster_validation


def _kind(policy: Mapping[str, Any], _now_ns: int) -> str:
    kind = value_at(policy, "spec.paramKind")
    return UNSET if kind is None else f"{kind.get('apiVersion', '')}/{kind.get('kind', '')}"


def _reference(binding: Mapping[str, Any], _now_ns: int) -> str:
    reference = value_at(binding, "spec.paramRef")
    if reference is None:
        return UNSET
    namespace = reference.get("namespace") or "*"
    name = reference.get("name")
    return f"{namespace}/{name}" if name else f"{namespace}/*"


_BINDING_COLUMNS = (
    NAME,
    field("PolicyName", "spec.policyName"),
    Column("ParamRef", _reference),
    AGE,
)
_WEBHOOK_COLUMNS = (NAME, count("Webhooks", "webhooks", type_="integer"), AGE)


KINDS = (
    Kind(
        kind="MutatingWebhookConfiguration",
        plural="mutatingwebhookconfigurations",
        categories=("api-extensions",),
        columns=_WEBHOOK_COLUMNS,
        served=(
            Served(
                "admissionregistration.k8s.io",
                "v1",
                default=cluster_defaulting.default_mutating_webhooks,
            ),
        ),
        namespaced=False,
        check=cluster_validation.check_webhooks,
    ),
    Kind(
        kind="ValidatingWebhookConfiguration",
        plural="validatingwebhookconfigurations",
        categories=("api-extensions",),
        columns=_WEBHOOK_COLUMNS,
        served=(
            Served(
                "admissionregistration.k8s.io",
                "v1",
                default=cluster_defaulting.default_validating_webhooks,
            ),
        ),
        namespaced=False,
        check=cluster_validation.check_webhooks,
    ),
    Kind(
        kind="ValidatingAdmissionPolicy",
        plural="validatingadmissionpolicies",
        categories=("api-extensions",),
        columns=(
            NAME,
            count("Validations", "spec.validations", type_="integer"),
            Column("ParamKind", _kind),
            AGE,
        ),
        served=(Served("admissionregistration.k8s.io", "v1"),),
        namespaced=False,
        subresources=("status",),
    ),
    Kind(
        kind="ValidatingAdmissionPolicyBinding",
        plural="validatingadmissionpolicybindings",
        categories=("api-extensions",),
        columns=_BINDING_COLUMNS,
        served=(Served("admissionregistration.k8s.io", "v1"),),
        namespaced=False,
    ),
    Kind(
        kind="MutatingAdmissionPolicy",
        plural="mutatingadmissionpolicies",
        categories=("api-extensions",),
        columns=(
            NAME,
            count("Mutations", "spec.mutations", type_="integer"),
            Column("ParamKind", _kind),
            AGE,
        ),
        served=(Served("admissionregistration.k8s.io", "v1"),),
        namespaced=False,
    ),
    Kind(
        kind="MutatingAdmissionPolicyBinding",
        plural="mutatingadmissionpolicybindings",
        categories=("api-extensions",),
        columns=_BINDING_COLUMNS,
        served=(Served("admissionregistration.k8s.io", "v1"),),
        namespaced=False,
    ),
)
