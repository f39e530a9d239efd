"""Defaults of the remaining kinds: secrets, namespaces, nodes, limits, roles, webhooks."""

from __future__ import annotations

import base64
from typing import Any

from k8sactors.api.defaulting.fields import (
    Fields,
    each,
    fill,
    inside,
)

NAMESPACE_LABEL = "kubernetes.io/metadata.name"
_RBAC_GROUP = "rbac.authorization.k8s.io"
_WEBHOOK: Fields = {
    "failurePolicy": "Fail",
    "matchPolicy": "Equivalent",
    "namespaceSelector": {},
    "objectSelector": {},
    "timeoutSeconds": 10,
}


def default_secret(obj: Fields) -> Fields:
    """A Secret; what was written as `stringData` becomes part of `data`."""
    obj = obj if obj.get("type") else {**obj, "type": "Opaque"}
    if "stringData" not in obj:
        return obj
    obj = obj.copy()
    plain: dict[str, str] = obj.pop("stringData") or {}
    encoded = {key: base64.b64encode(value.encode()).decode() for key, value in plain.items()}
    if encoded:
        obj["data"] = {**(obj.get("data") or {}), **encoded}
    return obj


def default_namespace(obj: Fields) -> Fields:
    """A Namespace: labelled with its own name."""
    name = (obj.get("metadata") or {}).get("name")
    if not name or (obj["metadata"].get("labels") or {}).get(NAMESPACE_LABEL) == name:
        return obj
    labels = {**(obj["metadata"].get("labels") or {}), NAMESPACE_LABEL: name}
    return {**obj, "metadata": {**obj["metadata"], "labels": labels}}


def default_node(obj: Fields) -> Fields:
    """A Node: what it can give is what it has, unless its kubelet says otherwise."""

    def change(status: Fields) -> Fields:
        capacity = status.get("capacity")
        return fill(status, {"allocatable": capacity}) if capacity else status

    return inside(obj, "status", change)


def _limit(item: Fields) -> Fields:
    if item.get("type") != "Container":
        return item
    highest, lowest = item.get("max") or {}, item.get("min") or {}
    limits = fill(item.get("default") or {}, highest)
    requests = fill(fill(item.get("defaultRequest") or {}, limits), lowest)
    changed: dict[str, Any] = {}
    if limits:
        changed["default"] = limits
    if requests:
        changed["defaultRequest"] = requests
    return {**item, **changed} if changed else item


def default_limit_range(obj: Fields) -> Fields:
    """A LimitRange: default limits follow the maxima, default requests the limits, then minima."""
    return inside(obj, "spec", lambda spec: each(spec, "limits", _limit))


def default_priority_class(obj: Fields) -> Fields:
    """A PriorityClass."""
    return fill(obj, {"preemptionPolicy": "PreemptLowerPriority"})


def _subject(subject: Fields) -> Fields:
    if subject.get("apiGroup") is not None or subject.get("kind") not in {"User", "Group"}:
        return subject
    return {**subject, "apiGroup": _RBAC_GROUP}


def default_role_binding(obj: Fields) -> Fields:
    """A RoleBinding or ClusterRoleBinding."""
    obj = inside(
        obj,
        "roleRef",
        lambda ref: ref if ref.get("apiGroup") else {**ref, "apiGroup": _RBAC_GROUP},
    )
    return each(obj, "subjects", _subject)


def _webhook(webhook: Fields) -> Fields:
    webhook = fill(webhook, _WEBHOOK)
    webhook = each(webhook, "rules", lambda rule: fill(rule, {"scope": "*"}))
    return inside(
        webhook,
        "clientConfig",
        lambda config: inside(config, "service", lambda service: fill(service, {"port": 443})),
    )


def default_validating_webhooks(obj: Fields) -> Fields:
    """A ValidatingWebhookConfiguration."""
    return each(obj, "webhooks", _webhook)


def default_mutating_webhooks(obj: Fields) -> Fields:
    """A MutatingWebhookConfiguration: besides, no second call within one request."""
    return each(
        obj, "webhooks", lambda webhook: fill(_webhook(webhook), {"reinvocationPolicy": "Never"})
    )


def default_definition(obj: Fields) -> Fields:
    """A CustomResourceDefinition: names follow from its kind, versions are not converted."""

    def names(given: Fields) -> Fields:
        kind = given.get("kind") or ""
        return fill(given, {"singular": kind.lower(), "listKind": f"{kind}List"})

    def change(spec: Fields) -> Fields:
        return fill(inside(spec, "names", names), {"conversion": {"strategy": "None"}})

    return inside(obj, "spec", change)


def default_priority_level(obj: Fields) -> Fields:
    """A PriorityLevelConfiguration; a number of queues of 0 is none."""

    def queuing(given: Fields) -> Fields:
        wanted = {"queues": 64, "handSize": 8, "queueLengthLimit": 50}
        absent = {name: value for name, value in wanted.items() if not given.get(name)}
        return {**given, **absent} if absent else given

    def limited(given: Fields) -> Fields:
        filled = fill(given, {"nominalConcurrencyShares": 30, "lendablePercent": 0})
        return inside(
            filled, "limitResponse", lambda response: inside(response, "queuing", queuing)
        )

    def exempt(given: Fields) -> Fields:
        return fill(given, {"nominalConcurrencyShares": 0, "lendablePercent": 0})

    def change(spec: Fields) -> Fields:
        return inside(inside(spec, "limited", limited), "exempt", exempt)

    return inside(obj, "spec", change)


def default_flow_schema(obj: Fields) -> Fields:
    """A FlowSchema; a precedence of 0 is none."""

    def change(spec: Fields) -> Fields:
        return spec if spec.get("matchingPrecedence") else {**spec, "matchingPrecedence": 1000}

    return inside(obj, "spec", change)
