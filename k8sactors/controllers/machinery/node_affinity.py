"""Whether a node is what a node selector or a required node affinity asks for.

Source: API reference of NodeSelector. Terms are alternatives, the requirements of a term must all
hold, and a term without requirements matches nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

Object = dict[str, Any]


def _integer(text: str | None) -> int | None:
    try:
        return None if text is None else int(text)
    except ValueError:
        return None


def _holds(requirement: Object, value: str | None) -> bool:
    values: list[str] = requirement.get("values") or []
    match requirement["operator"]:
        case "In":
            return value is not None and value in values
        case "NotIn":
            return value is None or value not in values
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
    number, bound = _integer(value), _integer(values[0] if len(values) == 1 else None)
    if number is None or bound is None:
        return False
    return number > bound if requirement["operator"] == "Gt" else number < bound


def _matches_term(term: Object, node: Object) -> bool:
    expressions, fields = term.get("matchExpressions") or (), term.get("matchFields") or ()
    if not expressions and not fields:
        return False
    labels = node["metadata"].get("labels") or {}
    name = node["metadata"]["name"]
    return all(_holds(each, labels.get(each["key"])) for each in expressions) and all(
        each["key"] == "metadata.name" and _holds(each, name) for each in fields
    )


def matches_terms(terms: Iterable[Object], node: Object) -> bool:
    """Whether one of the terms of a NodeSelector matches the node."""
    return any(_matches_term(term, node) for term in terms)


def fits_node(pod_spec: Object, node: Object) -> bool:
    """Whether a pod's `nodeSelector` and required node affinity admit the node."""
    labels = node["metadata"].get("labels") or {}
    selector: dict[str, str] = pod_spec.get("nodeSelector") or {}
    if not selector.items() <= labels.items():
        return False
    affinity = (pod_spec.get("affinity") or {}).get("nodeAffinity") or {}
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution")
    return required is None or matches_terms(required.get("nodeSelectorTerms") or (), node)
