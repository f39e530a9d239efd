"""Amounts of resources: names, signs, whole numbers, and requests against limits."""

from __future__ import annotations

from k8sactors.api import quantity
from k8sactors.api.errors import QuantityError
from k8sactors.api.validation import names
from k8sactors.api.validation.fields import (
    NOT_NEGATIVE,
    Causes,
    Object,
    forbidden,
    invalid,
    required,
)

_NATIVE = {"cpu", "memory", "ephemeral-storage"}
_HUGE = "hugepages-"
_NO_OVERCOMMIT = "Limit must be set for non overcommitable resources"


def is_extended(name: str) -> bool:
    """Whether it is a resource that a vendor named (`example.com/gpu`)."""
    return "/" in name and not name.startswith(("kubernetes.io/", "requests."))


def check_amount(value: object, path: str, causes: Causes) -> None:
    """A quantity that parses and is not negative."""
    try:
        amount = quantity.parse(value if isinstance(value, (str, int, float)) else str(value))
    except QuantityError as error:
        causes.append(invalid(path, value, str(error)))
        return
    if amount < 0:
        causes.append(invalid(path, str(value), NOT_NEGATIVE))


def _check_container_amounts(amounts: Object, path: str, causes: Causes) -> None:
    for name, value in amounts.items():
        at = f"{path}[{name}]"
        if name not in _NATIVE and not name.startswith(_HUGE):
            complaints = names.qualified_name(name)
            for complaint in complaints:
                causes.append(invalid(at, name, complaint))
            if not complaints and "/" not in name:
                causes.append(invalid(at, name, "must be a standard resource for containers"))
        before = len(causes)
        check_amount(value, at, causes)
        if len(causes) == before and is_extended(name) and quantity.parse(value).denominator > 1:
            causes.append(invalid(at, value, "must be an integer"))


def check_resources(resources: Object, path: str, causes: Causes) -> None:
    """A container's ResourceRequirements."""
    limits = resources.get("limits") or {}
    requests = resources.get("requests") or {}
    before = len(causes)
    if limits:
        _check_container_amounts(limits, f"{path}.limits", causes)
    if requests:
        _check_container_amounts(requests, f"{path}.requests", causes)
    if len(causes) > before:
        return
    for name, value in requests.items():
        limit = limits.get(name)
        fixed = is_extended(name) or name.startswith(_HUGE)
        if limit is None:
            if fixed:
                causes.append(required(f"{path}.limits", _NO_OVERCOMMIT))
        elif fixed and quantity.parse(value) != quantity.parse(limit):
            detail = f"must be equal to {name} limit of {limit}"
            causes.append(invalid(f"{path}.requests", value, detail))
        elif value != limit and quantity.parse(value) > quantity.parse(limit):
            detail = f"must be less than or equal to {name} limit of {limit}"
            causes.append(invalid(f"{path}.requests", value, detail))
    if any(name.startswith(_HUGE) for name in (*limits, *requests)) and not (
        {"cpu", "memory"} & {*limits, *requests}
    ):
        causes.append(forbidden(path, "HugePages require cpu or memory"))
